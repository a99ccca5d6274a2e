import { describe, expect, it } from '@jest/globals';
import { thrownBy } from '../../support/bytes.js';
import { message, nativeWire } from './harness.js';

describe('a native message that cannot be written', () => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;

  it.each<[string, unknown]>([
    ['a cycle', cycle],
    ['a BigInt', { n: 1n }],
    [
      'a throwing toJSON',
      {
        toJSON() {
          throw new Error('not for you');
        },
      },
    ],
  ])('throws for %s, and leaves no byte behind', (_title, data) => {
    const wire = nativeWire();
    for (const write of [
      () => {
        wire.client.request(1, message('p', data), 1);
      },
      () => {
        void wire.client.event(message('p', data));
      },
    ]) {
      const error = thrownBy(write);
      expect(error.code).toBe('PTCP_PAYLOAD_UNSERIALIZABLE');
      expect(error.sent).toBe(false);
      expect(error.cause).toBeInstanceOf(Error);
      expect(error.message).not.toContain('\n');
    }
    for (const write of [
      () => {
        wire.server.response(1, data);
      },
      () => {
        wire.server.item(1, data);
      },
      () => {
        wire.server.push('q', data);
      },
      () => {
        wire.server.failure(1, 'handler', data);
      },
    ]) {
      expect(thrownBy(write).code).toBe('PTCP_PAYLOAD_UNSERIALIZABLE');
    }
    expect(wire.clientWriter.take()).toHaveLength(0);
    expect(wire.serverWriter.take()).toHaveLength(0);
  });

  it.each<[string, unknown]>([
    ['a BigInt', { n: 1n }],
    ['a number', { attempt: 1 }],
    ['a method', { toJSON: () => 'x' }],
    ['no object', 'trace'],
    ['an array', ['trace']],
    ['null', null],
  ])('throws for metadata with %s, which the server would close the connection over', (_title, metadata) => {
    const wire = nativeWire();

    expect(
      thrownBy(() => {
        wire.client.request(1, message('p', 1, metadata as Record<string, string>), 1);
      }).code,
    ).toBe('PTCP_PAYLOAD_UNSERIALIZABLE');
    expect(wire.clientWriter.take()).toHaveLength(0);
  });

  it.each<[string, unknown]>([
    ['text', 'x'.repeat(2000)],
    ['text that is too large only in bytes', '€'.repeat(700)],
    ['text that is encoded apart', 'x'.repeat(50_000)],
    ['binary data', Buffer.alloc(2000)],
  ])('throws for %s larger than the peer takes, and leaves no byte behind', (_title, data) => {
    const wire = nativeWire({ serverMaxFrameBytes: 2000, clientMaxFrameBytes: 2000 });

    const error = thrownBy(() => {
      wire.client.request(1, message('p', data), 1);
    });
    expect(error).toMatchObject({ code: 'PTCP_FRAME_TOO_LARGE', sent: false });
    expect(error.message).toContain('maxFrameBytes (2000)');
    expect(
      thrownBy(() => {
        wire.server.response(1, data);
      }).code,
    ).toBe('PTCP_FRAME_TOO_LARGE');
    expect(wire.clientWriter.take()).toHaveLength(0);
    expect(wire.serverWriter.take()).toHaveLength(0);
  });

  it('throws only for what the peer would refuse: both ends agree on the largest frame', () => {
    const limit = 1200;
    for (const letter of ['x', '€']) {
      const wire = nativeWire({ serverMaxFrameBytes: limit });
      let written = 0;
      for (let length = 1; length < limit; length++) {
        try {
          void wire.client.event(message('p', letter.repeat(length)));
          written += 1;
        } catch {
          break;
        }
      }
      expect(wire.toServer()).toHaveLength(written);
      expect(written * Buffer.byteLength(letter)).toBeGreaterThan(limit - 40);
    }
  });

  it('throws for a pattern longer than the wire can say, from either side', () => {
    const wire = nativeWire();
    const route = 'p'.repeat(65_536);

    expect(
      thrownBy(() => {
        wire.client.request(1, message(route), 1);
      }).code,
    ).toBe('PTCP_FRAME_TOO_LARGE');
    expect(
      thrownBy(() => {
        wire.server.push(route, 1);
      }).code,
    ).toBe('PTCP_FRAME_TOO_LARGE');
    void wire.client.event(message(route.slice(1)));
    expect(wire.toServer()[0]?.[1]).toHaveLength(65_535);
  });
});
