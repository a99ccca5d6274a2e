import { afterAll, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, type TcpContext } from '@nestjs/microservices';
import { firstValueFrom, Subject } from 'rxjs';
import type { PacketDeserializer, PacketSerializer } from '../../lib/index.js';
import { COMBINATIONS, outcome, STOCK_WIRE, type EndOptions } from '../support/combinations.js';
import { Scope } from '../support/nest-app.js';
import { RepliesController } from '../support/replies-controller.js';

/** What event handlers got. */
const events = new Subject<unknown>();

@Controller()
class MetadataController {
  @MessagePattern('metadata')
  metadata(@Payload() _data: unknown, @Ctx() context: TcpContext): unknown {
    return context.getMetadata() ?? null;
  }

  @EventPattern('noted')
  noted(@Payload() data: unknown, @Ctx() context: unknown): void {
    events.next({ data, metadata: (context as TcpContext).getMetadata() ?? null });
  }
}

/** Puts every packet into an envelope that only the other can open. */
class Sealed implements PacketSerializer {
  serialize(packet: unknown): unknown {
    return { sealed: Buffer.from(JSON.stringify(packet)).toString('base64') };
  }
}

class Opened implements PacketDeserializer {
  deserialize(value: unknown): unknown {
    return JSON.parse(Buffer.from((value as { sealed: string }).sealed, 'base64').toString());
  }
}

/** The same, a turn of the event loop later; every other packet two, so that order is nobody's accident. */
class SealedLater extends Sealed {
  #count = 0;

  override async serialize(packet: unknown): Promise<unknown> {
    for (let turns = (this.#count += 1) % 2; turns >= 0; turns--) await turn();
    return super.serialize(packet);
  }
}

class OpenedLater extends Opened {
  override async deserialize(value: unknown): Promise<unknown> {
    await turn();
    return super.deserialize(value);
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Stock Nest awaits its deserializer, and not its serializer. */
function endOptions(end: 'ours' | 'stock', isAsync: boolean): EndOptions {
  return {
    serializer: isAsync && end === 'ours' ? new SealedLater() : new Sealed(),
    deserializer: isAsync ? new OpenedLater() : new Opened(),
  };
}

const CONTROLLERS = [RepliesController, MetadataController];

for (const combination of STOCK_WIRE) {
  describe.each([
    ['serializers', false],
    ['async serializers', true],
  ])(`from ${combination.name}, with custom %s at both ends`, (_what, isAsync) => {
    const scope = new Scope(afterAll);

    async function connect() {
      const { port } = await combination.startServer(scope, CONTROLLERS, endOptions(combination.server, isAsync));
      const client = combination.createClient(scope, port, endOptions(combination.client, isAsync));
      await client.connect();
      return client;
    }

    it('values, streams, errors, unknown patterns and events pass', async () => {
      const client = await connect();
      await expect(outcome(client, 'echo', 'grüße 👋')).resolves.toEqual({ values: ['grüße 👋'] });
      await expect(outcome(client, 'empty', {})).resolves.toEqual({ values: [null] });
      await expect(outcome(client, 'nothing', {})).resolves.toEqual({ values: [] });
      await expect(outcome(client, 'count', 50)).resolves.toEqual({ values: Array.from({ length: 50 }, (_, i) => i) });
      await expect(outcome(client, 'rpc-object', {})).resolves.toEqual({
        values: [],
        error: { code: 'OUT_OF_STOCK', left: 0 },
      });
      await expect(outcome(client, 'nobody', {})).resolves.toMatchObject({ values: [], error: expect.anything() });
      const noted = firstValueFrom(events);
      client.emit('noted', { id: 7 });
      await expect(noted).resolves.toEqual({ data: { id: 7 }, metadata: null });
    });

    it('many calls at once get each its own answer', async () => {
      const client = await connect();
      const numbers = Array.from({ length: 200 }, (_, i) => i);
      await expect(Promise.all(numbers.map((i) => outcome(client, 'later', i)))).resolves.toEqual(
        numbers.map((i) => ({ values: [{ later: i }] })),
      );
    });
  });
}

describe('packet.metadata', () => {
  const scope = new Scope(afterAll);

  it.each(COMBINATIONS)('of a dispatch hook reaches the context of handlers, from $name', async (combination) => {
    const { port } = await combination.startServer(scope, CONTROLLERS);
    const client = combination.createClient(scope, port);
    await client.connect();
    await expect(outcome(client, 'metadata', {})).resolves.toEqual({ values: [null] });

    client.setOnDispatchHook((packet) => {
      packet.metadata = { trace: `of ${String(packet.pattern)}` };
    });
    await expect(outcome(client, 'metadata', {})).resolves.toEqual({ values: [{ trace: 'of metadata' }] });
    const noted = firstValueFrom(events);
    client.emit('noted', 1);
    await expect(noted).resolves.toEqual({ data: 1, metadata: { trace: 'of noted' } });
  });
});
