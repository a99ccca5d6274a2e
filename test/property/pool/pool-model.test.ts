import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { endings, executed, steps } from './commands.js';
import { World } from './world.js';

/** `npm run test:soak` raises this; the default is what `npm test` has time for. */
const WANTED_COMMANDS = Number(process.env['POOL_COMMANDS'] ?? 100_000);
const COMMANDS_A_RUN = 150;

const options = fc.record({
  mode: fc.constantFrom('shared' as const, 'exclusive' as const, 'short' as const),
  min: fc.nat(3),
  max: fc.integer({ min: 1, max: 6 }),
  // With few slots all are soon taken, with many the pool grows by its load.
  maxInFlight: fc.oneof(fc.integer({ min: 2, max: 4 }), fc.constant(250)),
  validates: fc.boolean(),
});

const sequences = fc.commands([...steps, ...steps, ...steps, ...endings], { maxCommands: COMMANDS_A_RUN, size: 'max' });

describe('the pool, beside a reference model', () => {
  it(
    `keeps its promises through ${WANTED_COMMANDS} random commands`,
    async () => {
      while (executed.commands < WANTED_COMMANDS) {
        await fc.assert(
          fc.asyncProperty(options, sequences, async (drawn, commands) => {
            const world = new World(drawn);
            await fc.asyncModelRun(() => ({ model: {}, real: world }), commands);
            await world.finish();
          }),
          { numRuns: 200 },
        );
      }
      expect(executed.commands).toBeGreaterThanOrEqual(WANTED_COMMANDS);
    },
    60_000 + WANTED_COMMANDS,
  );
});
