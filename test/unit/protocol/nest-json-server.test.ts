import { describe, expect, it } from '@jest/globals';
import { FAILURES } from '../../../lib/protocol/messages.js';
import { byteByByte, thrownBy } from '../../support/bytes.js';
import { message, nestFrameOf, nestJsonWire, packetsIn } from './harness.js';

const NO_HANDLER = 'There is no matching message handler defined in the remote service.';

describe('a server on the stock wire', () => {
  it('answers as ServerTCP does, with the id as it came', () => {
    const { server, serverWriter } = nestJsonWire();
    server.response('a', 1);
    server.item('b', undefined);
    server.completed('b');
    server.failure('c', 'handler', { status: 'error', message: 'm' });
    server.failure('d', 'no-handler', undefined);

    expect(packetsIn(serverWriter.take())).toEqual([
      { response: 1, isDisposed: true, id: 'a' },
      { id: 'b' },
      { isDisposed: true, id: 'b' },
      { err: { status: 'error', message: 'm' }, isDisposed: true, id: 'c' },
      { id: 'd', status: 'error', err: NO_HANDLER },
    ]);
  });

  it.each(FAILURES.map(({ kind }) => [kind]))('lets our client tell a failure of kind %s from the others', (kind) => {
    const wire = nestJsonWire();
    wire.server.failure('3', kind, 'why');

    expect(wire.toClient()[0]?.slice(0, 3)).toEqual(['failure', 3, kind]);
  });

  it.each([[null], [0], [false], [''], [[]], ['ünï €']])('carries %j both ways', (data) => {
    const wire = nestJsonWire();
    wire.client.request(1, message('p', data, { a: 'b' }), 100);
    void wire.client.event(message('p', data));
    expect(wire.toServer()).toEqual([
      ['request', '1', 'p', data, { a: 'b' }, undefined],
      ['event', 'p', data, undefined],
    ]);
    wire.server.item('1', data);
    wire.server.response('1', data);
    expect(wire.toClient()).toEqual([
      ['item', 1, data],
      ['response', 1, data],
    ]);
  });

  it('completes without a value where the handler returned undefined', () => {
    const wire = nestJsonWire();
    wire.server.response('1', undefined);

    expect(wire.toClient()).toEqual([['end', 1]]);
  });

  it('carries 1 MiB of any script, byte by byte', () => {
    const wire = nestJsonWire();
    const data = '€😀a'.repeat(120_000);
    wire.client.request(1, message('p', data), 1);
    for (const byte of byteByByte(wire.clientWriter.take())) wire.server.receive(byte);

    expect(wire.serverHeard).toHaveLength(1);
    expect(wire.serverHeard[0]?.[3] === data).toBe(true);
  });

  it('takes a packet without an id for an event, and one with null for a request, as stock Nest does', () => {
    const wire = nestJsonWire();
    for (const packet of [{ pattern: 'p', data: 1 }, { pattern: 'p', id: null }, null, 5, []]) {
      wire.server.receive(nestFrameOf(packet));
    }

    expect(wire.serverHeard).toEqual([
      ['event', 'p', 1, undefined],
      ['request', null, 'p', undefined, undefined, undefined],
      ['event', undefined, undefined, undefined],
      ['event', undefined, undefined, undefined],
      ['event', undefined, undefined, undefined],
    ]);
  });

  it('passes on metadata only where it is an object of strings', () => {
    const wire = nestJsonWire();
    for (const metadata of [{ a: 'b' }, {}, { a: 1 }, ['a'], 'a', null]) {
      wire.server.receive(nestFrameOf({ pattern: 'p', metadata }));
    }

    expect(wire.serverHeard.map((heard) => heard[3])).toEqual([{ a: 'b' }, {}, ...Array<undefined>(4)]);
  });

  it('loses one message that does not parse, tells the client why, and goes on', () => {
    const wire = nestJsonWire();
    wire.server.receive(Buffer.concat([nestFrameOf('{"secret'), nestFrameOf({ pattern: 'p', data: 1 })]));

    expect(wire.serverHeard).toEqual([
      ['malformed', 'PTCP_PAYLOAD_MALFORMED'],
      ['event', 'p', 1, undefined],
    ]);
    const [told] = packetsIn(wire.serverWriter.take());
    expect(told).toMatchObject({ err: { code: 'PTCP_PAYLOAD_MALFORMED' }, isDisposed: true });
    expect(JSON.stringify(told)).not.toContain('secret');
  });

  it('answers heartbeats itself, and knows that a frame has arrived all the same', () => {
    const wire = nestJsonWire();
    expect(wire.server.hasFrame).toBe(false);
    wire.client.ping(3);

    expect(wire.toServer()).toEqual([]);
    expect(wire.toClient()).toEqual([['pong', 3]]);
    expect(wire.server.hasFrame).toBe(true);
  });

  it('says goodbye only to a peer that did something wrong: the stock wire has no goaway', () => {
    const { server, serverWriter } = nestJsonWire();
    server.goaway({ message: 'shutting down' });
    server.ping(1);
    server.pong(1);
    expect(serverWriter.take()).toHaveLength(0);
    server.goaway({ code: 'PTCP_FRAME_TOO_LARGE', message: 'm' });
    expect(packetsIn(serverWriter.take())).toEqual([
      { err: { status: 'error', code: 'PTCP_FRAME_TOO_LARGE', message: 'm' }, isDisposed: true },
    ]);
  });

  it('cannot push', () => {
    const { server } = nestJsonWire();

    expect(
      thrownBy(() => {
        server.push('q', 1);
      }).code,
    ).toBe('PTCP_UNSUPPORTED');
  });

  it('throws for an answer it cannot write, and leaves no byte behind', () => {
    const { server, serverWriter } = nestJsonWire({ server: { maxFrameBytes: 1024 } });
    for (const [data, code] of [
      [1n, 'PTCP_PAYLOAD_UNSERIALIZABLE'],
      ['€'.repeat(400), 'PTCP_FRAME_TOO_LARGE'],
    ]) {
      expect(
        thrownBy(() => {
          server.response('1', data);
        }).code,
      ).toBe(code);
    }
    expect(serverWriter.take()).toHaveLength(0);
  });

  it('refuses garbage and frames that are too large', () => {
    for (const [bytes, code] of [
      ['GET /', 'PTCP_FRAME_MALFORMED'],
      ['1025#', 'PTCP_FRAME_TOO_LARGE'],
    ] as const) {
      const { server } = nestJsonWire({ server: { maxFrameBytes: 1024 } });
      expect(
        thrownBy(() => {
          server.receive(Buffer.from(bytes));
        }).code,
      ).toBe(code);
    }
  });
});
