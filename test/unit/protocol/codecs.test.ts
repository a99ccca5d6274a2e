import { describe, expect, it } from '@jest/globals';
import { createRequire } from 'node:module';
import { resolveClientOptions } from '../../../lib/client/settings.js';
import { chooseCodec, offeredCodecs } from '../../../lib/protocol/codecs.js';
import { loadMessagePack } from '../../../lib/protocol/msgpack/package.js';
import { nestJson } from '../../../lib/protocol/protocol.js';
import { resolveServerOptions } from '../../../lib/server/settings.js';

describe('the choice of a codec', () => {
  it('is the client’s: it offers what it was told to use, and JSON with it', () => {
    expect(offeredCodecs('json')).toBeUndefined();
    expect(offeredCodecs('msgpack')).toEqual(['msgpack', 'json']);
    expect(offeredCodecs('auto')).toEqual(['msgpack', 'json']);
  });

  it.each([
    ['auto', ['msgpack', 'json'], 'msgpack'],
    ['msgpack', ['msgpack', 'json'], 'msgpack'],
    ['json', ['msgpack', 'json'], 'json'],
    ['auto', ['json', 'msgpack'], 'json'],
    ['auto', ['cbor', 'msgpack'], 'msgpack'],
    ['auto', ['cbor'], 'json'],
    ['auto', [], 'json'],
    ['auto', undefined, 'json'],
    ['msgpack', undefined, 'json'],
  ] as const)('a server with %s that is offered %j takes %s', (choice, offered, taken) => {
    expect(chooseCodec(choice, offered).name).toBe(taken);
  });

  it('is JSON where nothing is said by the client, and the client’s where nothing is said by the server', () => {
    expect(resolveClientOptions({ port: 1 }).codec).toBe('json');
    expect(resolveServerOptions({}).codec).toBe('auto');
  });

  it('is refused when it is none', () => {
    for (const resolve of [
      () => resolveClientOptions({ port: 1, codec: 'cbor' as 'json' }),
      () => resolveServerOptions({ codec: 'cbor' as 'json' }),
    ])
      expect(resolve).toThrow(
        expect.objectContaining({
          code: 'PTCP_OPTION_INVALID',
          message: "codec ('cbor') must be 'json', 'msgpack', 'auto', or a MessageCodec beside framing",
        }),
      );
  });

  it('contradicts the stock wire, and whatever implies it', () => {
    const serializer = { serialize: (value: unknown) => value };
    const deserializer = { deserialize: (value: unknown) => value };
    for (const [options, named] of [
      [{ protocol: nestJson() }, 'nestJson()'],
      [{ serializer }, 'serializer'],
      [{ deserializer }, 'deserializer'],
    ] as const) {
      for (const resolve of [
        () => resolveClientOptions({ port: 1, codec: 'msgpack', ...options } as never),
        () => resolveServerOptions({ codec: 'msgpack', ...options } as never),
      ])
        expect(resolve).toThrow(
          expect.objectContaining({ code: 'PTCP_OPTION_CONFLICT', message: expect.stringContaining(named) }),
        );
      expect(() => resolveServerOptions(options as never)).not.toThrow();
    }
  });
});

describe('the optional package', () => {
  it('is named with the command that installs it, when it is missing', () => {
    const missing = Object.assign(new Error("Cannot find module 'msgpackr'"), { code: 'MODULE_NOT_FOUND' });
    const load = (): never => {
      throw missing;
    };
    expect(() => loadMessagePack(load)).toThrow(
      expect.objectContaining({
        code: 'PTCP_PACKAGE_MISSING',
        message: "codec 'msgpack' needs the package msgpackr, which is not installed; run: npm install msgpackr@2",
        cause: missing,
      }),
    );
  });

  it('is said to be broken, when it is', () => {
    const load = (): never => {
      throw new SyntaxError('bad');
    };
    expect(() => loadMessagePack(load)).toThrow(expect.objectContaining({ message: expect.stringContaining('(bad)') }));
  });

  it('is refused in a version that breaks on objects without a structure, as those before 2.1.2 do', () => {
    const real = createRequire(import.meta.url)('msgpackr') as { Packr: new (options: object) => object };
    class OldPackr {
      pack(): never {
        throw new TypeError("Cannot set properties of undefined (setting 'Symbol(record-id)')");
      }
    }
    expect(() => loadMessagePack(() => ({ ...real, Packr: OldPackr }))).toThrow(
      expect.objectContaining({
        code: 'PTCP_PACKAGE_MISSING',
        message: expect.stringContaining('in a version that cannot be used'),
      }),
    );
    expect(loadMessagePack(() => real)).toBe(real);
  });
});
