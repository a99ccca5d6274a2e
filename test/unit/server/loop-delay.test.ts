import { describe, expect, it } from '@jest/globals';
import { LoopDelay } from '../../../lib/server/loop-delay.js';
import { TcpServer } from '../../../lib/server/server.js';
import { resolveServerOptions } from '../../../lib/server/settings.js';
import { RecordingLogger } from '../../support/logs.js';
import { StepClock } from '../../support/step-clock.js';

const PERIOD_MS = 50;

describe('the event loop', () => {
  it('is late from when it has not come round for too long, until it keeps up again', () => {
    const clock = new StepClock();
    const loop = new LoopDelay(clock, 100);
    loop.start();
    clock.advance(1_000);
    expect(loop.isTooLate).toBe(false);

    clock.freeze(PERIOD_MS + 101);
    // Before the timer has fired: the turn that takes so long is not over.
    expect(loop.isTooLate).toBe(true);
    clock.advance(1);
    expect(loop.isTooLate).toBe(true);
    clock.advance(PERIOD_MS);
    expect(loop.isTooLate).toBe(false);
    loop.stop();
    expect(clock.pending).toBe(0);
  });

  it('is not late within what is allowed', () => {
    const clock = new StepClock();
    const loop = new LoopDelay(clock, 100);
    loop.start();
    for (let i = 0; i < 20; i++) {
      clock.freeze(PERIOD_MS + 99);
      expect(loop.isTooLate).toBe(false);
      clock.advance(1);
    }
    loop.stop();
  });
});

describe('a server whose event loop is late', () => {
  it('takes no call until it keeps up again, and says why', async () => {
    const clock = new StepClock();
    const settings = resolveServerOptions({ host: '127.0.0.1', port: 0, maxEventLoopDelayMs: 100 });
    const dispatcher = { request: () => undefined, event: () => undefined };
    const server = new TcpServer(settings, { dispatcher, logger: new RecordingLogger(), clock });
    await server.listen();
    expect(server.admitCall()).toBeUndefined();
    clock.freeze(PERIOD_MS + 150);
    expect(server.admitCall()).toContain('maxEventLoopDelayMs (100)');
    clock.advance(1);
    clock.advance(PERIOD_MS);
    expect(server.admitCall()).toBeUndefined();
    expect(server.stats()).toMatchObject({ inFlight: 2, shed: 1 });
    await server.close();
    expect(clock.pending).toBe(0);
  });
});
