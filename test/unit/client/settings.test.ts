import { describe, expect, it } from '@jest/globals';
import { resolveClientOptions, type PooledTcpClientOptions } from '../../../lib/client/settings.js';
import type { PoolOptions } from '../../../lib/pool/settings.js';
import { native, nestJson } from '../../../lib/protocol/protocol.js';
import { thrownBy } from '../../support/bytes.js';

const endpoints = ['127.0.0.1:4000'];
const serializer = { serialize: (packet: unknown) => packet };
const deserializer = { deserialize: (packet: unknown) => packet };

function settingsOf(options: PooledTcpClientOptions): ReturnType<typeof resolveClientOptions> {
  return resolveClientOptions({ endpoints, ...options });
}

/** Code and message of the refusal; takes what the types would forbid. */
function refusal(options: object): string {
  const { code, message } = thrownBy(() => resolveClientOptions({ endpoints, ...options }));
  return `${code}: ${message}`;
}

describe('client options', () => {
  it('have the documented defaults', () => {
    expect(settingsOf({})).toMatchObject({
      name: 'default',
      tls: undefined,
      protocol: 'auto',
      requestTimeoutMs: 10_000,
      heartbeat: { intervalMs: 30_000, timeoutMs: 10_000 },
      keepAlive: { initialDelayMs: 30_000 },
      backoff: { initialMs: 100, maxMs: 30_000, factor: 1.6, jitter: 0.2 },
      maxFrameBytes: 8 * 1024 * 1024,
      drainTimeoutMs: 10_000,
      pool: {
        min: 2,
        max: 10,
        mode: 'shared',
        maxWaiters: 1024,
        acquireTimeoutMs: 3_000,
        connectTimeoutMs: 3_000,
        idleTimeoutMs: 60_000,
        maxLifetimeMs: 1_800_000,
        validateAfterIdleMs: 500,
        leakWarnMs: 30_000,
        leakReclaimMs: 300_000,
        prewarm: 'required',
        prewarmTimeoutMs: 5_000,
      },
    });
  });

  it('are frozen once resolved, groups included', () => {
    for (const settings of [settingsOf({}), settingsOf({ pool: { mode: 'short' }, serializer })]) {
      expect(Object.isFrozen(settings)).toBe(true);
      expect(Object.isFrozen(settings.pool)).toBe(true);
      expect(Object.isFrozen(settings.backoff)).toBe(true);
      expect(Object.isFrozen(settings.heartbeat)).toBe(true);
    }
  });

  it('take 0 and false as what they say, and undefined as left out', () => {
    const settings = settingsOf({
      requestTimeoutMs: 0,
      drainTimeoutMs: 0,
      heartbeat: false,
      keepAlive: false,
      pool: {
        min: 0,
        maxWaiters: 0,
        idleTimeoutMs: 0,
        maxLifetimeMs: 0,
        leakWarnMs: 0,
        prewarm: false,
        max: undefined,
      },
      maxFrameBytes: undefined,
    });

    expect(settings).toMatchObject({ requestTimeoutMs: 0, drainTimeoutMs: 0, heartbeat: false, keepAlive: false });
    expect(settings.pool).toMatchObject({ min: 0, maxWaiters: 0, idleTimeoutMs: 0, maxLifetimeMs: 0, prewarm: false });
    expect(settings.pool.max).toBe(10);
    expect(settings.maxFrameBytes).toBe(8 * 1024 * 1024);
  });

  it.each<[object, string]>([
    [{ pool: { mim: 1 } }, 'PTCP_OPTION_UNKNOWN: pool.mim is not an option; did you mean min?'],
    [{ endpoint: 'a:1' }, 'PTCP_OPTION_UNKNOWN: endpoint is not an option; did you mean endpoints?'],
    [
      { heartbeat: { interval: 1 } },
      'PTCP_OPTION_UNKNOWN: heartbeat.interval is not an option; did you mean intervalMs?',
    ],
    [{ pool: { max: 0 } }, 'PTCP_OPTION_INVALID: pool.max (0) must be a whole number from 1 to 10000'],
    [
      { pool: { mode: 'pooled' } },
      "PTCP_OPTION_INVALID: pool.mode ('pooled') must be one of 'shared', 'exclusive', 'short'",
    ],
    [{ pool: 5 }, 'PTCP_OPTION_INVALID: pool (5) must be an object'],
    [
      { pool: { prewarm: true } },
      "PTCP_OPTION_INVALID: pool.prewarm (true) must be one of 'required', 'background', false",
    ],
    [
      { requestTimeoutMs: '10s' },
      "PTCP_OPTION_INVALID: requestTimeoutMs ('10s') must be a whole number of milliseconds from 0 to 2147483647",
    ],
    [
      { maxFrameBytes: 63 },
      'PTCP_OPTION_INVALID: maxFrameBytes (63) must be a whole number of bytes from 1024 to 2147483647',
    ],
    [{ backoff: { jitter: 1.5 } }, 'PTCP_OPTION_INVALID: backoff.jitter (1.5) must be a number from 0 to 1'],
    [{ backoff: false }, 'PTCP_OPTION_INVALID: backoff (false) must be an object'],
    [{ tls: 'yes' }, "PTCP_OPTION_INVALID: tls ('yes') must be true, false, or options of tls.connect()"],
    [{ protocol: 'native' }, "PTCP_OPTION_INVALID: protocol ('native') must be 'auto', native() or nestJson()"],
    [{ protocol: native }, "PTCP_OPTION_INVALID: protocol (a function) must be 'auto', native() or nestJson()"],
    [{ serializer: {} }, 'PTCP_OPTION_INVALID: serializer (an object) must be an object with a method serialize()'],
    [{ name: '' }, "PTCP_OPTION_INVALID: name ('') must be a non-empty string"],
  ])('refuse %j', (options, expected) => {
    expect(refusal(options)).toBe(expected);
  });

  it('refuse a pool whose bounds contradict each other', () => {
    expect(refusal({ pool: { min: 12 } })).toBe(
      'PTCP_OPTION_CONFLICT: pool.min (12) is greater than pool.max (10); raise max or lower min',
    );
    expect(refusal({ pool: { leakWarnMs: 500, leakReclaimMs: 500 } })).toMatch(
      /^PTCP_OPTION_CONFLICT: pool.leakWarnMs \(500\) is not below pool.leakReclaimMs \(500\)/,
    );
    expect(settingsOf({ pool: { leakWarnMs: 500, leakReclaimMs: 0 } }).pool.leakReclaimMs).toBe(0);
  });

  it("refuse connections to keep in mode 'short', and keep none there", () => {
    expect(refusal({ pool: { mode: 'short', min: 1 } })).toBe(
      "PTCP_OPTION_CONFLICT: pool.min (1) keeps connections that pool.mode 'short' never uses; leave it out",
    );
    const short: PoolOptions[] = [{ mode: 'short' }, { mode: 'short', min: 0 }, { mode: 'short', max: 1 }];
    for (const pool of short) expect(settingsOf({ pool }).pool.min).toBe(0);
  });

  it('refuse serializers with native(), and imply the stock wire without', () => {
    expect(refusal({ protocol: native(), serializer })).toMatch(/^PTCP_OPTION_CONFLICT: serializer shapes stock Nest/);
    expect(refusal({ protocol: native(), deserializer })).toMatch(/^PTCP_OPTION_CONFLICT: deserializer shapes/);
    expect(settingsOf({ serializer }).protocol).toBe('nest-json');
    expect(settingsOf({ deserializer, protocol: nestJson() }).protocol).toBe('nest-json');
    expect(settingsOf({ protocol: native() }).protocol).toBe('native');
  });

  it('read tls as options, on, or off', () => {
    const tls = { ca: 'certificate' };

    expect(settingsOf({ tls }).tls).toBe(tls);
    expect(settingsOf({ tls: true }).tls).toEqual({});
    expect(settingsOf({ tls: false }).tls).toBeUndefined();
  });
});

describe('balancer and ejection', () => {
  const of = (options: object) => resolveClientOptions({ port: 1, ...options });

  it('are two random choices, and five failures for half a minute to five', () => {
    expect(of({})).toMatchObject({
      balancer: 'p2c',
      ejection: { failures: 5, baseMs: 30_000, maxMs: 300_000, maxShare: 0.5 },
    });
    expect(of({ ejection: false, balancer: 'round-robin' })).toMatchObject({
      ejection: false,
      balancer: 'round-robin',
    });
  });

  it('are refused where they make no sense', () => {
    expect(() => of({ balancer: 'random' })).toThrow(/balancer \('random'\) must be one of 'p2c'/);
    expect(() => of({ ejection: { maxShare: 2 } })).toThrow(/ejection\.maxShare \(2\) must be a number from 0 to 1/);
    expect(() => of({ ejection: { baseMs: 400_000 } })).toThrow(
      'ejection.baseMs (400000) is greater than ejection.maxMs (300000)',
    );
  });
});
