import { describe, expect, it } from '@jest/globals';
import { settled } from '../../support/step-clock.js';
import { HandSource, linkedClient, Puller } from './stream-setup.js';

const KIB = 'x'.repeat(1_000);

describe('the time between items', () => {
  it('is not that in which a consumer keeps items, and begins when the last of them is taken', async () => {
    const { clock, peer, call, end } = await linkedClient();
    const consumer = call('count', { timeoutMs: 500 });
    await settled();
    peer.lastCall.item(1);
    peer.lastCall.item(2);
    await settled();
    await clock.run(100_000);
    consumer.take(1);
    await clock.run(100_000);
    expect(consumer.outcome).toBeUndefined();
    consumer.take(1);
    await clock.run(499);
    expect(consumer.outcome).toBeUndefined();
    await clock.run(1);
    expect(consumer.error).toMatchObject({ code: 'PTCP_REQUEST_TIMEOUT', sent: true });
    await settled();
    expect(peer.lastCall.isRunning).toBe(false);
    await end();
    expect(clock.pending).toBe(0);
  });

  it('is all that a server has which says nothing', async () => {
    const { clock, peer, call, end } = await linkedClient();
    const consumer = call('count', { timeoutMs: 500 });
    await settled();
    await clock.run(499);
    expect(consumer.outcome).toBeUndefined();
    await clock.run(1);
    expect(consumer.outcome).toBe('PTCP_REQUEST_TIMEOUT');
    expect(peer.inFlight).toBe(0);
    await end();
    expect(clock.pending).toBe(0);
  });
});

describe('an upload', () => {
  const window = { server: { streamWindowBytes: 1_024 } };

  it('whose source is slow does not run out of time, at its start or later', async () => {
    const { clock, peer, call, end } = await linkedClient(window);
    const source = new HandSource();
    const upload = call('import', { upload: source, timeoutMs: 500 }, new Puller(false));
    await clock.run(10_000);
    source.sink.item('a');
    await clock.run(10_000);
    source.sink.item('b');
    await clock.run(10_000);
    expect(upload.outcome).toBeUndefined();
    // From its end on it is the server's turn.
    source.sink.complete();
    await clock.run(499);
    expect(upload.outcome).toBeUndefined();
    await clock.run(1);
    expect(upload.outcome).toBe('PTCP_REQUEST_TIMEOUT');
    expect(source.stops).toBe(0);
    expect(peer.inFlight).toBe(0);
    await end();
    expect(clock.pending).toBe(0);
  });

  it('runs out of time when the server takes nothing', async () => {
    const { clock, peer, call, end } = await linkedClient(window);
    const source = new HandSource();
    const upload = call('import', { upload: source, timeoutMs: 500 }, new Puller(false));
    await settled();
    source.sink.item(KIB);
    source.sink.item(KIB);
    expect(source.sink.isWritable).toBe(false);
    await clock.run(499);
    expect(upload.outcome).toBeUndefined();
    await clock.run(1);
    expect(upload.error).toMatchObject({ code: 'PTCP_REQUEST_TIMEOUT', sent: true });
    expect(source.stops).toBe(1);
    expect(peer.lastCall.isRunning).toBe(false);
    await end();
    expect(clock.pending).toBe(0);
  });

  it('runs out of time then also when its source cannot wait and goes on: that is no sign of life of the server', async () => {
    const { clock, call, end } = await linkedClient(window);
    const source = new HandSource();
    const upload = call('import', { upload: source, timeoutMs: 500 }, new Puller(false));
    await settled();
    for (let i = 0; i < 4 && upload.outcome === undefined; i++) {
      source.sink.item(KIB);
      source.sink.item(KIB);
      await clock.run(200);
    }
    expect(upload.outcome).toBe('PTCP_REQUEST_TIMEOUT');
    await end();
    expect(clock.pending).toBe(0);
  });

  it('has all its time again with each credit', async () => {
    const { clock, peer, call, end } = await linkedClient(window);
    const source = new HandSource();
    const upload = call('import', { upload: source, timeoutMs: 500 }, new Puller(false));
    await settled();
    for (let i = 0; i < 4; i++) source.sink.item(KIB);
    await settled();
    for (let i = 0; i < 2; i++) {
      await clock.run(499);
      await peer.lastCall.incoming?.next();
      await settled();
    }
    await clock.run(499);
    expect(upload.outcome).toBeUndefined();
    await clock.run(1);
    expect(upload.outcome).toBe('PTCP_REQUEST_TIMEOUT');
    await end();
    expect(clock.pending).toBe(0);
  });

  it('has time without end again when only the socket was full, and drains', async () => {
    const { clock, call, links, end } = await linkedClient({
      server: { streamWindowBytes: 10_000_000 },
      client: { maxFrameBytes: 1_000_000 },
    });
    const source = new HandSource();
    const upload = call('import', { upload: source, timeoutMs: 500 }, new Puller(false));
    await settled();
    links[0]?.client.pause();
    for (let i = 0; i < 3; i++) source.sink.item('x'.repeat(100_000));
    await settled();
    expect(source.sink.isWritable).toBe(false);
    await clock.run(400);
    links[0]?.client.resume();
    await settled();
    expect(source.sink.isWritable).toBe(true);
    await clock.run(10_000);
    expect(upload.outcome).toBeUndefined();
    links[0]?.client.pause();
    for (let i = 0; i < 3; i++) source.sink.item('x'.repeat(100_000));
    await clock.run(500);
    expect(upload.outcome).toBe('PTCP_REQUEST_TIMEOUT');
    await end();
    expect(clock.pending).toBe(0);
  });

  it('that is answered before its end is stopped, and drops what waited', async () => {
    const { clock, peer, call, end } = await linkedClient(window);
    const source = new HandSource();
    const upload = call('import', { upload: source, timeoutMs: 500 }, new Puller(false));
    await settled();
    for (let i = 0; i < 4; i++) source.sink.item(KIB);
    await settled();
    peer.lastCall.respond('enough');
    await settled();
    expect(upload.items).toEqual(['enough']);
    expect(source.stops).toBe(1);
    expect(source.sink.isWritable).toBe(true);
    source.sink.item('late');
    source.sink.complete();
    source.sink.fail(new Error('late'));
    await settled();
    expect(upload.outcome).toBe('complete');
    await end();
    expect(clock.pending).toBe(0);
  });

  it('fails with its source, however long the reason is', async () => {
    const { peer, call, end } = await linkedClient({ server: { maxFrameBytes: 1_024 } });
    const source = new HandSource();
    const upload = call('import', { upload: source, timeoutMs: 500 }, new Puller(false));
    await settled();
    source.sink.fail(new Error(KIB.repeat(3)));
    await settled();
    expect(upload.error).toMatchObject({ code: 'PTCP_SOURCE_FAILED', sent: true });
    expect(peer.lastCall.isRunning).toBe(false);
    await end();
  });

  it('fails alone when its end finds no room behind its items', async () => {
    const { peer, client, call, end } = await linkedClient({
      client: { maxPendingWriteBytes: 2_000_000 },
      server: { streamWindowBytes: 10_000_000 },
    });
    const source = new HandSource();
    const upload = call('import', { upload: source, timeoutMs: 500 }, new Puller(false));
    await settled();
    // Held in fragments; what is left of the room takes no frame of ten bytes.
    source.sink.item(Buffer.alloc(2_000_000 - 18));
    source.sink.complete();
    expect(upload.error).toMatchObject({ code: 'PTCP_WRITE_OVERFLOW', sent: true });
    await settled();
    expect(peer.lastCall.isRunning).toBe(false);
    expect(client.stats()).toMatchObject({ total: 1, inFlight: 0 });
    await end();
  });

  it('whose source ends or fails before it has started properly is over, too', async () => {
    const { peer, call, end } = await linkedClient();
    let stops = 0;
    const startWith = (run: (sink: HandSource['sink']) => void) => ({
      start: (sink: HandSource['sink']) => {
        run(sink);
        return () => {
          stops += 1;
        };
      },
    });
    const failed = call(
      'a',
      {
        upload: startWith((sink) => {
          sink.item(1);
          sink.fail(new Error('at once'));
          sink.item(2);
        }),
      },
      new Puller(false),
    );
    expect(failed.outcome).toBe('PTCP_SOURCE_FAILED');
    expect(stops).toBe(1);
    const ended = call(
      'b',
      {
        upload: startWith((sink) => {
          sink.item(1);
          sink.complete();
        }),
      },
      new Puller(false),
    );
    await settled();
    const items: unknown[] = [];
    for await (const item of peer.lastCall.incoming ?? []) items.push(item);
    expect(items).toEqual([1]);
    peer.lastCall.respond('ok');
    await settled();
    expect(ended.outcome).toBe('complete');
    expect(peer.inFlight).toBe(0);
    await end();
  });
});
