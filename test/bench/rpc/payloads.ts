/** What is echoed: the same objects for every contender. */

export interface Order {
  readonly id: number;
  readonly customer: string;
  readonly email: string;
  readonly total: number;
  readonly paid: boolean;
  readonly tags: readonly string[];
}

export interface Orders {
  readonly orders: readonly Order[];
  /** Fills up to the size wanted. */
  readonly note: string;
}

export type Payload =
  | { readonly form: 'order'; readonly value: Order }
  | { readonly form: 'orders'; readonly value: Orders }
  | { readonly form: 'bytes'; readonly value: Buffer };

export interface PayloadCase {
  /** As on the command line. */
  readonly name: string;
  readonly title: string;
  readonly bytes: number;
  /** In flight, when nothing else is asked for. */
  readonly inFlight: readonly number[];
  make(): Payload;
}

const KIB = 1024;

export const IN_FLIGHT: readonly number[] = [1, 16, 64, 256, 1024];
/** More bytes in flight than this measure the memory of both ends rather than the transport. */
export const MAX_BYTES_IN_FLIGHT = 64 * KIB * KIB;

export const payloadCases: readonly PayloadCase[] = [
  { name: '150B', title: '150 B object', bytes: 150, inFlight: IN_FLIGHT, make: makeOrder },
  { name: '1KiB', title: '1 KiB object', bytes: KIB, inFlight: [64], make: () => makeOrders(KIB) },
  { name: '64KiB', title: '64 KiB object', bytes: 64 * KIB, inFlight: [64], make: () => makeOrders(64 * KIB) },
  { name: '64KiB-buffer', title: '64 KiB Buffer', bytes: 64 * KIB, inFlight: [64], make: () => makeBytes(64 * KIB) },
  { name: '1MiB', title: '1 MiB object', bytes: KIB * KIB, inFlight: [16], make: () => makeOrders(KIB * KIB) },
];

export function payloadCase(name: string): PayloadCase {
  const found = payloadCases.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no case is called ${name}`);
  return found;
}

/** Large replies among small calls. */
export const LARGE_BYTES = 4 * KIB * KIB;
export const LARGE_TEXT = 'x'.repeat(LARGE_BYTES);
export const LARGE_BUFFER = Buffer.alloc(LARGE_BYTES, 'x');

function makeOrder(): Payload {
  return { form: 'order', value: order(1) };
}

function order(id: number): Order {
  return {
    id: 100_000 + id,
    customer: 'Ada Lovelace of London',
    email: 'ada.lovelace@example.com',
    total: 1234.56,
    paid: id % 2 === 0,
    tags: ['priority', 'gift', 'fragile'],
  };
}

function makeOrders(bytes: number): Payload {
  const emptyBytes = JSON.stringify({ orders: [], note: '' }).length;
  const orders: Order[] = [];
  let filled = emptyBytes;
  for (let next = order(0); filled + JSON.stringify(next).length + 1 <= bytes; next = order(orders.length)) {
    orders.push(next);
    filled += JSON.stringify(next).length + 1;
  }
  return { form: 'orders', value: { orders, note: '.'.repeat(Math.max(bytes - filled, 0)) } };
}

function makeBytes(bytes: number): Payload {
  return { form: 'bytes', value: Buffer.from(Array.from({ length: bytes }, (_, i) => i & 0xff)) };
}
