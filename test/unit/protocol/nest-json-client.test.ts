import { describe, expect, it } from '@jest/globals';
import { thrownBy } from '../../support/bytes.js';
import { message, nestFrameOf, nestJsonWire, packetsIn } from './harness.js';

const NO_HANDLER = 'There is no matching message handler defined in the remote service.';

describe('a client on the stock wire', () => {
  it('writes requests and events as ClientTCP does', () => {
    const { client, clientWriter } = nestJsonWire();
    client.request(7, { pattern: { cmd: 'sum' }, route: '{"cmd":"sum"}', data: [1, 2], metadata: undefined }, 100);
    client.request(8, message('p', undefined, { trace: 't' }), 100);
    void client.event({ pattern: { cmd: 'e' }, route: '{"cmd":"e"}', data: null, metadata: undefined });

    expect(packetsIn(clientWriter.take())).toEqual([
      { pattern: { cmd: 'sum' }, data: [1, 2], id: '7' },
      { pattern: 'p', metadata: { trace: 't' }, id: '8' },
      { pattern: '{"cmd":"e"}', data: null },
    ]);
    expect(clientWriter.scheduled).toBe(3);
  });

  it.each<[string, object, readonly unknown[]]>([
    ['a last value', { response: 3, isDisposed: true }, ['response', 1, 3]],
    ['a value of a stream', { response: 3 }, ['item', 1, 3]],
    ['the end of a stream', { isDisposed: true }, ['end', 1]],
    ['null as a value', { response: null, isDisposed: true }, ['response', 1, null]],
    ['false as a value', { response: false, isDisposed: true }, ['response', 1, false]],
    ['0 in a stream', { response: 0 }, ['item', 1, 0]],
    [
      'an error',
      { err: { status: 'error', message: 'm' }, isDisposed: true },
      ['failure', 1, 'handler', { status: 'error', message: 'm' }],
    ],
    ['an error without isDisposed', { err: 'text' }, ['failure', 1, 'handler', 'text']],
    ['an error that is null', { err: null, response: 1, isDisposed: true }, ['response', 1, 1]],
    ['an unknown pattern', { status: 'error', err: NO_HANDLER }, ['failure', 1, 'no-handler', NO_HANDLER]],
    [
      'an error that looks like a refusal of ours',
      { err: { code: 'PTCP_ABORTED' } },
      ['failure', 1, 'handler', { code: 'PTCP_ABORTED' }],
    ],
    [
      'an error whose code is a name every object has',
      { err: { code: 'toString' } },
      ['failure', 1, 'handler', { code: 'toString' }],
    ],
  ])('reads %s', (_title, packet, heard) => {
    const wire = nestJsonWire();
    wire.client.receive(nestFrameOf({ id: '1', ...packet }));

    expect(wire.clientHeard).toEqual([heard]);
  });

  it('takes a reply with any other key for a foreign payload, whole, as the stock deserializer does', () => {
    const wire = nestJsonWire();
    const foreign = { id: '1', response: 5, traceId: 'x' };
    wire.client.receive(nestFrameOf(foreign));

    expect(wire.clientHeard).toEqual([['response', 1, foreign]]);
  });

  it.each<[string, unknown]>([
    ['no object', 42],
    ['an array', []],
    ['null', null],
  ])('drops a packet that is %s', (_title, packet) => {
    const wire = nestJsonWire();
    wire.client.receive(nestFrameOf(packet));

    expect(wire.clientHeard).toEqual([]);
  });

  it('finds no call for an id that is neither text nor number', () => {
    const wire = nestJsonWire();
    for (const id of [null, [1], { toString: 1, valueOf: 1 }, true, undefined]) {
      wire.client.receive(nestFrameOf({ id, response: 1, isDisposed: true }));
    }

    expect(wire.clientHeard.map(([, id]) => id)).toEqual([NaN, NaN, NaN, NaN, NaN]);
  });

  it('loses one reply that does not parse, and no other', () => {
    const wire = nestJsonWire();
    wire.client.receive(Buffer.concat([nestFrameOf('{nope'), nestFrameOf({ id: '2', isDisposed: true })]));

    expect(wire.clientHeard).toEqual([
      ['malformed', 'PTCP_PAYLOAD_MALFORMED'],
      ['end', 2],
    ]);
  });

  it('has its heartbeat answered by any stock server, which knows no such pattern', () => {
    const wire = nestJsonWire();
    wire.client.ping(41);
    const [ping] = packetsIn(wire.clientWriter.take());
    wire.client.receive(nestFrameOf({ id: (ping as { id: string }).id, status: 'error', err: NO_HANDLER }));

    expect(wire.clientHeard).toEqual([['pong', 41]]);
  });

  it('throws for what it cannot write, and leaves no byte behind', () => {
    const { client, clientWriter } = nestJsonWire({ client: { maxFrameBytes: 1024 } });
    const cases: [unknown, string][] = [
      [1n, 'PTCP_PAYLOAD_UNSERIALIZABLE'],
      ['x'.repeat(1024), 'PTCP_FRAME_TOO_LARGE'],
      ['€'.repeat(400), 'PTCP_FRAME_TOO_LARGE'],
    ];
    for (const [data, code] of cases) {
      expect(
        thrownBy(() => {
          client.request(1, message('p', data), 1);
        }),
      ).toMatchObject({ code, sent: false });
      expect(thrownBy(() => client.event(message('p', data))).code).toBe(code);
    }
    expect(clientWriter.take()).toHaveLength(0);
    expect(clientWriter.scheduled).toBe(0);
  });

  it('throws only for what a server with the same limit would refuse', () => {
    for (const letter of ['x', 'é', '€', '😀']) {
      const wire = nestJsonWire({ client: { maxFrameBytes: 1024 }, server: { maxFrameBytes: 1024 } });
      let written = 0;
      for (let length = 1; length < 1100; length++) {
        try {
          void wire.client.event(message('p', letter.repeat(length)));
          written += 1;
        } catch {
          break;
        }
      }
      expect(wire.toServer()).toHaveLength(written);
      expect(written).toBe(Math.floor((1024 - '{"pattern":"p","data":""}'.length) / Buffer.byteLength(letter)));
    }
  });

  it('reports a server that leaves inside a reply', () => {
    const { client } = nestJsonWire();
    client.receive(Buffer.from('20#{"id":'));

    expect(
      thrownBy(() => {
        client.end();
      }).code,
    ).toBe('PTCP_FRAME_MALFORMED');
  });
});
