import { describe, expect, it } from '@jest/globals';
import { delimiter, type Framing, type MessageCodec } from '../../../lib/index.js';
import { thrownBy } from '../../support/bytes.js';
import { bankCodec, bankFraming } from '../../support/foreign/bank.js';
import { commandOf, gatewayCodec, gatewayFrame, gatewayFraming } from '../../support/foreign/gateway.js';
import { ForeignWire } from '../../support/foreign/wire.js';

const lines = delimiter('\n');
const echoes: MessageCodec = {
  encode: ({ data, error }) => Buffer.from(error === undefined ? String(data) : 'ERROR'),
  decode: (frame) => ({ pattern: 'line', data: String(frame) }),
};

describe('the server of a foreign protocol', () => {
  it('gives handlers requests with ids at once, and answers each with its own id, in any order', () => {
    const wire = new ForeignWire(gatewayFraming, gatewayCodec());
    wire.server.receive(Buffer.concat([11, 12].map((sequence) => gatewayFrame(commandOf('ECHO'), sequence, '1'))));
    expect(wire.serverHeard).toMatchObject([
      ['request', 1, 'ECHO', 1],
      ['request', 2, 'ECHO', 1],
    ]);
    wire.server.response(2, 'b');
    wire.server.failure(1, 'handler', { message: 'no' });

    expect(wire.serverWriter.take()).toEqual(
      Buffer.concat([gatewayFrame(commandOf('ECHO', true), 12, '"b"'), gatewayFrame(0xc000_0010, 11, 'no')]),
    );
  });

  it('answers both of two requests with the same id: peers send again what they have no answer to', () => {
    const wire = new ForeignWire(gatewayFraming, gatewayCodec());
    const frame = gatewayFrame(commandOf('ECHO'), 11, '1');
    wire.server.receive(Buffer.concat([frame, frame]));
    wire.server.response(1, 'a');
    wire.server.response(2, 'a');

    const answer = gatewayFrame(commandOf('ECHO', true), 11, '"a"');
    expect(wire.serverWriter.take()).toEqual(Buffer.concat([answer, answer]));
  });

  it('runs requests without ids one after another, so that answers leave in their order', () => {
    const wire = new ForeignWire(lines, echoes);
    wire.server.receive(Buffer.from('a\nb\nc\n'));
    expect(wire.serverHeard.splice(0)).toMatchObject([['request', 1, 'line', 'a']]);
    wire.server.response(1, 'A');
    expect(wire.serverHeard.splice(0)).toMatchObject([['request', 2, 'line', 'b']]);
    wire.server.failure(2, 'overloaded', 'full');
    expect(wire.serverHeard.splice(0)).toMatchObject([['request', 3, 'line', 'c']]);
    wire.server.response(3, 'C');

    expect(String(wire.serverWriter.take())).toBe('A\nERROR\nC\n');
  });

  it('keeps the answers of the codec in that order, too', () => {
    const wire = new ForeignWire(
      lines,
      {
        ...echoes,
        decode: (frame) => (String(frame) === '?' ? { answer: '!' } : { pattern: 'line', data: String(frame) }),
      },
      { maxWaiting: 3 },
    );
    wire.server.receive(Buffer.from('?\na\n?\nb\n?\n'));
    expect(String(wire.serverWriter.take())).toBe('!\n');
    expect(wire.serverHeard.splice(0)).toMatchObject([['request', 1, 'line', 'a']]);
    expect(
      thrownBy(() => {
        wire.server.receive(Buffer.from('?\n'));
      }),
    ).toMatchObject({ code: 'PTCP_SERVER_OVERLOADED' });
    wire.server.response(1, 'A');
    expect(wire.serverHeard.splice(0)).toMatchObject([['request', 2, 'line', 'b']]);
    wire.server.response(2, 'B');

    expect(String(wire.serverWriter.take())).toBe('A\n!\nB\n!\n');
  });

  it('holds no more of them than it may', () => {
    const wire = new ForeignWire(lines, echoes, { maxWaiting: 2 });
    wire.server.receive(Buffer.from('a\nb\nc\n'));
    expect(
      thrownBy(() => {
        wire.server.receive(Buffer.from('d\n'));
      }),
    ).toMatchObject({ code: 'PTCP_SERVER_OVERLOADED' });
  });

  it('answers with the only value of a stream, and refuses a second', () => {
    const wire = new ForeignWire(lines, echoes);
    wire.server.receive(Buffer.from('a\nb\n'));
    wire.server.item(1, 'A');
    wire.server.completed(1);
    expect(String(wire.serverWriter.take())).toBe('A\n');

    wire.server.item(2, 'B');
    expect(thrownBy(() => wire.server.item(2, 'C'))).toMatchObject({ code: 'PTCP_UNSUPPORTED' });
    wire.server.failure(2, 'unserializable', 'two values');
    expect(String(wire.serverWriter.take())).toBe('ERROR\n');
  });

  it('leaves a call open whose answer has no bytes, so that it can be failed', () => {
    const wire = new ForeignWire(lines, {
      ...echoes,
      encode: ({ data, error }) => {
        if (error !== undefined) return Buffer.from('ERROR');
        throw new Error(`no bytes for ${String(data)}`);
      },
    });
    wire.server.receive(Buffer.from('a\nb\n'));
    expect(thrownBy(() => wire.server.response(1, 'A'))).toMatchObject({ code: 'PTCP_PAYLOAD_UNSERIALIZABLE' });
    wire.server.failure(1, 'unserializable', 'x');

    expect(String(wire.serverWriter.take())).toBe('ERROR\n');
    expect(wire.serverHeard).toHaveLength(2);
  });

  it('shows a codec the request that it answers, and hides it from one that writes everything', () => {
    const seen: unknown[] = [];
    const wire = new ForeignWire(lines, {
      decode: (frame) => ({ pattern: 'line', data: String(frame), extra: 'kept' }) as never,
      encode: (message) => {
        seen.push(message.request, JSON.parse(JSON.stringify(message)));
        return Buffer.from('x');
      },
    });
    wire.server.receive(Buffer.from('a\n'));
    wire.server.response(1, 'A');

    expect(seen).toEqual([
      { pattern: 'line', data: 'a', extra: 'kept' },
      { kind: 'reply', pattern: 'line', data: 'A' },
    ]);
  });

  it('greets, keeps state, and pushes', () => {
    const wire = new ForeignWire(lines, {
      ...echoes,
      onAccept: ({ peer, data, push }) => {
        data.set('greeted', peer);
        push('greeting', '220 ready');
      },
    });
    wire.server.accepted();

    expect(wire.data.get('greeted')).toBe('client:50000');
    expect(String(wire.serverWriter.take())).toBe('220 ready\n');
  });

  it('answers heartbeats without a handler, and asks for signs of life', () => {
    const wire = new ForeignWire(bankFraming, bankCodec);
    wire.client.ping(3);
    expect(wire.toServer()).toEqual([['ping', 1]]);
    wire.server.pong();
    expect(wire.toClient()).toEqual([['pong', 3]]);

    wire.server.ping(8);
    expect(wire.toClient()).toEqual([['ping', 1]]);
    wire.client.pong();
    expect(wire.toServer()).toEqual([['pong', 8]]);
  });

  it('says goodbye in the codec’s words, where it has some', () => {
    const wire = new ForeignWire(lines, {
      ...echoes,
      goaway: ({ message }, id) => Buffer.from(`BYE ${id} ${message}`),
    });
    wire.server.goaway({ message: 'deploying' });
    expect(String(wire.serverWriter.take())).toBe('BYE 1 deploying\n');

    const mute = new ForeignWire(lines, echoes);
    mute.server.goaway({ message: 'deploying' });
    expect(mute.serverWriter.take()).toHaveLength(0);
  });

  it('answers at once where the codec has the answer, and tells the handlers of events', () => {
    const wire = new ForeignWire(lines, { ...echoes, decode: () => ({ pattern: 'p', answer: 'ok' }) });
    wire.server.receive(Buffer.from('a\n'));
    expect(String(wire.serverWriter.take())).toBe('ok\n');
    expect(wire.serverHeard).toEqual([]);

    const noted = new ForeignWire(lines, {
      ...echoes,
      decode: () => ({ pattern: 'p', data: 1, event: true, answer: 'ok' }),
    });
    noted.server.receive(Buffer.from('a\n'));
    expect(String(noted.serverWriter.take())).toBe('ok\n');
    expect(noted.serverHeard).toEqual([['event', 'p', 1, undefined]]);
  });

  it.each([
    ['without a pattern', { data: 1 }, /no pattern/],
    ['that is a push', { push: 'x' }, /this is the server/],
  ])('closes the connection over a message %s, with the frame in hex', (_title, message, text) => {
    const wire = new ForeignWire(lines, { ...echoes, decode: () => message });
    expect(
      thrownBy(() => {
        wire.server.receive(Buffer.from('a\n'));
      }),
    ).toMatchObject({
      code: 'PTCP_PROTOCOL_VIOLATION',
      message: expect.stringMatching(new RegExp(`${text.source}.*; the frame is 61`)) as unknown,
    });
  });

  it('estimates what has begun where a framing of the user’s does not say', () => {
    const plain: Framing = {
      encode: (payload) => lines.encode(payload),
      createDecoder: (onFrame) => {
        const decoder = lines.createDecoder(onFrame);
        return {
          push: (chunk) => {
            decoder.push(chunk);
          },
        };
      },
    };
    const wire = new ForeignWire(plain, echoes);
    wire.server.receive(Buffer.from('ab'));
    wire.server.receive(Buffer.from('cd'));
    expect(wire.server.partialBytes).toBe(4);
    wire.server.receive(Buffer.from('\n'));
    expect(wire.server.partialBytes).toBe(0);
    expect(wire.server.hasFrame).toBe(true);
  });
});
