import { describe, expect, it } from '@jest/globals';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import type { LocalPorts } from '../../../lib/client/local-ports.js';
import { PortWatch } from '../../../lib/client/port-watch.js';
import { PortWatches } from '../../../lib/client/port-watches.js';
import { RecordingLogger } from '../../support/logs.js';
import { settled, StepClock } from '../../support/step-clock.js';

const TARGET = { address: '10.0.0.1:4000', host: '10.0.0.1', port: 4000 };
/** A thousand ports. */
const RANGE = { first: 40_000, last: 40_999 };
const UNKNOWN: LocalPorts = { range: undefined, timeWait: undefined, inUse: undefined };

/** A watch, on a machine that tells what it is told to tell. */
function watched(ports: Partial<LocalPorts> = {}, target: object = TARGET) {
  const clock = new StepClock();
  const logger = new RecordingLogger();
  const machine = { ports: { ...UNKNOWN, ...ports }, readings: 0, isStuck: false };
  const options = {
    pool: 'orders',
    clock,
    logger,
    read: () => {
      machine.readings += 1;
      return machine.isStuck ? new Promise<never>(() => undefined) : Promise.resolve(machine.ports);
    },
  };
  const watch = new PortWatch({ ...TARGET, ...target }, options);
  const shortCalls = (count: number): void => {
    for (let i = 0; i < count; i++) {
      watch.connecting();
      watch.closing();
      watch.gone();
    }
  };
  /** The same, and the ports have been read meanwhile. */
  const come = async (count: number): Promise<void> => {
    shortCalls(count);
    await settled();
  };
  return { watch, clock, logger, machine, options, shortCalls, come, warnings: () => logger.at('warn') };
}

const notAvailable = (): Error =>
  Object.assign(new Error('connect EADDRNOTAVAIL 10.0.0.1:4000 - Local (0.0.0.0:0)'), { code: 'EADDRNOTAVAIL' });
const connectFailed = (cause: unknown): PooledTcpError =>
  new PooledTcpError('PTCP_CONNECT_FAILED', 'cannot connect to 10.0.0.1:4000', { cause });

describe('the ports of connections that this side closes', () => {
  it('are held for a minute, and not for ever', () => {
    const { watch, clock, shortCalls } = watched();
    shortCalls(100);
    expect(watch.stats()).toEqual({ connectsPerSecond: 100, timeWait: 100 });
    clock.advance(59_999);
    expect(watch.stats()).toEqual({ connectsPerSecond: 0, timeWait: 100 });
    clock.advance(2_000);
    expect(watch.stats()).toEqual({ connectsPerSecond: 0, timeWait: 0 });
  });

  it('are not held by those that the other side closes', () => {
    const { watch } = watched();
    watch.connecting();
    watch.gone();
    expect(watch.stats()).toEqual({ connectsPerSecond: 1, timeWait: 0 });
  });

  it('are not more than the system has, and those closed since', async () => {
    const { watch, clock, come, shortCalls } = watched({ timeWait: 30 });
    await come(2);
    // Read at the second connect, when the first had been closed.
    shortCalls(100);
    expect(watch.stats().timeWait).toBe(102);
    clock.advance(5_000);
    const more = watched({ range: RANGE, timeWait: 30 });
    await more.come(300);
    more.clock.advance(5_000);
    await more.come(1);
    expect(more.watch.stats().timeWait).toBe(31);
  });

  it('do not exist where the endpoint is a Unix socket', () => {
    const { watch, shortCalls } = watched({}, { path: '/run/app.sock' });
    shortCalls(10);
    expect(watch.stats()).toEqual({ connectsPerSecond: 10, timeWait: 0 });
  });
});

describe('the warning that local ports run out', () => {
  it('comes once three quarters are taken, with the range, the counts and the remedy', async () => {
    const { clock, come, warnings } = watched({ range: RANGE });
    await come(10);
    for (let i = 0; i < 73; i++) {
      clock.advance(100);
      await come(10);
    }
    await come(9);
    expect(warnings()).toEqual([]);
    await come(1);
    expect(warnings()).toEqual([
      "pool 'orders': local ports are running out: 750 of the 1000 local ports from 40000 to 40999 (net.ipv4.ip_local_port_range) are taken by connections to 10.0.0.1:4000 (1 open, 749 in TIME_WAIT), at 102.7 connects a second; use pool.mode 'shared', which keeps its connections, spread the calls over more endpoints, or widen the range",
    ]);
  });

  it('comes once a minute, and stops when the ports are free again', async () => {
    const { clock, come, warnings } = watched({ range: RANGE });
    await come(2);
    await come(900);
    expect(warnings()).toHaveLength(1);
    clock.advance(30_000);
    await come(900);
    expect(warnings()).toHaveLength(1);
    clock.advance(30_000);
    await come(1);
    expect(warnings()).toHaveLength(2);
    clock.advance(120_000);
    await come(100);
    expect(warnings()).toHaveLength(2);
  });

  it('counts connections that stay open', async () => {
    const { watch, come, warnings } = watched({ range: RANGE });
    await come(2);
    for (let i = 0; i < 800; i++) watch.connecting();
    expect(warnings()).toHaveLength(1);
  });

  it('goes by the usual range where the system does not tell its own', async () => {
    const { come, warnings } = watched();
    await come(12_000);
    expect(warnings()).toEqual([]);
    await come(300);
    expect(warnings()).toEqual([
      expect.stringContaining('the local ports (this system does not tell its range; 49152 to 65535 is usual)'),
    ]);
  });

  it('waits for no reading: one that hangs delays nothing, and is not begun again', () => {
    const { watch, machine, shortCalls, warnings, clock } = watched();
    machine.isStuck = true;
    for (let i = 0; i < 5; i++) {
      shortCalls(5_000);
      clock.advance(6_000);
    }
    expect(machine.readings).toBe(1);
    expect(warnings()).toHaveLength(1);
    expect(watch.stats().timeWait).toBe(25_000);
  });

  it('costs a pool that keeps its connections no reading at all', () => {
    const { watch, machine } = watched();
    for (let i = 0; i < 10; i++) watch.connecting();
    for (let i = 0; i < 10; i++) watch.gone();
    expect(machine.readings).toBe(0);
  });

  it('costs a reading in five seconds, and only once a quarter is taken', async () => {
    const { machine, clock, come } = watched({ range: RANGE });
    for (let i = 0; i < 24; i++) {
      await come(10);
      clock.advance(1_000);
    }
    expect(machine.readings).toBe(1);
    for (let i = 0; i < 20; i++) {
      await come(10);
      clock.advance(1_000);
    }
    expect(machine.readings).toBe(5);
  });
});

describe('a connect that fails for want of a local port', () => {
  it('says so, with the range, the counts and the remedy', async () => {
    const { watch, come } = watched({ range: RANGE, timeWait: 995, inUse: 5 });
    await come(990);
    const cause = connectFailed(notAvailable());
    const error = await watch.shortage(cause);
    expect(error).toMatchObject({ code: 'PTCP_PORTS_EXHAUSTED', peer: '10.0.0.1:4000', sent: false, cause });
    expect(error?.message).toBe(
      "cannot connect to 10.0.0.1:4000: no local port is left of the 1000 local ports from 40000 to 40999 (net.ipv4.ip_local_port_range); 0 connections to it are open, 990 in TIME_WAIT, at 990 connects a second; use pool.mode 'shared', which keeps its connections, spread the calls over more endpoints, or widen the range",
    );
  });

  it('is recognised when other programs have taken them', async () => {
    const { watch } = watched({ range: RANGE, timeWait: 700, inUse: 290 });
    expect(await watch.shortage(connectFailed(notAvailable()))).toMatchObject({ code: 'PTCP_PORTS_EXHAUSTED' });
  });

  it('is recognised by every address that a name has', async () => {
    const { watch } = watched({ range: RANGE, timeWait: 999, inUse: 1 });
    const both = new AggregateError([notAvailable(), notAvailable()]);
    expect(await watch.shortage(connectFailed(both))).toMatchObject({ code: 'PTCP_PORTS_EXHAUSTED' });
    const one = new AggregateError([notAvailable(), new Error('connect ECONNREFUSED 10.0.0.1:4000')]);
    expect(await watch.shortage(connectFailed(one))).toBeUndefined();
  });

  it('is another matter where there are ports: the address is not one of this machine’s networks', async () => {
    const known = watched({ range: RANGE, timeWait: 3, inUse: 40 });
    expect(await known.watch.shortage(connectFailed(notAvailable()))).toBeUndefined();
    expect(await watched().watch.shortage(connectFailed(notAvailable()))).toBeUndefined();
  });

  it('is no reason to read anything for any other failure', async () => {
    const { watch, machine } = watched({ range: RANGE, timeWait: 999, inUse: 1 });
    for (const error of [connectFailed(new Error('connect ECONNREFUSED')), new AggregateError([]), 'odd', undefined])
      expect(await watch.shortage(error)).toBeUndefined();
    expect(machine.readings).toBe(0);
  });
});

describe('the watches of a pool', () => {
  it('add up, and outlive an endpoint that leaves and comes back', () => {
    const { clock, options } = watched();
    const watches = new PortWatches(options);
    const other = { address: '10.0.0.2:4000' };
    for (const target of [TARGET, TARGET, other]) {
      const watch = watches.of(target);
      watch.connecting();
      watch.closing();
      watch.gone();
    }
    expect(watches.statsOf(TARGET.address)).toEqual({ connectsPerSecond: 2, timeWait: 2 });
    expect(watches.stats()).toEqual({ connectsPerSecond: 3, timeWait: 3 });
    clock.advance(30_000);
    expect(watches.of(TARGET).stats()).toEqual({ connectsPerSecond: 0, timeWait: 2 });
  });

  it('forget an endpoint with nothing to remember, and never one with open connections', () => {
    const { clock, options } = watched();
    const watches = new PortWatches(options);
    const busy = watches.of(TARGET);
    busy.connecting();
    const quiet = watches.of({ address: '10.0.0.2:4000' });
    quiet.connecting();
    quiet.gone();
    clock.advance(120_000);
    watches.of({ address: '10.0.0.3:4000' });
    expect(watches.of(TARGET)).toBe(busy);
    expect(watches.of({ address: '10.0.0.2:4000' })).not.toBe(quiet);
    expect(watches.statsOf('10.0.0.9:4000')).toEqual({ connectsPerSecond: 0, timeWait: 0 });
  });
});
