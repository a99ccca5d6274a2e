import type { Fields, Layout } from './layout.js';
import {
  ACTIVE_TEST,
  ACTIVE_TEST_RESP,
  CONNECT,
  CONNECT_RESP,
  DELIVER,
  DELIVER_RESP,
  SUBMIT,
  SUBMIT_RESP,
  TERMINATE,
  TERMINATE_RESP,
} from './messages.js';

/** The two ends of a connection: the service provider, and China Mobile's short message gateway. */
export type Role = 'sp' | 'ismg';

export interface Command {
  /** Pattern of its handler, and of `client.request()`. */
  readonly pattern: string;
  /** Command_Id; that of the answer has the highest bit set (section 8.7.1). */
  readonly id: number;
  /** Who asks. */
  readonly from: readonly Role[];
  readonly request: Layout<Fields>;
  readonly response: Layout<Fields>;
}

/** Highest bit of Command_Id. */
export const RESPONSE = 0x8000_0000;

const COMMANDS: readonly Command[] = [
  { pattern: 'connect', id: 0x01, from: ['sp'], request: CONNECT, response: CONNECT_RESP },
  { pattern: 'terminate', id: 0x02, from: ['sp', 'ismg'], request: TERMINATE, response: TERMINATE_RESP },
  { pattern: 'submit', id: 0x04, from: ['sp'], request: SUBMIT, response: SUBMIT_RESP },
  { pattern: 'deliver', id: 0x05, from: ['ismg'], request: DELIVER, response: DELIVER_RESP },
  { pattern: 'active_test', id: 0x08, from: ['sp', 'ismg'], request: ACTIVE_TEST, response: ACTIVE_TEST_RESP },
];
const BY_ID = new Map(COMMANDS.map((command) => [command.id, command]));
const BY_PATTERN = new Map(COMMANDS.map((command) => [command.pattern, command]));

/** @throws Error for what this sample does not speak, and for what the peer may not send */
export function receivedCommand(
  commandId: number,
  role: Role,
): { readonly command: Command; readonly isResponse: boolean } {
  const isResponse = commandId >= RESPONSE;
  const command = BY_ID.get(isResponse ? commandId - RESPONSE : commandId);
  if (command === undefined) throw new Error(`Command_Id 0x${commandId.toString(16)} is not spoken here`);
  const peer: Role = role === 'sp' ? 'ismg' : 'sp';
  if (!command.from.includes(isResponse ? role : peer)) {
    const { name } = isResponse ? command.response : command.request;
    throw new Error(`${name} is nothing that ${peer === 'sp' ? 'an SP' : 'an ISMG'} sends`);
  }
  return { command, isResponse };
}

/** @throws Error for a pattern that is none of CMPP's */
export function commandOf(pattern: unknown): Command {
  const command = BY_PATTERN.get(String(pattern));
  if (command === undefined) throw new Error(`there is no CMPP command '${String(pattern)}'`);
  return command;
}
