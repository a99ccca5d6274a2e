import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FLAG, FRAGMENT_FLAG, LITERAL_PATTERN, PAYLOAD, TYPE } from '../../../lib/protocol/native/format.js';
import { FRAGMENT_FROM_BYTES, FragmentSender } from '../../../lib/protocol/native/fragment-sender.js';
import { thrownBy } from '../../support/bytes.js';
import { StepClock } from '../../support/step-clock.js';
import { MAX_FRAME_BYTES, MemoryWriter, message, nativeFrame, nativeWire, uint16, uint32 } from './harness.js';

const KIB = 1024;

/** What a fragment carries, taken apart by hand. */
interface Fragment {
  readonly isFirst: boolean;
  readonly isDropped: boolean;
  readonly total: number | undefined;
  readonly carried: Buffer;
}

function fragmentsIn(bytes: Buffer): Fragment[] {
  const fragments: Fragment[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + bytes.readUInt32BE(at);
    expect(bytes[at + 4]).toBe(TYPE.fragment);
    const flags = bytes[at + 5] ?? 0;
    const isFirst = (flags & FRAGMENT_FLAG.first) !== 0;
    fragments.push({
      isFirst,
      isDropped: (flags & FRAGMENT_FLAG.dropped) !== 0,
      total: isFirst ? bytes.readUInt32BE(at + 6) : undefined,
      carried: bytes.subarray(at + (isFirst ? 10 : 6), end),
    });
    at = end;
  }
  return fragments;
}

/** A whole frame of so many bytes, its content told apart by a letter. */
function frameOf(bytes: number, letter = 'x') {
  const frame = Buffer.alloc(bytes, letter);
  frame.writeUInt32BE(bytes - 4, 0);
  return { frame, message: { bytes, parts: [frame.subarray(0, 10), frame.subarray(10)] } };
}

function sender() {
  const clock = new StepClock();
  const writer = new MemoryWriter();
  const fragments = new FragmentSender(writer, clock);
  return { clock, writer, fragments, sent: () => fragmentsIn(writer.take()) };
}

const sizeOf = (fragments: readonly Fragment[]): number =>
  fragments.reduce((sum, { carried }) => sum + carried.length, 0);

describe('a message that is sent in fragments', () => {
  it('has no more than a window of bytes under way, and goes on as they are acknowledged', () => {
    const { writer, fragments, sent } = sender();
    const { frame, message: large } = frameOf(1024 * KIB);
    fragments.add(1, large);
    const first = sent();
    expect(sizeOf(first)).toBe(128 * KIB);
    expect(first.map(({ isFirst }) => isFirst)).toEqual([true, false, false, false]);
    expect(first[0]?.total).toBe(frame.length - 4);
    expect(writer.held).toBe(frame.length - 128 * KIB);
    expect(sent()).toEqual([]);

    const carried = first.map((fragment) => fragment.carried);
    let underWay = first;
    while (writer.held > 0) {
      const [oldest, ...others] = underWay;
      fragments.acknowledged(oldest?.carried.length ?? 0);
      const more = sent();
      carried.push(...more.map((fragment) => fragment.carried));
      underWay = [...others, ...more];
    }
    expect(frame.subarray(4).equals(Buffer.concat(carried))).toBe(true);
  });

  it('goes faster while round trips are short, and slower when its own bytes make them long', () => {
    const { clock, fragments, sent } = sender();
    fragments.add(undefined, frameOf(32 * 1024 * KIB).message);
    const roundTrip = (ms: number): number => {
      const underWay = sent();
      clock.advance(ms);
      for (const { carried } of underWay) fragments.acknowledged(carried.length);
      return sizeOf(underWay);
    };
    const growing = Array.from({ length: 4 }, () => roundTrip(10));
    // The fragments grow with the window: the last of a round trip may not fit.
    for (const [i, kib] of [128, 256, 512, 1024].entries()) {
      expect(growing[i]).toBeLessThanOrEqual(kib * KIB);
      expect(growing[i]).toBeGreaterThan((kib - 16) * KIB);
    }
    // What is under way then is acknowledged late: each round trip halves the window once, down to what the path has carried
    // in 2 ms when it was at its best, 1 MiB in 10 ms.
    const shrinking = Array.from({ length: 8 }, () => roundTrip(100));
    for (const [i, kib] of [1024, 512, 256, 205, 205, 205, 205, 205].entries()) {
      expect(shrinking[i]).toBeLessThanOrEqual(kib * KIB);
      expect(shrinking[i]).toBeGreaterThanOrEqual((kib / 2) * KIB);
    }
  });

  it('is followed by others in the order in which they came', () => {
    const { writer, fragments, sent } = sender();
    const frames = ['a', 'b', 'c'].map((letter) => frameOf(200 * KIB, letter));
    frames.forEach(({ message: large }, i) => {
      fragments.add(i, large);
    });
    expect([0, 1, 2, 3].map((id) => fragments.holds(id))).toEqual([true, true, true, false]);
    fragments.flush();
    const all = sent();
    expect(all.filter(({ isFirst }) => isFirst)).toHaveLength(3);
    expect(
      Buffer.concat(all.map(({ carried }) => carried)).equals(
        Buffer.concat(frames.map(({ frame }) => frame.subarray(4))),
      ),
    ).toBe(true);
    expect(writer.held).toBe(0);
    expect([0, 1, 2].some((id) => fragments.holds(id))).toBe(false);
  });

  it('is called off when it has begun, and just left out when it has not', () => {
    const { writer, fragments, sent } = sender();
    const gone: string[] = [];
    const add = (id: number, letter: string): void => {
      fragments.add(id, frameOf(300 * KIB, letter).message, () => gone.push(letter));
    };
    add(1, 'a');
    add(2, 'b');
    add(1, 'c');
    add(3, 'd');
    sent();
    fragments.drop(2);
    expect(sent()).toEqual([]);
    fragments.drop(1);
    expect(gone).toEqual(['b', 'a', 'c']);
    expect([1, 2, 3].map((id) => fragments.holds(id))).toEqual([false, false, true]);
    const [dropped] = sent();
    expect(dropped).toMatchObject({ isDropped: true, isFirst: false });
    expect(dropped?.carried).toHaveLength(0);
    fragments.drop(1);
    fragments.flush();
    const rest = sent();
    expect(rest[0]).toMatchObject({ isFirst: true, isDropped: false });
    expect(Buffer.concat(rest.map(({ carried }) => carried)).toString()).toMatch(/^d+$/);
    expect(writer.held).toBe(0);
    expect(gone).toEqual(['b', 'a', 'c', 'd']);
  });

  it('is gone, and whoever waits for it knows, when the connection is', () => {
    const { writer, fragments, sent } = sender();
    let gone = 0;
    fragments.add(1, frameOf(300 * KIB).message, () => (gone += 1));
    fragments.add(undefined, frameOf(300 * KIB).message, () => (gone += 1));
    sent();
    fragments.closed();
    fragments.closed();
    expect(gone).toBe(2);
    expect(writer.held).toBe(0);
    expect(fragments.holds(1)).toBe(false);
    fragments.acknowledged(64 * KIB);
    expect(sent()).toEqual([]);
  });

  it('is not begun where there is no room for it', () => {
    const { writer, fragments, sent } = sender();
    writer.hold = () => {
      throw new Error('no room');
    };
    expect(() => {
      fragments.add(1, frameOf(300 * KIB).message);
    }).toThrow('no room');
    expect(fragments.holds(1)).toBe(false);
    expect(sent()).toEqual([]);
  });

  it('is not confused by acknowledgements of what was never sent', () => {
    const { fragments, sent } = sender();
    fragments.acknowledged(0xffff_ffff);
    fragments.add(1, frameOf(1024 * KIB).message);
    const underWay = sizeOf(sent());
    for (let i = 0; i < 100; i++) fragments.acknowledged(1);
    expect(sent()).toEqual([]);
    fragments.acknowledged(underWay);
    expect(sizeOf(sent())).toBeGreaterThan(0);
  });

  it('counts what it holds to the byte, and everything sent is whole messages, whatever happens', () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          do: fc.constant('add' as const),
          id: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
          bytes: fc.oneof(fc.integer({ min: 6, max: 100 }), fc.integer({ min: 10_000, max: 400_000 })),
        }),
      },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('acknowledge' as const), ms: fc.nat({ max: 30 }) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), id: fc.integer({ min: 1, max: 3 }) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.boolean(), (steps, isClosed) => {
        const { clock, writer, fragments } = sender();
        const wire = nativeWire({ clock });
        // Whole, numbered events make the sent bytes readable for a server.
        const added: { id: number | undefined; number: number; isGone: boolean }[] = [];
        const underWay: number[] = [];
        const deliver = (): void => {
          const bytes = writer.take();
          for (const { carried } of fragmentsIn(bytes)) if (carried.length > 0) underWay.push(carried.length);
          wire.server.receive(bytes);
        };
        for (const action of steps) {
          if (action.do === 'add') {
            const entry = { id: action.id, number: added.length, isGone: false };
            added.push(entry);
            const payload = Buffer.alloc(Math.max(0, action.bytes - 15), 'x');
            const frame = nativeFrame(
              TYPE.event,
              PAYLOAD.raw | FLAG.define,
              uint16(0),
              uint16(String(entry.number).length),
              String(entry.number),
              payload,
            );
            fragments.add(action.id, { bytes: frame.length, parts: [frame] }, () => (entry.isGone = true));
          } else if (action.do === 'acknowledge') {
            clock.advance(action.ms);
            const oldest = underWay.shift();
            if (oldest !== undefined) fragments.acknowledged(oldest);
          } else if (action.do === 'drop') fragments.drop(action.id);
          else fragments.flush();
          deliver();
          for (const id of [1, 2, 3])
            expect(fragments.holds(id)).toBe(added.some((entry) => entry.id === id && !entry.isGone));
        }
        if (isClosed) fragments.closed();
        else fragments.flush();
        deliver();
        expect(writer.held).toBe(0);
        expect(added.every(({ isGone }) => isGone)).toBe(true);
        const heard = wire.serverHeard.map(([, route]) => Number(route));
        expect(heard).toEqual(heard.toSorted((a, b) => a - b));
        expect(new Set(heard).size).toBe(heard.length);
      }),
      { numRuns: 100 },
    );
  });
});

describe('a call whose message is kept back', () => {
  // Text, which is compared at once; bytes are compared one by one.
  const large = 'l'.repeat(512 * KIB);

  it('keeps the order of what it answers', () => {
    const wire = nativeWire();
    const { server, serverWriter } = wire;
    server.item(7, 'first');
    server.item(7, large);
    server.item(7, 'after');
    server.item(8, 'another call');
    server.completed(7);
    expect(wire.toClient()).toEqual([
      ['item', 7, 'first'],
      ['item', 8, 'another call'],
    ]);
    server.flush();
    expect(wire.toClient()).toEqual([
      ['item', 7, large],
      ['item', 7, 'after'],
      ['end', 7],
    ]);
    expect(serverWriter.held).toBe(0);
  });

  it.each(['response', 'failure'] as const)('ends after it, with a %s', (how) => {
    const wire = nativeWire();
    wire.server.item(7, large);
    if (how === 'response') wire.server.response(7, 'last');
    else wire.server.failure(7, 'handler', 'last');
    wire.server.flush();
    expect(wire.toClient().map(([method]) => method)).toEqual(['item', how]);
  });

  it('keeps the order of what it streams', () => {
    const wire = nativeWire();
    wire.client.item(7, large);
    wire.client.item(7, 'after');
    wire.client.completed(7);
    expect(wire.toServer()).toEqual([]);
    wire.client.flush();
    expect(wire.toServer().map(([method]) => method)).toEqual(['item', 'item', 'end']);
  });

  it('is known to be kept back until its request has left whole', () => {
    const { client, clientWriter } = nativeWire();
    client.request(7, message('put', large), 1_000);
    client.request(8, message('put', 'small'), 1_000);
    expect([client.isHeld(7), client.isHeld(8)]).toEqual([true, false]);
    client.flush();
    expect(client.isHeld(7)).toBe(false);
    expect(clientWriter.held).toBe(0);
  });

  it('is called off with the call, in the middle: its handler never hears of it', () => {
    const wire = nativeWire();
    wire.client.request(7, message('put', large), 1_000);
    expect(wire.toServer()).toEqual([]);
    wire.client.cancel(7);
    wire.client.request(8, message('put', 'small'), 1_000);
    expect(wire.toServer().map(([method, id]) => [method, id])).toEqual([
      ['cancel', 7],
      ['request', 8],
    ]);
    wire.client.flush();
    wire.client.request(9, message('put', large), 1_000);
    wire.client.flush();
    expect(wire.toServer()).toEqual([['request', 9, 'put', large, undefined, 1_000]]);
    expect(wire.clientWriter.held).toBe(0);
  });

  it('teaches the server no pattern number, which a small one could use before it', () => {
    const wire = nativeWire();
    wire.client.request(1, message('new', large), 0);
    wire.client.request(2, message('new', 'small'), 0);
    wire.client.request(3, message('new', 'again'), 0);
    void wire.client.event(message('other', large));
    void wire.client.event(message('other', 'small'));
    expect(
      wire.toServer().map(([method, ...rest]) => [method, rest.find((value) => typeof value === 'string')]),
    ).toEqual([
      ['request', 'new'],
      ['request', 'new'],
      ['event', 'other'],
    ]);
    wire.client.flush();
    expect(wire.toServer().map(([method, first]) => [method, first])).toEqual([
      ['request', 1],
      ['event', 'other'],
    ]);
    wire.client.request(4, message('new', large), 0);
    wire.client.flush();
    expect(wire.toServer()).toEqual([['request', 4, 'new', large, undefined, undefined]]);
  });
});

describe('a stream whose items do not parse', () => {
  it('is called off by the client, so that the server does not wait for credit', () => {
    const wire = nativeWire();
    wire.client.receive(nativeFrame(TYPE.item, PAYLOAD.json, uint32(5), '{"a":'));
    expect(wire.clientHeard).toEqual([['failure', 5, 'malformed', expect.any(String)]]);
    expect(wire.toServer()).toEqual([['cancel', 5]]);
  });
});

describe('fragments that arrive', () => {
  const first = (total: number, carried: Buffer | string) =>
    nativeFrame(TYPE.fragment, PAYLOAD.raw | FRAGMENT_FLAG.first, uint32(total), carried);
  const more = (carried: Buffer | string) => nativeFrame(TYPE.fragment, PAYLOAD.raw, carried);
  const dropped = nativeFrame(TYPE.fragment, FRAGMENT_FLAG.dropped);
  /** A ping without its length word. */
  const ping = nativeFrame(TYPE.ping, 0, uint32(9)).subarray(4);

  it('are put together, with other messages between them, and those of one chunk are acknowledged together', () => {
    const wire = nativeWire();
    wire.server.receive(
      Buffer.concat([
        first(ping.length, ping.subarray(0, 1)),
        nativeFrame(TYPE.ping, 0, uint32(1)),
        more(ping.subarray(1)),
      ]),
    );
    expect(wire.serverHeard).toEqual([
      ['ping', 1],
      ['ping', 9],
    ]);
    expect(wire.serverWriter.take()).toEqual(nativeFrame(TYPE.credit, 0, uint32(0), uint32(6)));
  });

  it('go into their message as their bytes come, wherever they are cut, and are acknowledged once they are whole', () => {
    const event = ['event', 'p', 'x'.repeat(24), undefined];
    const content = nativeFrame(
      TYPE.event,
      FLAG.define | PAYLOAD.json,
      uint16(LITERAL_PATTERN),
      uint16(1),
      'p',
      JSON.stringify(event[2]),
    ).subarray(4);
    const bytes = Buffer.concat([
      nativeFrame(TYPE.ping, 0, uint32(1)),
      first(content.length, content.subarray(0, 12)),
      nativeFrame(TYPE.ping, 0, uint32(2)),
      more(content.subarray(12)),
      nativeFrame(TYPE.ping, 0, uint32(3)),
    ]);
    for (let i = 0; i <= bytes.length; i++) {
      for (let j = i; j <= bytes.length; j++) {
        const wire = nativeWire();
        for (const part of [bytes.subarray(0, i), bytes.subarray(i, j), bytes.subarray(j)]) {
          const chunk = Buffer.from(part);
          wire.server.receive(chunk);
          // A connection reads into the same place again.
          chunk.fill(0xdb);
        }
        expect(wire.serverHeard).toEqual([['ping', 1], ['ping', 2], event, ['ping', 3]]);
        const acknowledged = wire.serverWriter.take();
        let sum = 0;
        for (let at = 0; at < acknowledged.length; at += 14) sum += acknowledged.readUInt32BE(at + 10);
        expect(sum).toBe(content.length);
        expect(wire.server.partialBytes).toBe(0);
        wire.server.end();
      }
    }
  });

  it('are a stream that ends inside a frame, where the last of them is not whole', () => {
    const wire = nativeWire();
    wire.server.receive(first(100, 'abc').subarray(0, -1));
    // Its bytes are in the message already.
    expect([wire.server.partialBytes, wire.server.partialMessage?.bytes]).toEqual([0, 2]);
    expect(
      thrownBy(() => {
        wire.server.end();
      }),
    ).toMatchObject({ code: 'PTCP_FRAME_MALFORMED', message: 'the stream ended 1 bytes short of a whole frame' });
  });

  it('may be one, that is first and last', () => {
    const wire = nativeWire();
    wire.server.receive(first(ping.length, ping));
    expect(wire.serverHeard).toEqual([['ping', 9]]);
  });

  it('that are called off leave nothing behind', () => {
    const wire = nativeWire();
    wire.server.receive(Buffer.concat([first(100, 'abc'), dropped, first(ping.length, ping)]));
    expect(wire.serverHeard).toEqual([['ping', 9]]);
  });

  it.each<[string, Buffer]>([
    ['that continue nothing', more('x')],
    ['that continue what was called off', Buffer.concat([first(9, 'x'), dropped, more('x')])],
    ['that continue what is complete', Buffer.concat([first(ping.length, ping), more('x')])],
    ['that begin inside another message', Buffer.concat([first(9, 'x'), first(9, 'x')])],
    ['that are empty', Buffer.concat([first(9, 'x'), more('')])],
    ['that begin empty', first(9, '')],
    ['that call off what was never begun', dropped],
    ['that carry more than they said', Buffer.concat([first(3, 'x'), more('xyz')])],
    ['of a message too short to be one', first(1, 'x')],
    ['without their total', nativeFrame(TYPE.fragment, PAYLOAD.raw | FRAGMENT_FLAG.first, 'abc')],
    ['of a fragment', first(6, more('').subarray(4).subarray(0, 2).toString() + 'abcd')],
    ['of a message of unknown type', first(2, Buffer.from([99, 0]))],
  ])('are a violation at either end: %s', (_title, bytes) => {
    for (const end of ['client', 'server'] as const) {
      const wire = nativeWire();
      expect(
        thrownBy(() => {
          wire[end].receive(bytes);
        }).code,
      ).toBe('PTCP_PROTOCOL_VIOLATION');
    }
  });

  it('of a message larger than this end takes are refused with the first, as any frame', () => {
    const wire = nativeWire({ serverMaxFrameBytes: 4096 });
    expect(
      thrownBy(() => {
        wire.server.receive(first(4093, 'x'));
      }),
    ).toMatchObject({ code: 'PTCP_FRAME_TOO_LARGE', message: expect.stringContaining('4097') });
    nativeWire({ serverMaxFrameBytes: 4096 }).server.receive(first(4092, 'x'));
  });

  it('carry messages of the largest size that the other end takes, and not one byte more', () => {
    const wire = nativeWire();
    const room = MAX_FRAME_BYTES - 10;
    wire.server.response(1, Buffer.alloc(room));
    wire.server.flush();
    const [[method, , data] = []] = wire.toClient();
    expect([method, (data as Buffer).equals(Buffer.alloc(room))]).toEqual(['response', true]);
    expect(
      thrownBy(() => {
        wire.server.response(1, Buffer.alloc(room + 1));
      }).code,
    ).toBe('PTCP_FRAME_TOO_LARGE');
    expect(wire.serverWriter.held).toBe(0);
  });

  it('begin where a message would hold others up, and not before', () => {
    const wire = nativeWire();
    wire.server.response(1, Buffer.alloc(FRAGMENT_FROM_BYTES - 1));
    expect(wire.serverWriter.take()[4]).toBe(TYPE.response);
    wire.server.response(1, Buffer.alloc(FRAGMENT_FROM_BYTES));
    expect(wire.serverWriter.take()[4]).toBe(TYPE.fragment);
  });
});
