import { afterAll, describe, expect, it } from '@jest/globals';
import { AppProcess } from '../support/app-process.js';
import type { ChaosReport, ChaosTask } from '../support/apps/chaos.js';
import { NO_DEFECTS } from '../support/call-ledger.js';
import { Figures } from '../support/figures.js';

/** `npm run test:soak` raises this to ten minutes; the default is what `npm test` has time for. */
const DURATION_MS = Number(process.env['CHAOS_MS'] ?? 3_000);
/** Of the faults; set it to repeat a run. */
const SEED = Number(process.env['CHAOS_SEED'] ?? Date.now() % 1_000_000);

const figures = new Figures(`Chaos for ${DURATION_MS} ms, seed ${SEED}`, [
  'wire',
  'faults',
  'calls',
  'answered',
  'failed, unsent',
  'failed, sent',
  'lost',
  'crossed',
  'twice',
  'connections opened',
  'heap MiB, early and late',
]);
afterAll(() => {
  figures.print();
});

describe('chaos between a client and three servers', () => {
  it.each([
    { wire: 'plain', hasTls: false },
    { wire: 'TLS, bytes damaged too', hasTls: true },
  ])(
    `$wire, seed ${SEED}: no call is lost, mixed up or answered twice, and the pool comes back`,
    async ({ wire, hasTls }) => {
      const task: ChaosTask = { seed: SEED, durationMs: DURATION_MS, hasTls };
      const run = await AppProcess.start<ChaosReport>({ app: 'chaos', args: [JSON.stringify(task)] });
      await run.kill();
      const { ledger, faults, created, totals, unhandled, resources, heapMiB } = run.ready;
      const begun = Object.values(faults).reduce((sum, count) => sum + count, 0);
      figures.add(
        wire,
        begun,
        ledger.calls,
        ledger.answered,
        ledger.failedUnsent,
        ledger.failedSent,
        ledger.lost,
        ledger.crossed,
        ledger.answeredTwice + ledger.handledTwice,
        created,
        `${heapMiB.early.toFixed(1)}, ${heapMiB.late.toFixed(1)}`,
      );
      expect(ledger).toMatchObject(NO_DEFECTS);
      expect(unhandled).toEqual([]);
      expect(totals).toEqual([2, 2, 2]);
      expect(resources.after).toEqual(resources.before);
      // The run was one: faults happened, and calls got through all the same.
      expect(begun).toBeGreaterThan(10);
      expect(ledger.answered).toBeGreaterThan(100);
      expect(ledger.failedSent + ledger.failedUnsent).toBeGreaterThan(0);
    },
    DURATION_MS + 60_000,
  );
});
