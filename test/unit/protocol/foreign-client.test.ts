import { describe, expect, it, jest } from '@jest/globals';
import { delimiter, type MessageCodec } from '../../../lib/index.js';
import { thrownBy } from '../../support/bytes.js';
import { bankCodec, bankFraming } from '../../support/foreign/bank.js';
import { commandOf, gatewayCodec, gatewayFrame, gatewayFraming } from '../../support/foreign/gateway.js';
import { ForeignWire } from '../../support/foreign/wire.js';
import { settled } from '../../support/step-clock.js';

const lines = delimiter('\n');
const echoes: MessageCodec = {
  encode: ({ data }) => Buffer.from(String(data)),
  decode: (frame) => ({ pattern: 'line', data: String(frame) }),
};
const gateway = (more?: Partial<MessageCodec>) => new ForeignWire(gatewayFraming, gatewayCodec(more));
const response = (sequence: number, body: string): Buffer => gatewayFrame(commandOf('ECHO', true), sequence, body);

describe('the client of a protocol with ids', () => {
  it('finds the call of each reply, in whatever order they come', () => {
    const wire = gateway();
    for (const id of [7, 8, 9]) wire.request(id, 'ECHO', id);
    wire.client.receive(Buffer.concat([response(3, '"c"'), response(1, '"a"'), response(2, '"b"')]));

    expect(wire.clientHeard).toEqual([
      ['response', 9, 'c'],
      ['response', 7, 'a'],
      ['response', 8, 'b'],
    ]);
  });

  it('drops the reply to a call that was given up, and one that comes twice, and goes on', () => {
    const wire = gateway();
    wire.request(1, 'ECHO', 1);
    wire.request(2, 'ECHO', 2);
    wire.client.cancel(1);
    wire.client.receive(Buffer.concat([response(1, '"late"'), response(2, '"b"')]));
    expect(wire.clientHeard.splice(0)).toEqual([['response', 2, 'b']]);

    wire.client.receive(Buffer.concat([response(2, '"again"'), response(77, '"whose?"')]));
    expect(wire.clientHeard).toEqual([
      ['malformed', 'PTCP_PROTOCOL_VIOLATION'],
      ['malformed', 'PTCP_PROTOCOL_VIOLATION'],
    ]);
  });

  it('begins again at 1 after the largest id, and skips those in flight and those whose reply may still come', () => {
    const ids: number[] = [];
    const codec = gatewayCodec({ maxId: 5 });
    const wire = new ForeignWire(gatewayFraming, {
      ...codec,
      encode: (message) => {
        ids.push(Number(message.id));
        return codec.encode(message);
      },
    });
    for (const id of [1, 2, 3]) wire.request(id, 'ECHO', id);
    wire.client.receive(response(2, '2'));
    wire.client.cancel(3);
    for (const id of [4, 5, 6]) wire.request(id, 'ECHO', id);

    expect(ids).toEqual([1, 2, 3, 4, 5, 2]);
    expect(thrownBy(() => wire.request(7, 'ECHO', 7))).toMatchObject({
      code: 'PTCP_CONNECTION_LOST',
      sent: false,
      message: expect.stringContaining('all 5 ids') as unknown,
    });
    wire.clientHeard.length = 0;
    wire.client.receive(Buffer.concat([response(3, '"late"'), response(2, '"six"')]));
    expect(wire.clientHeard).toEqual([['response', 6, 'six']]);
  });

  it('takes no new calls on a connection where half of the ids wait for replies that nobody wants', () => {
    const wire = gateway({ maxId: 4 });
    wire.request(1, 'ECHO', 1);
    wire.request(2, 'ECHO', 2);
    wire.request(3, 'ECHO', 3);
    wire.client.cancel(1);
    expect(wire.clientHeard).toEqual([]);
    wire.client.cancel(2);
    expect(wire.clientHeard.splice(0)).toEqual([['goaway', { message: expect.stringContaining('too many calls') }]]);

    wire.client.receive(response(3, '"c"'));
    expect(wire.clientHeard).toEqual([['response', 3, 'c']]);
  });

  it('closes the connection over a reply without an id, and says what to do', () => {
    const codec: MessageCodec = { ...echoes, encode: ({ id }) => Buffer.from(String(id)) };
    const wire = new ForeignWire(lines, codec);
    wire.request(1, 'x', 1);

    expect(
      thrownBy(() => {
        wire.client.receive(Buffer.from('answer\n'));
      }),
    ).toMatchObject({
      code: 'PTCP_PROTOCOL_VIOLATION',
      message: expect.stringMatching(/say correlation: .serial.*616e73776572/) as unknown,
    });
  });

  it('answers a push at once, or with what the hook resolves to, and pushes it either way', async () => {
    const onPush = jest.fn((push: { data: unknown }) => Promise.resolve(push.data === 2 ? 'from the hook' : undefined));
    const wire = gateway({ onPush });
    wire.server.push('DELIVER', 1);
    wire.server.push('DELIVER', 2);
    expect(wire.toClient()).toEqual([
      ['push', 'DELIVER', 1],
      ['push', 'DELIVER', 2],
    ]);
    await settled();

    expect(wire.toServer()).toEqual([
      ['event', 'DELIVERED', 'ok', undefined],
      ['event', 'DELIVERED', 'from the hook', undefined],
    ]);
    expect(onPush.mock.calls[0]?.[0]).toMatchObject({ route: 'DELIVER', data: 1, peer: 'server:4000' });
  });

  it('answers a push whose hook throws with an error, and fails where that cannot be written', async () => {
    const wire = gateway({ onPush: () => Promise.reject(new Error('disk full')) });
    wire.server.push('DELIVER', 1);
    wire.toClient();
    await settled();
    expect(wire.clientWriter.take().toString('latin1')).toContain('disk full');

    const codec = gatewayCodec();
    const mute = gateway({
      onPush: () => Promise.reject(new Error('disk full')),
      encode: (message) => {
        if (message.kind === 'error') throw new Error('errors have no bytes');
        return codec.encode(message);
      },
    });
    mute.server.push('DELIVER', 1);
    mute.toClient();
    await settled();
    expect(mute.failures).toMatchObject([{ code: 'PTCP_PAYLOAD_UNSERIALIZABLE' }]);
  });

  it('takes a goodbye of the server, with its reason', () => {
    const wire = gateway({ decode: () => ({ goaway: 'maintenance' }) });
    wire.client.receive(response(1, ''));

    expect(wire.clientHeard).toEqual([['goaway', { message: 'maintenance' }]]);
  });

  it('tells the logout what the server has said goodbye with, where it was first', async () => {
    const onClose = jest.fn<NonNullable<MessageCodec['onClose']>>();
    const wire = gateway({ decode: () => ({ goaway: 'maintenance' }), onClose });
    await wire.client.logout();
    expect(onClose).toHaveBeenLastCalledWith(expect.anything(), { goaway: undefined });

    wire.client.receive(response(1, ''));
    await wire.client.logout();
    expect(onClose).toHaveBeenLastCalledWith(expect.anything(), { goaway: 'maintenance' });
  });
});

describe('the client of a serial protocol', () => {
  it('decodes a reply beside its request, and refuses one that does not fit', () => {
    const seen: unknown[] = [];
    const wire = new ForeignWire(lines, {
      ...echoes,
      decode: (frame, request) => {
        seen.push(request === undefined ? undefined : [request.kind, request.pattern, request.data]);
        if (request?.data !== String(frame)) throw new Error(`not the reply to '${String(request?.data)}'`);
        return { data: String(frame) };
      },
    });
    wire.request(1, 'x', 'a');
    wire.request(2, 'x', 'b');
    wire.client.receive(Buffer.from('a\n'));
    expect(wire.clientHeard).toEqual([['response', 1, 'a']]);
    const error = thrownBy(() => {
      wire.client.receive(Buffer.from('a\n'));
    });
    expect(error).toMatchObject({
      code: 'PTCP_PROTOCOL_VIOLATION',
      message: expect.stringContaining("not the reply to 'b'") as unknown,
    });
    expect(seen).toEqual([
      ['request', 'x', 'a'],
      ['request', 'x', 'b'],
    ]);
  });

  it('is found out by an encode() that never looks at the id', () => {
    const serial = new ForeignWire(lines, echoes);
    serial.request(1, 'x', 'a');
    expect(serial.learned.serial).toBe(1);
    const wire = gateway();
    wire.request(1, 'ECHO', 'a');
    expect(wire.learned.serial).toBe(0);
  });

  it('sends a call only when the one before it has been answered, and holds the others unsent', () => {
    const wire = new ForeignWire(lines, echoes);
    for (const [id, data] of [
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
    ] as const)
      wire.request(id, 'x', data);

    expect(String(wire.clientWriter.take())).toBe('a\n');
    expect([1, 2, 3].map((id) => wire.client.isHeld(id))).toEqual([false, true, true]);
    expect(wire.clientWriter.held).toBe(4);
    wire.client.cancel(2);
    wire.client.receive(Buffer.from('A\n'));
    expect(String(wire.clientWriter.take())).toBe('c\n');
    wire.client.receive(Buffer.from('C\n'));
    expect(wire.clientHeard).toEqual([
      ['response', 1, 'A'],
      ['response', 3, 'C'],
    ]);
    expect(wire.clientWriter.held).toBe(0);
  });

  it('takes no new calls once one was given up: its late reply would answer the next', () => {
    const wire = new ForeignWire(lines, echoes);
    wire.request(1, 'x', 'a');
    wire.request(2, 'x', 'b');
    wire.client.cancel(1);
    expect(wire.clientHeard.splice(0)).toEqual([
      ['unsent', 2, 'PTCP_CONNECTION_LOST'],
      ['goaway', { message: expect.stringContaining('given up on a serial connection') }],
    ]);
    expect(wire.clientWriter.held).toBe(0);

    wire.client.receive(Buffer.from('A\n'));
    expect(wire.clientHeard).toEqual([]);
    expect(wire.client.logout()).toBeUndefined();
  });

  it('closes the connection over a reply that nobody asked for', () => {
    const wire = new ForeignWire(lines, echoes);
    wire.request(1, 'x', 'a');
    expect(
      thrownBy(() => {
        wire.client.receive(Buffer.from('A\nA\n'));
      }),
    ).toMatchObject({ code: 'PTCP_PROTOCOL_VIOLATION', message: expect.stringContaining('no call is in flight') });
    expect(wire.clientHeard).toEqual([['response', 1, 'A']]);
  });

  it('asks for a sign of life only between calls, and sends no call before the answer', () => {
    const wire = new ForeignWire(bankFraming, bankCodec);
    wire.client.ping(5);
    wire.request(1, '0200', 'a');
    expect(String(wire.clientWriter.take())).toBe('00040800');
    // Asked again while the answer is due: the question is on its way.
    expect(wire.client.mayPing).toBe(true);
    wire.client.ping(6);
    expect(wire.clientWriter.take()).toHaveLength(0);

    wire.client.receive(Buffer.from('00040810'));
    expect(wire.clientHeard.splice(0)).toEqual([['pong', 6]]);
    expect(String(wire.clientWriter.take())).toBe('00050200a');
    expect(wire.client.mayPing).toBe(false);
    wire.client.receive(Buffer.from('00050210A'));
    expect(wire.client.mayPing).toBe(true);
  });

  it('knows the answer of a heartbeat that looks like any other by its turn', () => {
    const wire = new ForeignWire(lines, { ...echoes, heartbeat: { ask: () => Buffer.from('NOOP') } });
    wire.client.ping(5);
    wire.request(1, 'x', 'a');
    expect(String(wire.clientWriter.take())).toBe('NOOP\n');
    wire.client.receive(Buffer.from('250 OK\n'));
    wire.client.receive(Buffer.from('A\n'));

    expect(wire.clientHeard).toEqual([
      ['pong', 5],
      ['response', 1, 'A'],
    ]);
  });

  it('knows it by its id in a protocol that has ids', () => {
    const codec = gatewayCodec();
    const wire = gateway({ decode: (frame) => ({ ...codec.decode(frame), heartbeat: undefined }) });
    wire.client.ping(5);
    wire.request(1, 'ECHO', 'a');
    wire.client.receive(gatewayFrame(commandOf('ACTIVE_TEST', true), 1));
    wire.client.receive(response(2, '"A"'));

    expect(wire.clientHeard).toEqual([
      ['pong', 5],
      ['response', 1, 'A'],
    ]);
    expect(wire.client.mayPing).toBe(true);
  });
});

describe('a codec that fails', () => {
  const throwing = (): never => {
    throw new Error('out of cheese');
  };

  it.each<[string, Partial<MessageCodec>, RegExp]>([
    ['throws', { encode: throwing }, /codec.encode\(\) threw: out of cheese/],
    ['returns a text', { encode: () => 'text' as never }, /must return a Buffer, and returned of type string/],
    ['returns nothing', { encode: () => undefined as never }, /and returned undefined/],
  ])('on encode, when it %s, fails that call and nothing else', (_title, defect, text) => {
    const wire = new ForeignWire(lines, { ...echoes, ...defect });

    expect(thrownBy(() => wire.request(1, 'x', 'a'))).toMatchObject({
      code: 'PTCP_PAYLOAD_UNSERIALIZABLE',
      sent: false,
      message: expect.stringMatching(text) as unknown,
    });
    expect(wire.clientWriter.take()).toHaveLength(0);
    expect(wire.client.mayPing).toBe(true);
  });

  it.each<[string, () => unknown, RegExp]>([
    ['throws', throwing, /codec.decode\(\) threw: out of cheese/],
    ['returns nothing', () => undefined, /returned undefined/],
    ['returns a text', () => 'text', /returned of type string/],
    ['returns a promise', () => Promise.resolve({}), /a promise; it must be synchronous/],
    ['returns an array', () => [], /returned an array/],
    ['returns an id that is none', () => ({ id: {} }), /an id that is of type object/],
    ['returns an unknown heartbeat', () => ({ heartbeat: 'yes' }), /heartbeat that is neither/],
    ['returns a push that is none', () => ({ push: 5 }), /a push that is of type number/],
    ['returns a push without a route', () => ({ push: true }), /a push without a route/],
  ])('on decode, when it %s, closes the connection with the frame in hex', (_title, decode, text) => {
    const wire = new ForeignWire(lines, { ...echoes, decode: decode as MessageCodec['decode'] });
    const receive = () => {
      wire.client.receive(Buffer.from(`${'x'.repeat(40)}\n`));
    };

    expect(thrownBy(receive)).toMatchObject({
      code: 'PTCP_PROTOCOL_VIOLATION',
      message: expect.stringMatching(new RegExp(`${text.source}.*; the frame is (78){32}… \\(40 bytes\\)$`)) as unknown,
    });
  });

  it('in a heartbeat, breaks the connection and not the process', () => {
    const wire = gateway({ heartbeat: { ask: throwing, answer: throwing } });
    wire.client.ping(1);
    expect(wire.failures.splice(0)).toMatchObject([{ code: 'PTCP_PAYLOAD_UNSERIALIZABLE' }]);
    wire.server.ping(1);
    wire.client.receive(gatewayFrame(commandOf('ACTIVE_TEST'), 1));
    wire.client.pong();
    expect(wire.failures).toHaveLength(2);
  });
});

describe('a frame larger than maxFrameBytes', () => {
  it('is refused either way, also where the framing would allow it', () => {
    const wire = new ForeignWire(lines, echoes, { maxFrameBytes: 2000 });
    expect(thrownBy(() => wire.request(1, 'x', 'x'.repeat(2001)))).toMatchObject({ code: 'PTCP_FRAME_TOO_LARGE' });
    expect(
      thrownBy(() => {
        wire.client.receive(Buffer.from(`${'x'.repeat(2001)}\n`));
      }),
    ).toMatchObject({ code: 'PTCP_FRAME_TOO_LARGE' });
  });

  it('is refused before it has arrived', () => {
    const wire = new ForeignWire(lines, echoes, { maxFrameBytes: 2000 });
    wire.client.receive(Buffer.alloc(2000, 'x'));
    expect(
      thrownBy(() => {
        wire.client.receive(Buffer.alloc(2000, 'x'));
      }),
    ).toMatchObject({ code: 'PTCP_FRAME_TOO_LARGE' });
  });
});
