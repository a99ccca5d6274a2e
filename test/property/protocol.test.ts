import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FAILURES, type FailureKind, type Metadata } from '../../lib/protocol/messages.js';
import type { ClientProtocol, ServerProtocol } from '../../lib/protocol/protocol.js';
import { chunksOf } from '../support/bytes.js';
import { message, nativeWire, nestJsonWire, type Heard } from '../unit/protocol/harness.js';

/** As JSON hands it on: what a peer can be expected to receive. */
const json = fc
  .oneof(fc.jsonValue(), fc.string({ unit: 'binary' }))
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown);
const buffer = fc.uint8Array({ maxLength: 50 }).map((array) => Buffer.from(array));
const id = fc.integer({ min: 0, max: 2 ** 32 - 1 });
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
      { numRuns: 200 },
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
      { numRuns: 200 },
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
      { numRuns: 200 },
    );
  });
});
