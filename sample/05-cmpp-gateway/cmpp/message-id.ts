/** What a Msg_Id is made of. */
export interface MessageId {
  /** From 1. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  /** Number of the ISMG, 22 bits. */
  readonly gateway: number;
  /** Counts up to 65 535 and begins again. */
  readonly sequence: number;
}

/** From the highest bit to the lowest (CMPP 3.0, section 8.4.3.2): bits 64 to 61 are the month, and so on. */
const BITS = { month: 4, day: 5, hour: 5, minute: 6, second: 6, gateway: 22, sequence: 16 } as const;
const NAMES = Object.keys(BITS) as (keyof MessageId)[];

export function messageId(parts: MessageId): bigint {
  return NAMES.reduce((id, name) => {
    const value = parts[name];
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** BITS[name])
      throw new RangeError(`${name} of a Msg_Id has ${BITS[name]} bits, and is ${value}`);
    return (id << BigInt(BITS[name])) | BigInt(value);
  }, 0n);
}

export function parseMessageId(id: bigint): MessageId {
  let rest = id;
  const values = [...NAMES].reverse().map((name) => {
    const value = Number(rest & ((1n << BigInt(BITS[name])) - 1n));
    rest >>= BigInt(BITS[name]);
    return [name, value];
  });
  return Object.fromEntries(values) as MessageId;
}

/** Gives messages their numbers. */
export class MessageIds {
  readonly #gateway: number;
  #sequence = 0;

  constructor(gateway: number) {
    this.#gateway = gateway;
  }

  next(time: Date): bigint {
    this.#sequence = (this.#sequence + 1) % 65_536;
    return messageId({
      month: time.getMonth() + 1,
      day: time.getDate(),
      hour: time.getHours(),
      minute: time.getMinutes(),
      second: time.getSeconds(),
      gateway: this.#gateway,
      sequence: this.#sequence,
    });
  }
}
