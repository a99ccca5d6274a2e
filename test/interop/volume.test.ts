import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { nestJson } from '../../lib/index.js';
import { COMBINATIONS, forEachCombination, outcome } from '../support/combinations.js';
import { Scope } from '../support/nest-app.js';
import { RepliesController } from '../support/replies-controller.js';
import { startScriptedServer } from '../support/scripted-server.js';
import { nestFrame, RawPeer } from '../support/sockets.js';
import { StockFrames } from '../support/stock-frames.js';

const FRAMES = 12_000;
const MiB = 1024 * 1024;

/** Keeps calls until there are as many as it was told, then answers the last of them first. */
@Controller()
class BackwardsController {
  readonly #waiting: (() => void)[] = [];

  @MessagePattern('backwards')
  backwards(@Payload() { i, of }: { i: number; of: number }): Promise<number> {
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        resolve(i);
      });
      if (this.#waiting.length === of) for (const answer of this.#waiting.splice(0).reverse()) answer();
    });
  }
}

forEachCombination(COMBINATIONS, [RepliesController, BackwardsController], (link) => {
  it('many calls at once get each its own answer', async () => {
    const calls = Array.from({ length: 500 }, (_, i) => outcome(link().client, 'later', i));
    await expect(Promise.all(calls)).resolves.toEqual(
      Array.from({ length: 500 }, (_, i) => ({ values: [{ later: i }] })),
    );
  });

  it('calls that are answered in the opposite order get each its own answer', async () => {
    const calls = Array.from({ length: 300 }, (_, i) => outcome(link().client, 'backwards', { i, of: 300 }));
    await expect(Promise.all(calls)).resolves.toEqual(Array.from({ length: 300 }, (_, i) => ({ values: [i] })));
  });

  it.each([
    ['ASCII', 'x'.repeat(4 * MiB)],
    ['three bytes a character', '你'.repeat(MiB)],
    ['four bytes and two UTF-16 units a character', '👋'.repeat(MiB)],
  ])(
    'several MiB go whole there and back, and small calls beside them: %s',
    async (_what, text) => {
      const { client } = link();
      const large = outcome(client, 'echo', { text });
      const small = Array.from({ length: 100 }, (_, i) => outcome(client, 'echo', i));
      const { values } = await large;
      // Not toEqual(): a difference would be printed whole.
      expect((values as { text: string }[])[0]?.text === text).toBe(true);
      await expect(Promise.all(small)).resolves.toEqual(Array.from({ length: 100 }, (_, i) => ({ values: [i] })));
    },
    20_000,
  );

  it(`${FRAMES} items of one stream arrive, in order`, async () => {
    const { values } = await outcome(link().client, 'count', FRAMES);
    expect(values).toHaveLength(FRAMES);
    expect(values.every((value, i) => value === i)).toBe(true);
  }, 20_000);
});

describe(`${FRAMES} frames in one write`, () => {
  const scope = new Scope();

  it('to our server are answered each', async () => {
    const { port } = await scope.server([RepliesController]);
    const peer = await RawPeer.connect(port);
    scope.defer(() => peer.socket.destroy());
    const answers = new StockFrames();
    const all = new Promise<void>((resolve) => {
      peer.socket.on('data', (chunk: Buffer) => {
        answers.push(chunk);
        if (answers.frames.length === FRAMES) resolve();
      });
    });
    const numbers = Array.from({ length: FRAMES }, (_, i) => i);
    peer.send(numbers.map((i) => nestFrame({ pattern: 'echo', data: i, id: `#${i}` })).join(''));
    await all;
    expect(answers.packets).toEqual(numbers.map((i) => ({ id: `#${i}`, response: i, isDisposed: true })));
  }, 20_000);

  it('to our client settle each its own call, also in the opposite order', async () => {
    const answers: string[] = [];
    const host = await startScriptedServer(({ id, data }, peer) => {
      answers.push(nestFrame({ id, response: data, isDisposed: true }));
      if (answers.length === FRAMES) peer.send(answers.reverse().join(''));
    });
    scope.defer(() => host.close());
    const pool = { min: 1, max: 1, maxInFlight: 2 * FRAMES };
    const client = scope.client(host.port, { protocol: nestJson(), pool });
    await client.connect();
    const numbers = Array.from({ length: FRAMES }, (_, i) => i);
    await expect(Promise.all(numbers.map((i) => client.request('echo', i)))).resolves.toEqual(numbers);
  }, 20_000);
});
