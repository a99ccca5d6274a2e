import { systemClock } from '../../../lib/common/clock.js';
import type { DiagnosticLogger } from '../../../lib/common/logger.js';
import type { Transport, TransportEvents } from '../../../lib/connection/transport.js';
import { PROTOCOL_VERSION, writeHello } from '../../../lib/protocol/hello.js';
import { BoundedLog } from '../../../lib/server/bounded-log.js';
import { pushToMany } from '../../../lib/server/push/push-to-many.js';
import { PushTally } from '../../../lib/server/push/push-tally.js';
import { PartialBudget } from '../../../lib/server/partial-budget.js';
import { TagIndex } from '../../../lib/server/push/tag-index.js';
import { Session, type SessionHost } from '../../../lib/server/session.js';
import { resolveServerOptions } from '../../../lib/server/settings.js';
import { Output } from '../../../lib/framing/output.js';
import { median, table } from '../report.js';

/** `npm run bench -- push`: what a push to a group costs for each session, and what a session in a group weighs. */

const SESSIONS = 10_000;
const ROUNDS = 9;

/** Takes everything at once, as a kernel with room does, and keeps nothing. */
class NullTransport implements Transport {
  readonly peer = '127.0.0.1:50000';
  readonly pendingBytes = 0;
  events: TransportEvents | undefined;

  start(events: TransportEvents): void {
    this.events = events;
  }

  write(): void {
    // Gone.
  }

  end(): void {
    // Nobody waits.
  }

  destroy(): void {
    // Nothing is open.
  }
}

const QUIET: DiagnosticLogger = { log: () => undefined, warn: () => undefined, error: () => undefined };

function hostOf(): SessionHost {
  return {
    settings: resolveServerOptions({ heartbeat: false, idleTimeoutMs: 0, firstFrameTimeoutMs: 0 }),
    clock: systemClock,
    logger: QUIET,
    boundedLog: new BoundedLog(QUIET, systemClock),
    dispatcher: { request: () => undefined, event: () => undefined },
    random: () => 0.5,
    partialBudget: new PartialBudget(0),
    tags: new TagIndex<Session>(),
    pushTally: new PushTally(),
    admitCall: () => undefined,
    callEnded: () => undefined,
    admitEvent: () => undefined,
    eventEnded: () => undefined,
    eventDropped: () => undefined,
    refused: () => undefined,
    closed: () => undefined,
  };
}

/** Sessions that have said hello. */
function sessionsOf(host: SessionHost, count: number): Session[] {
  const output = new Output();
  writeHello(output, { versions: [PROTOCOL_VERSION], maxFrameBytes: 8 * 1024 * 1024, streamWindowBytes: 256 * 1024 });
  const hello = Buffer.concat(output.take());
  return Array.from({ length: count }, () => {
    const transport = new NullTransport();
    const session = new Session(transport, host, { refusal: undefined, claimPrincipal: () => undefined });
    session.start();
    transport.events?.data(Buffer.from(hello));
    if (!session.isOpen || session.protocol !== 'native') throw new Error('no native session');
    return session;
  });
}

const PAYLOADS: Readonly<Record<string, unknown>> = {
  'a quote (45 B)': { symbol: 'ACME', seq: 123_456, price: 101.25 },
  'an order (1 KiB)': {
    id: 1,
    lines: Array.from({ length: 16 }, (_, i) => ({ sku: `sku-${i}`, text: 'x'.repeat(30), n: i })),
  },
};

async function nsPerSession(push: () => void): Promise<number> {
  const figures: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    globalThis.gc?.();
    const startedAt = process.hrtime.bigint();
    push();
    // With the flush of every session, which the next turn brings.
    await new Promise((resolve) => setImmediate(resolve));
    figures.push(Number(process.hrtime.bigint() - startedAt) / SESSIONS);
  }
  return median(figures.slice(2));
}

function heapOf(make: () => unknown): number {
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const made = make();
  globalThis.gc?.();
  const bytes = process.memoryUsage().heapUsed - before;
  // Alive until here.
  return made === undefined ? 0 : bytes / SESSIONS;
}

export async function benchPush(): Promise<void> {
  const host = hostOf();
  let sessions: Session[] = [];
  const bare = heapOf(() => (sessions = sessionsOf(host, SESSIONS)));
  const tagged = heapOf(() => {
    for (const session of sessions) session.tag('all');
    return sessions;
  });
  const rows: string[][] = [];
  const pushed = heapOf(() => {
    pushToMany(sessions, 'quote', 1, {}, host.boundedLog);
    return sessions;
  });
  for (const [name, data] of Object.entries(PAYLOADS)) {
    const once = await nsPerSession(() => {
      pushToMany(host.tags.membersOf('all'), 'quote', data, {}, host.boundedLog);
    });
    const each = await nsPerSession(() => {
      for (const session of sessions) session.push('quote', data);
    });
    rows.push([name, once.toFixed(0), each.toFixed(0)]);
  }
  console.log(table([`a push to ${SESSIONS} sessions`, 'to the group, ns each', 'to each by itself, ns each'], rows));
  console.log(
    `heap: ${bare.toFixed(0)} B a session, ${tagged.toFixed(0)} B more in a group, ${pushed.toFixed(0)} B more once it was pushed to (its output included)`,
  );
}
