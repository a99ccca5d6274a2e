import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { filter, firstValueFrom, map, Subject, take, toArray } from 'rxjs';
import { native, nestJson } from '../../lib/index.js';
import { COMBINATIONS, forEachCombination, outcome } from '../support/combinations.js';
import { Scope } from '../support/nest-app.js';
import { RepliesController } from '../support/replies-controller.js';

/** What arrived, and at which handler. */
const events = new Subject<{ at: string; data: unknown }>();

/** Resolves with the data of the next events at one handler. */
function arrivals(at: string, count: number): Promise<unknown[]> {
  const here = events.pipe(
    filter((event) => event.at === at),
    map(({ data }) => data),
  );
  return firstValueFrom(here.pipe(take(count), toArray()));
}

@Controller()
class EventsController {
  @EventPattern('created')
  created(@Payload() data: unknown): void {
    events.next({ at: 'created', data });
  }

  @EventPattern({ event: 'shipped', by: 'sea' })
  shipped(@Payload() data: unknown): void {
    events.next({ at: 'shipped', data });
  }

  @EventPattern(7)
  seventh(@Payload() data: unknown): void {
    events.next({ at: 'seventh', data });
  }

  @EventPattern('sold')
  book(@Payload() data: unknown): void {
    events.next({ at: 'book', data });
  }

  @EventPattern('sold')
  async post(@Payload() data: unknown): Promise<void> {
    await Promise.resolve();
    events.next({ at: 'post', data });
  }

  @EventPattern('broken')
  broken(@Payload() data: unknown): void {
    throw new Error(`as it happens: ${String(data)}`);
  }
}

@Controller()
class AuditController {
  @EventPattern('sold')
  audit(@Payload() data: unknown): void {
    events.next({ at: 'audit', data });
  }
}

forEachCombination(COMBINATIONS, [EventsController, AuditController, RepliesController], (link) => {
  it.each<[string, string, unknown]>([
    ['a text pattern', 'created', 'created'],
    ['an object pattern', 'shipped', { by: 'sea', event: 'shipped' }],
    ['a number pattern', 'seventh', 7],
  ])('emit() reaches the event handler of %s', async (_what, at, pattern) => {
    const arrived = arrivals(at, 1);
    link().client.emit(pattern, { id: 7 });
    await expect(arrived).resolves.toEqual([{ id: 7 }]);
  });

  it.each([0, '', false, [[]]])('emit() delivers %p', async (data) => {
    const arrived = arrivals('created', 1);
    link().client.emit('created', data);
    await expect(arrived).resolves.toEqual([data]);
  });

  it('every handler of one pattern gets the event, once', async () => {
    const arrived = Promise.all(['book', 'post', 'audit'].map((at) => arrivals(at, 3)));
    for (const id of [1, 2, 3]) link().client.emit('sold', id);
    await expect(arrived).resolves.toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });

  it('every event of many at once arrives', async () => {
    const arrived = arrivals('created', 200);
    for (let i = 0; i < 200; i++) link().client.emit('created', i);
    expect(new Set(await arrived)).toEqual(new Set(Array.from({ length: 200 }, (_, i) => i)));
  });

  it('a handler that throws, and an event that nobody handles, touch nothing else', async () => {
    const { client } = link();
    const arrived = arrivals('created', 1);
    client.emit('broken', {});
    client.emit('nobody', {});
    client.emit('created', 'after');
    await expect(arrived).resolves.toEqual(['after']);
    await expect(outcome(client, 'sum', [1, 2])).resolves.toEqual({ values: [3] });
  });
});

describe('on one connection', () => {
  const scope = new Scope();

  it.each([native(), nestJson()])('events keep their order, $protocol', async (protocol) => {
    const { port } = await scope.server([EventsController]);
    const client = scope.client(port, { protocol, pool: { min: 1, max: 1 } });
    const arrived = arrivals('created', 200);
    for (let i = 0; i < 200; i++) client.emit('created', i);
    await expect(arrived).resolves.toEqual(Array.from({ length: 200 }, (_, i) => i));
  });
});
