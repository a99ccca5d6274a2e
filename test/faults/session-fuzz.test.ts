import { afterAll, describe, expect, it } from '@jest/globals';
import { AppProcess } from '../support/app-process.js';
import type { FuzzReport, FuzzTask } from '../support/apps/session-fuzz.js';
import { Figures } from '../support/figures.js';

/** For each of the two targets; `npm run test:soak` and docs/reliability.md raise it. */
const DURATION_MS = Number(process.env['FUZZ_MS'] ?? 2_500);
/** Of the inputs; set it to repeat a run. The short run is always the same. */
const SEED = Number(process.env['FUZZ_SEED'] ?? (process.env['FUZZ_MS'] === undefined ? 1 : Date.now() % 1_000_000));

const figures = new Figures(`Fuzzed sessions for ${DURATION_MS} ms, seed ${SEED}`, [
  'target',
  'inputs',
  'MB',
  'connections',
  'crashes',
  'hangs',
  'honest calls answered',
  'wrong or failed',
  'peak RSS MiB',
  'heap MiB, early and late',
  'outcomes',
]);
afterAll(() => {
  figures.print();
});

describe(`whole sessions, mutated (seed ${SEED})`, () => {
  it.each<FuzzTask['target']>(['server', 'client'])(
    'do not crash or hang a %s, and calls on other connections are answered rightly',
    async (target) => {
      const task: FuzzTask = { target, seed: SEED, durationMs: DURATION_MS };
      const run = await AppProcess.start<FuzzReport>({ app: 'session-fuzz', args: [JSON.stringify(task)] });
      await run.kill();
      const { inputs, bytes, connections, outcomes, hangs, crashes, honest, peakRssMiB, heapMiB } = run.ready;
      figures.add(
        target,
        inputs,
        bytes / 1e6,
        connections,
        crashes.length,
        hangs.length,
        honest.answered,
        honest.wrong.length,
        peakRssMiB,
        `${heapMiB.early.toFixed(1)}, ${heapMiB.late.toFixed(1)}`,
        Object.entries(outcomes)
          .map(([code, count]) => `${code} ${count}`)
          .sort()
          .join(', '),
      );
      expect({ crashes, hangs, wrong: honest.wrong }).toEqual({ crashes: [], hangs: [], wrong: [] });
      expect(honest.answered).toBeGreaterThan(0);
      // They reach far enough to matter.
      expect(outcomes).toMatchObject({
        answered: expect.any(Number),
        PTCP_PROTOCOL_VIOLATION: expect.any(Number),
      });
      expect(Object.keys(outcomes).filter((code) => code.startsWith('not ours'))).toEqual([]);
      expect(heapMiB.late).toBeLessThan(heapMiB.early + 64);
    },
    DURATION_MS * 2 + 120_000,
  );
});
