import { getHeapSpaceStatistics } from 'node:v8';
import { CallTable } from '../../../lib/common/call-table.js';
import { SessionCalls } from '../../../lib/server/session-calls.js';
import type { ServerCall } from '../../../lib/server/server-call.js';
import { collectGarbage } from '../collect-garbage.js';

/** What finished calls left in the old generation, in payloads, by the table that they had been in. */
export interface LeftBehind {
  readonly client: number;
  readonly server: number;
  /** Ids of stock clients. */
  readonly texts: number;
  /** Ids that share a place. */
  readonly sparse: number;
  readonly map: number;
}

interface Table {
  /** Adds a call; what is returned takes it out again. */
  add(id: number): () => void;
}

const ROUNDS = 40;
const BATCHES = 8;
const CALLS = 256;
const PAYLOAD_BYTES = 400;

/** Payloads by which the old generation grew while calls came and went, all of them over at each collection of the young one. */
function growth(table: Table): number {
  let id = 0;
  const batch = (inTheMiddle: () => void): void => {
    const removals: (() => void)[] = [];
    for (let call = 0; call < CALLS; call++) removals.push(table.add(++id));
    inTheMiddle();
    for (const remove of removals) remove();
  };
  // The table itself becomes old, as in any process that has run for a while.
  collectGarbage({ type: 'major' });
  batch(() => {
    for (let i = 0; i < 3; i++) collectGarbage({ type: 'minor' });
  });
  let bytes = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const before = oldBytes();
    for (let i = 0; i < BATCHES; i++) batch(() => undefined);
    collectGarbage({ type: 'minor' });
    // Less where V8 has collected the old generation meanwhile.
    bytes += Math.max(0, oldBytes() - before);
  }
  return Math.round(bytes / PAYLOAD_BYTES);
}

function oldBytes(): number {
  return getHeapSpaceStatistics().find((space) => space.space_name === 'old_space')?.space_used_size ?? 0;
}

const payload = (): number[] => new Array<number>(PAYLOAD_BYTES / 8).fill(1.5);

function clientTable(): Table {
  const table = new CallTable<{ id: number; payload: number[] }>();
  return {
    add: () => {
      const call = { id: 0, payload: payload() };
      table.add(call);
      return () => table.take(call.id);
    },
  };
}

function serverTable(idOf: (number: number) => number | string): Table {
  const table = new SessionCalls();
  return {
    add: (number) => {
      const call = { id: idOf(number), data: payload() } as unknown as ServerCall;
      table.add(call);
      return () => table.remove(call);
    },
  };
}

function map(): Table {
  const table = new Map<number, unknown>();
  return {
    add: (id) => {
      table.set(id, payload());
      return () => table.delete(id);
    },
  };
}

/** Made once: V8 remembers the texts of numbers, which would count here. */
const NAMES = Array.from({ length: 2 * CALLS }, (_, number) => `call ${number}`);

/**
 * Fills and empties tables between collections of the young generation. A process of its own: nothing else may come and go
 * in its heap.
 */
const left: LeftBehind = {
  client: growth(clientTable()),
  server: growth(serverTable((number) => number)),
  texts: growth(serverTable((number) => NAMES[number % NAMES.length] ?? '')),
  sparse: growth(serverTable((number) => number * 4096)),
  map: growth(map()),
};
process.on('disconnect', () => process.exit(0));
process.send?.(left);
