import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FAILURES, type FailureKind, type Metadata } from '../../lib/protocol/messages.js';
import type { ClientProtocol, ServerProtocol } from '../../lib/protocol/protocol.js';
import { chunksOf } from '../support/bytes.js';
import { runs } from '../support/runs.js';
import { message, nativeWire, nestJsonWire, type Heard } from '../unit/protocol/harness.js';

/** As JSON hands it on: what a peer can be expected to receive. */
const json = fc
  .oneof(fc.jsonValue(), fc.string({ unit: 'binary' }))
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown);
const buffer = fc.uint8Array({ maxLength: 50 }).map((array) => Buffer.from(array));
const id = fc.integer({ min: 0, max: 2 ** 32 - 1 });
/** Of a stream: 0 is the id of fragments. */
const streamId = fc.integer({ min: 1, max: 2 ** 32 - 1 });
const route = fc.oneof(fc.constantFrom('sum', 'orders.created', '{"cmd":"é"}', ''), fc.string({ unit: 'grapheme' }));
const metadata: fc.Arbitrary<Metadata | undefined> = fc.option(
  fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }),
  {
    nil: undefined,
  },
);
const cuts = fc.oneof(
  { weight: 1, arbitrary: fc.constant([1]) },
  { weight: 4, arbitrary: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 12 }) },
);

/** What to do to one side, and what the other then hears. */
interface Step<P> {
  readonly act: (protocol: P) => unknown;
  readonly heard: Heard;
}

function clientSteps(data: fc.Arbitrary<unknown>): fc.Arbitrary<Step<ClientProtocol>> {
  return fc.oneof(
    fc.tuple(id, route, data, metadata, fc.nat({ max: 100_000 })).map(([call, pattern, value, extra, timeoutMs]) => ({
      act: (client: ClientProtocol) => {
        client.request(call, message(pattern, value, extra), timeoutMs);
      },
      heard: ['request', call, pattern, value, extra, timeoutMs === 0 ? undefined : timeoutMs] as const,
    })),
    fc.tuple(route, data, metadata).map(([pattern, value, extra]) => ({
      act: (client: ClientProtocol) => client.event(message(pattern, value, extra)),
      heard: ['event', pattern, value, extra] as const,
    })),
    fc.tuple(id, route).map(([call, pattern]) => ({
      act: (client: ClientProtocol) => {
        client.request(call, { ...message(pattern), isStreaming: true }, 0);
      },
      heard: ['request', call, pattern, undefined, undefined, undefined, 'streaming'] as const,
    })),
    fc.tuple(id, data).map(([call, value]) => ({
      act: (client: ClientProtocol) => client.item(call, value),
      heard: ['item', call, value] as const,
    })),
    id.map((call) => ({
      act: (client: ClientProtocol) => {
        client.completed(call);
      },
      heard: ['end', call] as const,
    })),
    fc.tuple(id, data).map(([call, value]) => ({
      act: (client: ClientProtocol) => {
        client.failure(call, value);
      },
      heard: ['failure', call, 'handler', value] as const,
    })),
    fc.tuple(streamId, id).map(([call, bytes]) => ({
      act: (client: ClientProtocol) => {
        client.credit(call, bytes);
      },
      heard: ['credit', call, bytes] as const,
    })),
    id.map((call) => ({
      act: (client: ClientProtocol) => {
        client.cancel(call);
      },
      heard: ['cancel', call] as const,
    })),
    id.map((token) => ({
      act: (client: ClientProtocol) => {
        client.ping(token);
      },
      heard: ['ping', token] as const,
    })),
  );
}

function serverSteps(data: fc.Arbitrary<unknown>): fc.Arbitrary<Step<ServerProtocol>> {
  const kind = fc.constantFrom<FailureKind[]>(...FAILURES.map((failure) => failure.kind));
  return fc.oneof(
    fc.tuple(fc.constantFrom('response' as const, 'item' as const), id, data).map(([method, call, value]) => ({
      act: (server: ServerProtocol) => {
        server[method](call, value);
      },
      heard: [method, call, value] as const,
    })),
    id.map((call) => ({
      act: (server: ServerProtocol) => {
        server.completed(call);
      },
      heard: ['end', call] as const,
    })),
    fc.tuple(id, kind, data).map(([call, why, value]) => ({
      act: (server: ServerProtocol) => {
        server.failure(call, why, value);
      },
      heard: ['failure', call, why, value] as const,
    })),
    fc.tuple(streamId, id).map(([call, bytes]) => ({
      act: (server: ServerProtocol) => {
        server.credit(call, bytes);
      },
      heard: ['credit', call, bytes] as const,
    })),
    fc.tuple(route, data).map(([pattern, value]) => ({
      act: (server: ServerProtocol) => {
        server.push(pattern, value);
      },
      heard: ['push', pattern, value] as const,
    })),
    id.map((token) => ({
      act: (server: ServerProtocol) => {
        server.pong(token);
      },
      heard: ['pong', token] as const,
    })),
  );
}

describe('any sequence of messages, however the stream is cut', () => {
  const anything = fc.oneof(json, buffer, fc.constant(undefined));

  it('arrives whole and in order at a native server', () => {
    const maxPatterns = fc.constantFrom(0, 2, 1024);
    fc.assert(
      fc.property(fc.array(clientSteps(anything), { maxLength: 20 }), maxPatterns, cuts, (steps, patterns, sizes) => {
        const { client, clientWriter, server, serverHeard } = nativeWire({ maxPatterns: patterns });
        for (const { act } of steps) act(client);
        for (const chunk of chunksOf(clientWriter.take(), sizes)) server.receive(chunk);
        server.end();

        expect(serverHeard).toEqual(steps.map(({ heard }) => heard));
      }),
      { numRuns: runs(200) },
    );
  });

  it('arrives whole and in order at a native client', () => {
    fc.assert(
      fc.property(fc.array(serverSteps(anything), { maxLength: 20 }), cuts, (steps, sizes) => {
        const { client, clientHeard, server, serverWriter } = nativeWire();
        for (const { act } of steps) act(server);
        for (const chunk of chunksOf(serverWriter.take(), sizes)) client.receive(chunk);
        client.end();

        expect(clientHeard).toEqual(steps.map(({ heard }) => heard));
      }),
      { numRuns: runs(200) },
    );
  });

  it('arrives whole and in order on the stock wire', () => {
    const request = fc.tuple(id, route, json, metadata);
    fc.assert(
      fc.property(fc.array(request, { maxLength: 20 }), cuts, (requests, sizes) => {
        const wire = nestJsonWire();
        for (const [call, pattern, data, extra] of requests)
          wire.client.request(call, message(pattern, data, extra), 1);
        for (const chunk of chunksOf(wire.clientWriter.take(), sizes)) wire.server.receive(chunk);
        wire.server.end();
        expect(wire.serverHeard).toEqual(
          requests.map(([call, pattern, data, extra]) => ['request', String(call), pattern, data, extra, undefined]),
        );

        for (const [call, , data] of requests) wire.server.response(String(call), data);
        for (const chunk of chunksOf(wire.serverWriter.take(), sizes)) wire.client.receive(chunk);
        wire.client.end();
        expect(wire.clientHeard).toEqual(requests.map(([call, , data]) => ['response', call, data]));
      }),
      { numRuns: runs(200) },
    );
  });
});

/** What is done to one end, with messages of which some are large enough for fragments. */
const act = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('send' as const), id: fc.nat({ max: 2 }), isLarge: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('cancel' as const), id: fc.nat({ max: 2 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('carry' as const), bytes: fc.integer({ min: 1, max: 90_000 }) }),
  },
);
/** The same objects over and over: what differs is the number in front. */
const FILLING = 'x'.repeat(160_000);

describe.each(['client', 'server'] as const)(
  'large and small messages of a %s, and calls given up at any byte',
  (from) => {
    it('leave the connection in step: each call in order, without a gap up to where it was given up', () => {
      fc.assert(
        fc.property(fc.array(act, { maxLength: 14 }), (acts) => {
          const wire = nativeWire();
          const [sender, receiver] = from === 'client' ? [wire.client, wire.server] : [wire.server, wire.client];
          const [out, back, heard] =
            from === 'client'
              ? [wire.clientWriter, wire.serverWriter, wire.serverHeard]
              : [wire.serverWriter, wire.clientWriter, wire.clientHeard];
          let underWay = Buffer.alloc(0);
          const carry = (bytes: number): void => {
            underWay = Buffer.concat([underWay, out.take()]);
            receiver.receive(underWay.subarray(0, bytes));
            underWay = underWay.subarray(bytes);
            sender.receive(back.take());
          };
          const sent = [0, 0, 0];
          // Ids are not used again: a call that is given up is followed by another.
          const generation = [0, 0, 0];
          for (const action of acts) {
            if (action.do === 'carry') {
              carry(action.bytes);
              continue;
            }
            const call = 1 + action.id + 3 * (generation[action.id] ?? 0);
            if (action.do === 'send') {
              const number = (sent[action.id] ?? 0) + 1;
              sent[action.id] = number;
              sender.item(call, `${number}${action.isLarge ? FILLING : ''}`);
            } else {
              if (from === 'client') wire.client.cancel(call);
              else wire.server.cancelled(call);
              sent[action.id] = 0;
              generation[action.id] = (generation[action.id] ?? 0) + 1;
            }
          }
          sender.flush();
          sender.ping(99);
          carry(Infinity);
          receiver.end();

          expect(heard.filter(([method]) => method === 'ping')).toEqual([['ping', 99]]);
          expect(out.held).toBe(0);
          const items = new Map<number, string[]>();
          for (const [method, call, value] of heard) {
            if (method !== 'item') continue;
            const text = value as string;
            expect([0, FILLING.length]).toContain(text.length - String(parseInt(text, 10)).length);
            items.set(call as number, [...(items.get(call as number) ?? []), String(parseInt(text, 10))]);
          }
          for (const [call, numbers] of items) {
            expect(numbers).toEqual(numbers.map((_, i) => String(i + 1)));
            const place = (call - 1) % 3;
            if (Math.floor((call - 1) / 3) === generation[place]) expect(numbers).toHaveLength(sent[place] ?? 0);
          }
        }),
        { numRuns: runs(1_000) },
      );
    });
  },
);
