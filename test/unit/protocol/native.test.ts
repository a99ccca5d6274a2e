import { describe, expect, it } from '@jest/globals';
import { FAILURES } from '../../../lib/protocol/messages.js';
import { byteByByte, thrownBy } from '../../support/bytes.js';
import { message, nativeWire } from './harness.js';

const PAYLOADS: unknown[] = [
  undefined,
  null,
  false,
  true,
  0,
  -1.5,
  '',
  'text',
  'ünïcödé € 😀',
  '\ud83d',
  [],
  [1, [2, null]],
  {},
  { a: { b: 'c' } },
  Buffer.from([0, 255, 10]),
  Buffer.alloc(0),
];

describe('the native protocol', () => {
  it.each(PAYLOADS.map((data) => [data]))('carries the payload %j both ways', (data) => {
    const wire = nativeWire();
    wire.client.request(1, message('p', data), 500);
    void wire.client.event(message('p', data));
    expect(wire.toServer()).toEqual([
      ['request', 1, 'p', data, undefined, 500],
      ['event', 'p', data, undefined],
    ]);

    wire.server.response(1, data);
    wire.server.item(2, data);
    wire.server.failure(3, 'handler', data);
    wire.server.push('q', data);
    expect(wire.toClient()).toEqual([
      ['response', 1, data],
      ['item', 2, data],
      ['failure', 3, 'handler', data],
      ['push', 'q', data],
    ]);
  });

  it('carries every other message', () => {
    const wire = nativeWire();
    wire.client.cancel(7);
    wire.client.ping(1);
    wire.client.pong(2 ** 32 - 1);
    expect(wire.toServer()).toEqual([
      ['cancel', 7],
      ['ping', 1],
      ['pong', 2 ** 32 - 1],
    ]);

    wire.server.completed(7);
    wire.server.ping(3);
    wire.server.pong(4);
    wire.server.goaway({ message: 'shutting down' });
    wire.server.goaway({ code: 'PTCP_FRAME_TOO_LARGE', message: 'too much' });
    expect(wire.toClient()).toEqual([
      ['end', 7],
      ['ping', 3],
      ['pong', 4],
      ['goaway', { code: undefined, message: 'shutting down' }],
      ['goaway', { code: 'PTCP_FRAME_TOO_LARGE', message: 'too much' }],
    ]);
  });

  it.each(FAILURES.map(({ kind }) => [kind]))('tells a failure of kind %s from the others', (kind) => {
    const wire = nativeWire();
    wire.server.failure(9, kind, 'why');

    expect(wire.toClient()).toEqual([['failure', 9, kind, 'why']]);
  });

  it('carries metadata and the deadline, and says when there is none', () => {
    const wire = nativeWire();
    wire.client.request(1, message('p', 1, { trace: 'é', tenant: '' }), 250.2);
    wire.client.request(2, message('p', 1), 0.1);
    wire.client.request(3, message('p', 1, {}), 0);
    void wire.client.event(message('p', undefined, { a: 'b' }));

    expect(wire.toServer()).toEqual([
      ['request', 1, 'p', 1, { trace: 'é', tenant: '' }, 251],
      ['request', 2, 'p', 1, undefined, 1],
      ['request', 3, 'p', 1, {}, undefined],
      ['event', 'p', undefined, { a: 'b' }],
    ]);
  });

  it('carries deadlines further away than the field can say as the furthest it can', () => {
    const wire = nativeWire();
    wire.client.request(1, message('p'), 2 ** 40);

    expect(wire.toServer()).toEqual([['request', 1, 'p', undefined, undefined, 2 ** 32 - 1]]);
  });

  it('numbers calls up to 2^32 - 1', () => {
    const wire = nativeWire();
    wire.client.request(2 ** 32 - 1, message('p'), 1);
    expect(wire.toServer()[0]?.[1]).toBe(2 ** 32 - 1);
    wire.server.response(2 ** 32 - 1, 1);
    expect(wire.toClient()[0]?.[1]).toBe(2 ** 32 - 1);
  });

  it('hands binary data on untouched, in memory of its own', () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const received = (count: number): { data: Buffer[]; chunk: Buffer } => {
      const wire = nativeWire();
      for (let i = 0; i < count; i++) void wire.client.event(message('p', bytes));
      const chunk = wire.clientWriter.take();
      wire.server.receive(chunk);
      return { data: wire.serverHeard.map((heard) => heard[2] as Buffer), chunk };
    };
    const one = received(1);
    expect(one.data).toEqual([bytes]);
    one.chunk.fill(0);
    expect(one.data).toEqual([bytes]);
    const many = received(4);
    many.chunk.fill(0);
    expect(many.data).toEqual([bytes, bytes, bytes, bytes]);
  });

  it('takes a Uint8Array as binary data, its own part of the memory only', () => {
    const wire = nativeWire();
    void wire.client.event(message('p', new Uint8Array([9, 1, 2, 9]).subarray(1, 3)));

    expect(wire.toServer()[0]?.[2]).toEqual(Buffer.from([1, 2]));
  });

  it.each<[string, unknown]>([
    ['a string', 'x'.repeat(1024 * 1024)],
    ['a string of three bytes a character', '€'.repeat(400_000)],
    ['a string just below the length that is encoded apart', '€'.repeat(16 * 1024 - 3)],
    ['a string just at the length that is encoded apart', '€'.repeat(16 * 1024 - 2)],
    ['a buffer', Buffer.alloc(1024 * 1024, 7)],
    ['a buffer that is still copied', Buffer.alloc(16 * 1024 - 1, 7)],
  ])('carries %s of that size, whole and in pieces', (_title, data) => {
    const wire = nativeWire();
    for (let i = 0; i < 3; i++) wire.client.request(i, message('p', data), 1000);
    wire.client.flush();
    const bytes = wire.clientWriter.take();
    wire.server.receive(bytes.subarray(0, 100_000));
    wire.server.receive(bytes.subarray(100_000));

    expect(wire.serverHeard).toHaveLength(3);
    for (const [, , , received] of wire.serverHeard) {
      expect(Buffer.isBuffer(data) ? data.equals(received as Buffer) : received === data).toBe(true);
    }
  });

  it('yields the same messages byte by byte', () => {
    const wire = nativeWire();
    wire.client.request(1, message('sum', [1, 2], { a: 'b' }), 100);
    void wire.client.event(message('sum', 'é'));
    wire.client.cancel(1);
    for (const byte of byteByByte(wire.clientWriter.take())) wire.server.receive(byte);
    wire.server.end();

    expect(wire.serverHeard.map(([method]) => method)).toEqual(['request', 'event', 'cancel']);
  });

  it('asks for a flush with every message, and for none where it threw', () => {
    const wire = nativeWire({ serverMaxFrameBytes: 100 });
    wire.client.ping(1);
    void wire.client.event(message('p'));
    thrownBy(() => {
      void wire.client.event(message('p', 'x'.repeat(100)));
    });

    expect(wire.clientWriter.scheduled).toBe(2);
  });
});
