import { amount, digits, text, type Layout, type Values } from './fields.js';

/** What a message is made of: the type of its request, and the fields of both ways. A reply has the type plus ten. */
export interface MessageLayout {
  readonly type: string;
  readonly request: Layout;
  readonly reply: Layout;
}

/** Every message of the bank. All that the codec knows of them stands here. */
export const MESSAGES = {
  signOn: { type: '0800', request: [text('station', 8), digits('businessDay', 8)], reply: [text('host', 16)] },
  signOff: { type: '0820', request: [], reply: [] },
  /** The heartbeat. */
  echo: { type: '0840', request: [], reply: [] },
  balance: {
    type: '0100',
    request: [digits('account', 10)],
    reply: [digits('account', 10), text('currency', 3), amount('balance', 12)],
  },
  transfer: {
    type: '0200',
    request: [
      text('reference', 20),
      digits('from', 10),
      digits('to', 10),
      text('currency', 3),
      amount('amount', 12),
      text('purpose', 35),
    ],
    reply: [text('reference', 20), digits('booking', 10), amount('balance', 12)],
  },
} as const satisfies Record<string, MessageLayout>;

export type MessageName = keyof typeof MESSAGES;
export type Request<Name extends MessageName> = Values<(typeof MESSAGES)[Name]['request']>;
export type Reply<Name extends MessageName> = Values<(typeof MESSAGES)[Name]['reply']>;

/** After the type of a reply. Where it is not `00`, a reason follows, and nothing else. */
export const REPLY_HEAD = [digits('responseCode', 2)] as const;
export const REFUSAL = [text('message', 40)] as const;

export const TYPE_BYTES = 4;
const REPLY_OFFSET = 10;

/** A type on the wire. */
export interface MessageType {
  readonly name: MessageName;
  readonly isReply: boolean;
}

export function requestType(name: MessageName): string {
  return MESSAGES[name].type;
}

export function replyType(name: MessageName): string {
  return String(Number(MESSAGES[name].type) + REPLY_OFFSET).padStart(TYPE_BYTES, '0');
}

const NAMES = Object.keys(MESSAGES) as MessageName[];
/** By what stands in the first four bytes. */
export const TYPES: ReadonlyMap<string, MessageType> = new Map(
  NAMES.flatMap((name): [string, MessageType][] => [
    [requestType(name), { name, isReply: false }],
    [replyType(name), { name, isReply: true }],
  ]),
);

export function isMessageName(value: unknown): value is MessageName {
  return typeof value === 'string' && Object.hasOwn(MESSAGES, value);
}
