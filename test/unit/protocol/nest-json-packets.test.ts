import { describe, expect, it } from '@jest/globals';
import { Deferred } from '../../../lib/common/deferred.js';
import type { PacketDeserializer, PacketSerializer } from '../../../lib/protocol/nest-json.js';
import { thrownBy } from '../../support/bytes.js';
import { message, nestFrameOf, nestJsonWire, packetsIn } from './harness.js';

type Packet = Record<string, unknown>;

/** A shape of packets that only its own deserializer reads. */
const wrap: PacketSerializer = { serialize: (packet) => ({ wrapped: JSON.stringify(packet) }) };
const unwrap: PacketDeserializer = {
  deserialize: (packet) => JSON.parse((packet as { wrapped: string }).wrapped) as unknown,
};
const both = { serializer: wrap, deserializer: unwrap };

/** Converts packets when the test says so; `settle(i)` lets the i-th go. */
function heldBack(convert: (packet: unknown) => unknown = (packet) => packet) {
  const gates: Deferred[] = [];
  const run = async (packet: unknown): Promise<unknown> => {
    const gate = new Deferred();
    gates.push(gate);
    await gate.promise;
    return convert(packet);
  };
  return {
    serialize: run,
    deserialize: run,
    /** Lets everything go that has been asked for, newest first, until nothing more comes. */
    async releaseAll(): Promise<void> {
      for (let quiet = 0; quiet < 3; quiet++) {
        while (gates.length > 0) {
          gates.pop()?.resolve();
          quiet = 0;
          await new Promise(setImmediate);
        }
        await new Promise(setImmediate);
      }
    },
  };
}

const refuseNumber2 = (packet: unknown): unknown => {
  const { data, response } = packet as Packet;
  if (data === 2 || response === 2) throw new Error('not this one');
  return packet;
};

describe('custom serializers and deserializers', () => {
  it('shape every packet, both ways', () => {
    const wire = nestJsonWire({ client: both, server: both });
    wire.client.request(1, message('p', { a: 1 }, { m: 'x' }), 100);
    void wire.client.event(message('e', 2));
    expect(wire.toServer()).toEqual([
      ['request', '1', 'p', { a: 1 }, { m: 'x' }, undefined],
      ['event', 'e', 2, undefined],
    ]);
    wire.server.response('1', 3);
    wire.server.failure('2', 'handler', 'e');
    expect(wire.toClient()).toEqual([
      ['response', 1, 3],
      ['failure', 2, 'handler', 'e'],
    ]);
  });

  it('shape heartbeats too, since the peer could not read them otherwise', () => {
    const wire = nestJsonWire({ client: both, server: both });
    wire.client.ping(5);
    const bytes = wire.clientWriter.take();
    expect(packetsIn(bytes)).toEqual([{ wrapped: expect.any(String) }]);
    wire.server.receive(bytes);

    expect(wire.serverHeard).toEqual([]);
    expect(wire.toClient()).toEqual([['pong', 5]]);
  });

  it('do not stop a heartbeat by throwing, which nobody could catch', () => {
    const { client, clientWriter } = nestJsonWire({
      client: {
        serializer: {
          serialize: () => {
            throw new Error('only for orders');
          },
        },
      },
    });
    client.ping(5);

    expect(packetsIn(clientWriter.take())).toHaveLength(1);
  });

  it('replace the stock rule for foreign payloads', () => {
    const deserializer = { deserialize: (packet: unknown) => packet };
    const wire = nestJsonWire({ client: { deserializer } });
    wire.client.receive(nestFrameOf({ id: '1', response: 5, isDisposed: true, extra: 1 }));

    expect(wire.clientHeard).toEqual([['response', 1, 5]]);
  });

  it('keep the order of packets when they are async, whatever takes longest', async () => {
    const slow = heldBack();
    const wire = nestJsonWire({ client: { serializer: slow }, server: { deserializer: slow } });
    for (let id = 1; id <= 5; id++) wire.client.request(id, message('p', id), 100);
    expect(wire.clientWriter.take()).toHaveLength(0);
    await slow.releaseAll();
    wire.server.receive(wire.clientWriter.take());
    await slow.releaseAll();

    expect(wire.serverHeard.map(([, id]) => id)).toEqual(['1', '2', '3', '4', '5']);
  });

  it('keep the order when only some packets take time', async () => {
    const gate = new Deferred();
    const serializer = {
      serialize: (packet: unknown) => ((packet as Packet)['data'] === 1 ? gate.promise.then(() => packet) : packet),
    };
    const { client, clientWriter } = nestJsonWire({ client: { serializer } });
    for (let id = 1; id <= 3; id++) client.request(id, message('p', id), 100);
    gate.resolve();
    await new Promise(setImmediate);
    client.request(4, message('p', 4), 100);

    expect(packetsIn(clientWriter.take()).map((packet) => (packet as Packet)['id'])).toEqual(['1', '2', '3', '4']);
  });

  it('keep the order when an earlier packet is done and a later one is not', async () => {
    const gate = new Deferred();
    const serializer = {
      serialize: (packet: unknown) => {
        const { data } = packet as Packet;
        return data === 3 ? packet : (data === 1 ? Promise.resolve() : gate.promise).then(() => packet);
      },
    };
    const { client, clientWriter } = nestJsonWire({ client: { serializer } });
    client.request(1, message('p', 1), 100);
    client.request(2, message('p', 2), 100);
    await new Promise(setImmediate);
    client.request(3, message('p', 3), 100);
    gate.resolve();
    await new Promise(setImmediate);

    expect(packetsIn(clientWriter.take()).map((packet) => (packet as Packet)['id'])).toEqual(['1', '2', '3']);
  });

  it('fail the one request whose packet they refuse, as not sent', async () => {
    const slow = heldBack(refuseNumber2);
    const wire = nestJsonWire({ client: { serializer: slow } });
    for (let id = 1; id <= 3; id++) wire.client.request(id, message('p', id), 100);
    await slow.releaseAll();

    expect(wire.clientHeard).toEqual([['unsent', 2, 'PTCP_PAYLOAD_UNSERIALIZABLE']]);
    expect(wire.toServer().map(([, id]) => id)).toEqual(['1', '3']);
  });

  it('throw at once where they are sync', () => {
    const { client, clientWriter, server } = nestJsonWire({
      client: { serializer: { serialize: refuseNumber2 } },
      server: { serializer: { serialize: refuseNumber2 } },
    });
    const expected = { code: 'PTCP_PAYLOAD_UNSERIALIZABLE', message: 'the serializer threw: not this one' };

    expect(
      thrownBy(() => {
        client.request(2, message('p', 2), 1);
      }),
    ).toMatchObject(expected);
    expect(thrownBy(() => client.event(message('p', 2)))).toMatchObject(expected);
    expect(
      thrownBy(() => {
        server.response('1', 2);
      }),
    ).toMatchObject(expected);
    expect(clientWriter.take()).toHaveLength(0);
  });

  it('let an event wait for its packet, and fail with it alone', async () => {
    const slow = heldBack(refuseNumber2);
    const { client, clientWriter } = nestJsonWire({ client: { serializer: slow } });
    const outcomes = [1, 2, 3].map(
      (data) => client.event(message('e', data)) ?? Promise.reject(new Error('not async')),
    );
    const settled = Promise.allSettled(outcomes);
    await slow.releaseAll();

    expect((await settled).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    await expect(outcomes[1]).rejects.toMatchObject({ code: 'PTCP_PAYLOAD_UNSERIALIZABLE', sent: false });
    expect(packetsIn(clientWriter.take()).map((packet) => (packet as Packet)['data'])).toEqual([1, 3]);
  });

  it('fail the one call whose answer they refuse: the client is told', async () => {
    const slow = heldBack(refuseNumber2);
    const wire = nestJsonWire({ server: { serializer: slow } });
    for (const id of [1, 2, 3]) wire.server.response(String(id), id);
    await slow.releaseAll();

    expect(wire.toClient().map(([method, id, kind]) => [method, id, kind])).toEqual([
      ['response', 1, 1],
      ['failure', 2, 'unserializable'],
      ['response', 3, 3],
    ]);
  });

  it.each([
    ['sync', { deserialize: refuseNumber2 }],
    ['async', { deserialize: (packet: unknown) => Promise.resolve(packet).then(refuseNumber2) }],
  ])('fail the one message that a deserializer refuses, when it is %s', async (_title, deserializer) => {
    const wire = nestJsonWire({ client: { deserializer }, server: { deserializer } });
    for (const data of [1, 2, 3]) wire.server.receive(nestFrameOf({ pattern: 'p', data, id: String(data) }));
    wire.server.receive(nestFrameOf({ pattern: 'e', data: 2 }));
    for (const id of [1, 2, 3]) wire.client.receive(nestFrameOf({ id: String(id), response: id, isDisposed: true }));
    wire.client.receive(nestFrameOf({ response: 2 }));
    await new Promise(setImmediate);

    expect(wire.serverHeard.map(([method, id]) => [method, id])).toEqual([
      ['request', '1'],
      ['request', '3'],
      ['malformed', 'PTCP_PAYLOAD_MALFORMED'],
    ]);
    expect(packetsIn(wire.serverWriter.take())).toMatchObject([
      { err: { code: 'PTCP_PAYLOAD_MALFORMED', message: 'the deserializer threw: not this one' }, id: '2' },
    ]);
    expect(wire.clientHeard.map((heard) => heard.slice(0, 3))).toEqual([
      ['response', 1, 1],
      ['failure', 2, 'malformed'],
      ['response', 3, 3],
      ['malformed', 'PTCP_PAYLOAD_MALFORMED'],
    ]);
  });

  it('know that a frame has arrived while it is still being converted', () => {
    const { server, serverHeard } = nestJsonWire({ server: { deserializer: heldBack() } });
    server.receive(nestFrameOf({ pattern: 'p', id: '1' }));

    expect(serverHeard).toEqual([]);
    expect(server.hasFrame).toBe(true);
  });

  it('are refused when they return nothing', () => {
    const { client } = nestJsonWire({ client: { serializer: { serialize: () => undefined } } });

    expect(
      thrownBy(() => {
        client.request(1, message('p'), 1);
      }),
    ).toMatchObject({ code: 'PTCP_PAYLOAD_UNSERIALIZABLE', message: 'the serializer returned nothing' });
  });
});
