import { describe, expect, it } from '@jest/globals';
import { resolveClientOptions } from '../../../lib/client/settings.js';
import {
  delimiter,
  native,
  nestJson,
  untilClose,
  type PooledTcpClientOptions,
  type PooledTcpServerOptions,
} from '../../../lib/index.js';
import { resolveServerOptions } from '../../../lib/server/settings.js';
import { thrownBy } from '../../support/bytes.js';
import { bankCodec } from '../../support/foreign/bank.js';

const framing = delimiter('\n');
const serializer = { serialize: (value: unknown) => value };
const plain = { ...bankCodec, correlation: undefined, heartbeat: undefined };

const both: [string, PooledTcpClientOptions & PooledTcpServerOptions, RegExp][] = [
  [
    'a message codec without framing',
    { codec: bankCodec },
    /add|say how its frames are cut, e\.g\. framing: lengthField/,
  ],
  [
    'framing with a named codec',
    { framing, codec: 'json' },
    /give an object with encode\(\) and decode\(\), or leave codec out/,
  ],
  ['framing with native()', { framing, protocol: native() }, /native\(\) has a framing of its own; leave out/],
  ['framing with nestJson()', { framing, protocol: nestJson() }, /nestJson\(\) has a framing of its own; leave out/],
  ['framing with a serializer', { framing, serializer }, /shape messages in codec/],
  [
    'a heartbeat that the codec does not have',
    { framing, codec: plain, heartbeat: {} },
    /add heartbeat to the codec, or leave/,
  ],
  ['a heartbeat of frames without a codec', { framing, heartbeat: true }, /add heartbeat to the codec, or leave/],
];

describe('options of a foreign protocol', () => {
  it.each(both)('refuse %s at both ends, and say what to do', (_title, options, text) => {
    const expected = { code: 'PTCP_OPTION_CONFLICT', message: expect.stringMatching(text) as unknown };
    expect(thrownBy(() => resolveClientOptions({ port: 1, ...options }))).toMatchObject(expected);
    expect(thrownBy(() => resolveServerOptions(options))).toMatchObject(expected);
  });

  it.each<[string, PooledTcpClientOptions, RegExp]>([
    ['credentials', { framing, credentials: 'x' }, /log in with onConnect\(connection\) of the codec/],
    ['untilClose() on connections that are kept', { framing: untilClose() }, /use pool.mode: 'short'/],
    [
      'many calls at once with a serial codec',
      { framing, codec: bankCodec, pool: { maxInFlight: 16 } },
      /raise pool.max/,
    ],
    ['many calls at once without a codec', { framing, pool: { maxInFlight: 2 } }, /leave it out and raise pool.max/],
  ])('refuse %s at a client', (_title, options, text) => {
    expect(thrownBy(() => resolveClientOptions({ port: 1, ...options }))).toMatchObject({
      code: 'PTCP_OPTION_CONFLICT',
      message: expect.stringMatching(text) as unknown,
    });
  });

  it.each<[string, PooledTcpServerOptions, RegExp]>([
    ['authenticate', { framing, authenticate: () => 'ann' }, /check the login in its @MessagePattern handler/],
    ['untilClose()', { framing: untilClose() }, /use a framing that ends each request/],
  ])('refuse %s at a server', (_title, options, text) => {
    expect(thrownBy(() => resolveServerOptions(options))).toMatchObject({
      code: 'PTCP_OPTION_CONFLICT',
      message: expect.stringMatching(text) as unknown,
    });
  });

  it.each<[object, string]>([
    [{ codec: { encode: () => Buffer.alloc(0) } }, 'codec (an object) must be an object with the methods encode'],
    [{ codec: { ...bankCodec, correlation: 'fifo' } }, "codec.correlation ('fifo') must be 'id' or 'serial'"],
    [{ codec: { ...bankCodec, maxId: 0 } }, 'codec.maxId (0) must be a whole number, 1 or more'],
    [{ codec: { ...bankCodec, heartbeat: {} } }, 'codec.heartbeat (an object) must be an object with a method ask(id)'],
    [{ codec: { ...bankCodec, onConnect: 'login' } }, "codec.onConnect ('login') must be a function"],
    [{ framing: {} }, 'framing (an object) must be a framing, such as lengthField() or delimiter()'],
  ])('refuse %j', (options, message) => {
    const given = { port: 1, framing, ...options } as PooledTcpClientOptions;
    expect(thrownBy(() => resolveClientOptions(given))).toMatchObject({
      code: 'PTCP_OPTION_INVALID',
      message: expect.stringContaining(message) as unknown,
    });
  });

  it('give a serial protocol one call a connection in mode shared, and leave the other modes as they are', () => {
    const settings = resolveClientOptions({ port: 1, framing, codec: bankCodec });
    expect([settings.protocol, settings.pool.maxInFlight]).toEqual(['foreign', 1]);
    const exclusive = resolveClientOptions({ port: 1, framing, codec: bankCodec, pool: { mode: 'exclusive' } });
    expect(exclusive.pool.maxInFlight).toBe(8192);
    expect(resolveClientOptions({ port: 1, framing, codec: plain }).pool.maxInFlight).toBe(8192);
    expect(resolveServerOptions({ framing, codec: bankCodec }).protocol).toBe('foreign');
  });
});
