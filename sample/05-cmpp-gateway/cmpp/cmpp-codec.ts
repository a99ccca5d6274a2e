import { lengthField, type DecodedMessage, type ForeignMessage, type MessageCodec } from '../../../lib/index.js';
import { commandOf, receivedCommand, RESPONSE, type Command, type Role } from './commands.js';
import type { Deliver } from './messages.js';
import { codeOf, describeCode, RESULT, STATUS, type CmppError } from './results.js';

/** Total_Length counts itself, and the codec sees it: Total_Length, Command_Id, Sequence_Id (section 8.3). */
export const framing = lengthField({ size: 4, includesHeader: true, strip: 0, maxFrameBytes: 4_096 });

const HEADER_BYTES = 12;

/** Something that was sent or received. */
export interface Traffic {
  readonly direction: 'sent' | 'received';
  /** As the specification calls it. */
  readonly message: string;
  readonly sequenceId: number;
}

export interface CmppCodecOptions {
  /** Which end this is: each says things that the other must not. */
  readonly role: Role;
  /** Told of every message. */
  readonly onTraffic?: ((traffic: Traffic) => void) | undefined;
}

/**
 * CMPP 3.0 for one end of a connection. Messages are what their tables in messages.ts say.
 *
 * - A Status or Result other than 0 is an error with a {@link CmppError} at the caller, and what a handler makes by
 *   throwing a `CmppRefusal`.
 * - CMPP_DELIVER is a push with the route `deliver`; its answer comes back to the ISMG as the event `deliver_resp`.
 * - CMPP_TERMINATE is answered at once, whoever sends it, and the connection takes no new calls.
 */
export function cmppCodec({ role, onTraffic }: CmppCodecOptions): MessageCodec {
  const message = (command: Command, isResponse: boolean, sequenceId: number, values: object): Buffer => {
    const layout = isResponse ? command.response : command.request;
    const body = layout.encode(values);
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32BE(isResponse ? command.id + RESPONSE : command.id, 4);
    header.writeUInt32BE(sequenceId, 8);
    onTraffic?.({ direction: 'sent', message: layout.name, sequenceId });
    return Buffer.concat([header, body]);
  };
  const activeTest = commandOf('active_test');
  const terminate = commandOf('terminate');
  return {
    correlation: 'id',
    encode(outgoing) {
      const command = commandOf(outgoing.pattern);
      if (outgoing.kind === 'event') throw new TypeError(`${command.request.name} wants an answer: use request()`);
      const isResponse = outgoing.kind === 'reply' || outgoing.kind === 'error';
      const values = outgoing.kind === 'error' ? refusal(outgoing) : (outgoing.data ?? {});
      return message(command, isResponse, Number(outgoing.id), values);
    },
    decode(frame) {
      if (frame.length < HEADER_BYTES) throw new RangeError(`a header has ${HEADER_BYTES} bytes, not ${frame.length}`);
      const { command, isResponse } = receivedCommand(frame.readUInt32BE(4), role);
      const layout = isResponse ? command.response : command.request;
      const id = frame.readUInt32BE(8);
      const data = layout.decode(frame.subarray(HEADER_BYTES));
      onTraffic?.({ direction: 'received', message: layout.name, sequenceId: id });
      return isResponse ? answered(command, id, data) : asked(command, id, data);
    },
    heartbeat: {
      ask: (id) => message(activeTest, false, id, {}),
      answer: ({ id }) => message(activeTest, true, Number(id), {}),
    },
    ...(role === 'ismg'
      ? { goaway: (_notice, id) => message(terminate, false, id, {}) }
      : {
          // Whoever asks first ends the connection: an ISMG that has asked has its answer.
          onClose: async (connection, { goaway }) => {
            if (goaway === undefined) await connection.request('terminate');
          },
        }),
  };
}

function asked({ pattern }: Command, id: number, data: unknown): DecodedMessage {
  if (pattern === 'active_test') return { id, heartbeat: 'ask' };
  if (pattern === 'terminate') return { id, pattern, goaway: 'CMPP_TERMINATE', answer: {} };
  if (pattern === 'deliver') return { id, push: pattern, pattern, data };
  return { id, pattern, data };
}

function answered({ pattern }: Command, id: number, data: unknown): DecodedMessage {
  if (pattern === 'active_test') return { id, heartbeat: 'answer' };
  // Answers to what the ISMG said by itself: events there. An SP's own CMPP_TERMINATE is a request like any other.
  if (pattern === 'deliver' || pattern === 'terminate') return { id, pattern: `${pattern}_resp`, event: true, data };
  const { status, result } = data as { readonly status?: number; readonly result?: number };
  const cmppCode = status ?? result ?? 0;
  if (cmppCode === 0) return { id, data };
  const what = status === undefined ? 'result' : 'status';
  const error: CmppError = { cmppCode, message: `${what} ${cmppCode}, ${describeCode(what, cmppCode)}` };
  return { id, error };
}

/** The answer that says no. */
function refusal({ pattern, error, request }: ForeignMessage): object {
  if (pattern === 'connect') return { status: codeOf(error, STATUS.other) };
  if (pattern === 'deliver') return { msgId: (request?.data as Deliver).msgId, result: codeOf(error, RESULT.other) };
  return { result: codeOf(error, RESULT.other) };
}
