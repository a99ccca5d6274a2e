import { describe, expect, it } from '@jest/globals';
import { Observable } from 'rxjs';
import { reply } from '../../../lib/nest/reply-stream.js';
import { FLAG, PAYLOAD, TYPE } from '../../../lib/protocol/native/format.js';
import { writeHello } from '../../../lib/protocol/hello.js';
import { Output } from '../../../lib/framing/output.js';
import { settled, StepClock } from '../../support/step-clock.js';
import { HandSource, linkedClient, Puller } from '../client/stream-setup.js';
import { SessionPeer } from '../connection/session-peer.js';
import { nativeFrame, uint16, uint32 } from '../protocol/harness.js';

/** A client that only says what the test lets it say, and never cancels. */
async function mute(server: ConstructorParameters<typeof SessionPeer>[1] = {}) {
  const clock = new StepClock();
  const peer = new SessionPeer(clock, server);
  const [end, serverEnd] = peer.accept();
  const received: Buffer[] = [];
  end.start({
    data: (chunk) => received.push(chunk),
    drain: () => undefined,
    end: () => undefined,
    close: () => undefined,
  });
  const output = new Output();
  writeHello(output, { versions: [1], maxFrameBytes: 1 << 20, streamWindowBytes: 1_000 });
  end.write(output.take());
  await settled();
  received.length = 0;
  return { clock, peer, end, serverEnd, received };
}

const request = (id: number, timeoutMs: number | undefined, flags = 0): Buffer =>
  nativeFrame(
    TYPE.request,
    flags | PAYLOAD.none | FLAG.define | (timeoutMs === undefined ? 0 : FLAG.deadline),
    uint32(id),
    uint16(0),
    uint16(1),
    'p',
    timeoutMs === undefined ? '' : uint32(timeoutMs),
  );

describe('a request whose time has passed before its turn', () => {
  it('is refused, unsent, when those before it in the same read took too long', async () => {
    const { clock, peer, call, end } = await linkedClient();
    // Handlers that keep the event loop busy for 400 ms each.
    peer.onCall = (arrived) => {
      clock.freeze(400);
      arrived.respond(arrived.pattern);
    };
    const patient = ['a', 'b', 'c', 'd'].map((pattern) => call(pattern, { timeoutMs: 5_000 }));
    const hasty = ['e', 'f'].map((pattern) => call(pattern, { timeoutMs: 1_500 }));
    const last = call('g', { timeoutMs: 5_000 });
    await settled();
    expect(peer.calls.map(({ pattern }) => pattern)).toEqual(['a', 'b', 'c', 'd', 'g']);
    for (const { error } of hasty) expect(error).toMatchObject({ code: 'PTCP_DEADLINE_EXCEEDED', sent: false });
    expect([...patient, last].every(({ outcome }) => outcome === 'complete')).toBe(true);
    expect(peer.inFlight).toBe(0);
    await end();
    expect(clock.pending).toBe(0);
  });

  it('is refused at the millisecond at which it passes, and runs one before', async () => {
    const { clock, peer, end } = await mute();
    peer.onCall = () => {
      clock.freeze(100);
    };
    end.write([Buffer.concat([request(1, undefined), request(2, 101), request(3, 201), request(4, 200)])]);
    await settled();
    expect(peer.calls.map(({ id }) => id)).toEqual([1, 2, 3]);
  });
});

describe('a deadline that passes while the handler is at work', () => {
  it('aborts its signal and unsubscribes its Observable, and frees its slot, without the client’s help', async () => {
    const { clock, peer, end, received } = await mute();
    const teardowns: string[] = [];
    peer.onCall = (call) => {
      const never = new Observable(() => () => teardowns.push(String(call.id)));
      reply(never, call, {
        failed: () => undefined,
        threw: () => undefined,
        finished: () => teardowns.push('finished'),
        stopped: () => undefined,
      });
    };
    end.write([request(1, 300), request(2, 500), request(3, undefined)]);
    await settled();
    const signals = peer.calls.map(({ signal }) => signal);
    await clock.run(299);
    expect(teardowns).toEqual([]);
    await clock.run(1);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false, false]);
    expect(signals[0]?.reason).toMatchObject({ code: 'PTCP_DEADLINE_EXCEEDED' });
    expect(teardowns).toEqual(['1', 'finished']);
    expect(peer.inFlight).toBe(2);
    await clock.run(200);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false]);
    await clock.run(1_000_000);
    expect(peer.inFlight).toBe(1);
    // The caller knows it himself.
    expect(Buffer.concat(received)).toHaveLength(0);
  });

  it('stops an async iterable that has not yielded yet, also while it waits for its source', async () => {
    const { clock, peer, end } = await mute();
    let isReleased = false;
    peer.onCall = (call) => {
      const iterable: AsyncIterable<unknown> = {
        [Symbol.asyncIterator]: () => ({
          next: () => new Promise(() => undefined),
          return: () => {
            isReleased = true;
            return Promise.resolve({ done: true, value: undefined });
          },
        }),
      };
      reply(iterable, call, {
        failed: () => undefined,
        threw: () => undefined,
        finished: () => undefined,
        stopped: () => undefined,
      });
    };
    end.write([request(1, 300)]);
    await settled();
    await clock.run(300);
    expect(isReleased).toBe(true);
    expect(peer.inFlight).toBe(0);
  });

  it('still holds for a handler that has only asked whether there is room', async () => {
    const { clock, peer, end } = await mute();
    end.write([request(1, 300)]);
    await settled();
    expect(peer.lastCall.isWritable).toBe(true);
    await peer.lastCall.whenWritable();
    await clock.run(300);
    expect(peer.lastCall.isRunning).toBe(false);
  });

  it('does not hold any more once the first item has been sent', async () => {
    const { clock, peer, end } = await mute();
    end.write([request(1, 300)]);
    await settled();
    peer.lastCall.item('first');
    await clock.run(10_000);
    expect(peer.lastCall.isRunning).toBe(true);
    expect(peer.lastCall.signal.aborted).toBe(false);
    peer.lastCall.complete();
    expect(peer.inFlight).toBe(0);
  });

  it('lets a server that drains go on', async () => {
    const { clock, peer, end } = await mute();
    end.write([request(1, 300)]);
    await settled();
    peer.sessions[0]?.drain();
    expect(peer.sessions[0]?.inFlight).toBe(1);
    await clock.run(300);
    expect(peer.sessions[0]?.inFlight).toBe(0);
  });

  it('beyond what a timer can hold is no deadline that passes early', async () => {
    const { clock, peer, end } = await mute();
    end.write([request(1, 0xffff_ffff)]);
    await settled();
    await clock.run(2 ** 31 - 2);
    await clock.run(2 ** 31 - 1);
    expect(peer.lastCall.isRunning).toBe(true);
    await clock.run(10);
    expect(peer.lastCall.isRunning).toBe(false);
  });

  it('is not looked at any more when the session is gone', async () => {
    const { clock, peer, end } = await mute();
    end.write([request(1, 300)]);
    await settled();
    end.destroy();
    await settled();
    expect(peer.inFlight).toBe(0);
    expect(clock.pending).toBe(0);
  });
});

describe('a request that streams its data', () => {
  it('has no deadline at the server, however long it takes', async () => {
    const { clock, peer, call, end } = await linkedClient();
    const source = new HandSource();
    const upload = call('import', { upload: source, timeoutMs: 200 }, new Puller(false));
    await settled();
    const arrived = peer.lastCall;
    expect([arrived.deadline, arrived.expiresAt]).toEqual([undefined, undefined]);
    const items: unknown[] = [];
    arrived.incoming?.observe({ next: (item) => items.push(item), error: () => undefined, complete: () => undefined });
    for (let i = 0; i < 5; i++) {
      await clock.run(150);
      source.sink.item(i);
      await settled();
    }
    await clock.run(150);
    source.sink.complete();
    await settled();
    arrived.respond(items.length);
    await settled();
    expect(upload.items).toEqual([5]);
    expect(upload.outcome).toBe('complete');
    await end();
    expect(clock.pending).toBe(0);
  });
});
