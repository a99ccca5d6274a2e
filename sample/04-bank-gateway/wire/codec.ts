import type { DecodedMessage, MessageCodec } from '../../../lib/index.js';
import { decodeFields, encodeFields, FieldError, lengthOf, type Layout, type Values } from './fields.js';
import {
  isMessageName,
  MESSAGES,
  REFUSAL,
  REPLY_HEAD,
  replyType,
  requestType,
  TYPE_BYTES,
  TYPES,
  type MessageName,
} from './messages.js';
import { APPROVED, isRefusal, refusalOf, type Refusal } from './refusals.js';

/** The pattern of requests that do not fit their layout: the host refuses them in words, in their turn. */
export const MALFORMED = 'malformed';

export interface Malformed {
  readonly name: MessageName;
  readonly problem: string;
}

/** The bank's messages, at either end. Nothing in it knows how frames are cut. */
export const bankCodec: MessageCodec = {
  correlation: 'serial',

  encode({ kind, pattern, data, error, request }) {
    if (kind === 'error') return refused(nameOf(request), refusalOf(error));
    if (!isMessageName(pattern)) throw new TypeError('the bank has no such message');
    const { request: asked, reply } = MESSAGES[pattern];
    if (kind === 'request') return bytes(requestType(pattern), encodeAny(asked, data));
    if (kind === 'reply') return bytes(replyType(pattern), APPROVED, encodeAny(reply, data));
    throw new TypeError(`the bank has no message for a ${kind}`);
  },

  decode(frame) {
    const type = TYPES.get(frame.toString('latin1', 0, TYPE_BYTES));
    if (type === undefined) throw new Error('no message type of the bank');
    const body = frame.subarray(TYPE_BYTES);
    return type.isReply ? decodeReply(type.name, body) : decodeRequest(type.name, body);
  },

  heartbeat: {
    ask: () => bytes(requestType('echo')),
    answer: () => bytes(replyType('echo'), APPROVED),
  },
};

function decodeRequest(name: MessageName, body: Buffer): DecodedMessage {
  try {
    const data = decodeFields<Layout>(MESSAGES[name].request, body);
    return name === 'echo' ? { heartbeat: 'ask' } : { pattern: name, data };
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    return { pattern: MALFORMED, data: { name, problem: error.message } satisfies Malformed };
  }
}

/** What it throws costs the connection: of a bank's answer, nothing is guessed. */
function decodeReply(name: MessageName, body: Buffer): DecodedMessage {
  const { responseCode } = decodeFields(REPLY_HEAD, body.subarray(0, lengthOf(REPLY_HEAD)));
  const rest = body.subarray(lengthOf(REPLY_HEAD));
  if (responseCode !== APPROVED) {
    const error = { responseCode, ...decodeFields(REFUSAL, rest) };
    if (!isRefusal(error)) throw new FieldError('responseCode', 'is none of the bank’s');
    return { error };
  }
  const data = decodeFields<Layout>(MESSAGES[name].reply, rest);
  return name === 'echo' ? { heartbeat: 'answer' } : { data };
}

function refused(name: MessageName, { responseCode, message }: Refusal): Buffer {
  const [{ length }] = REFUSAL;
  const fitting = message
    .replace(/[^ -~]/g, '?')
    .slice(0, length)
    .trimEnd();
  return bytes(replyType(name), responseCode, encodeFields(REFUSAL, { message: fitting }));
}

/** What a reply answers. */
function nameOf(request: DecodedMessage | undefined): MessageName {
  if (isMessageName(request?.pattern)) return request.pattern;
  return (request?.data as Malformed).name;
}

function encodeAny(layout: Layout, data: unknown): string {
  return encodeFields(layout, (data ?? {}) as Values<Layout>);
}

function bytes(...parts: string[]): Buffer {
  return Buffer.from(parts.join(''), 'latin1');
}
