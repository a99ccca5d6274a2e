import { describe, expect, it } from '@jest/globals';
import { thrownBy } from '../../support/bytes.js';
import { message, nativeWire } from './harness.js';

describe('patterns on the native wire', () => {
  it('travel as text once, and as a number from then on', () => {
    const wire = nativeWire();
    const route = 'orders.created';
    wire.client.request(1, message(route, 1), 100);
    const first = wire.clientWriter.take();
    wire.client.request(2, message(route, 2), 100);
    void wire.client.event(message(route, 3));
    const others = wire.clientWriter.take();

    expect(first.includes(route)).toBe(true);
    expect(others.includes(route)).toBe(false);
    wire.server.receive(first);
    wire.server.receive(others);
    expect(wire.serverHeard.map((heard) => heard.find((value) => value === route))).toEqual([route, route, route]);
  });

  it('are kept apart, whatever order they come in', () => {
    const wire = nativeWire();
    const routes = ['a', 'b', 'a', 'c', 'b', 'a', '', 'c', '', '{"cmd":"ünï"}', '{"cmd":"ünï"}'];
    for (const route of routes) void wire.client.event(message(route));

    expect(wire.toServer().map(([, route]) => route)).toEqual(routes);
  });

  it('are spelled out each time once the server remembers no more', () => {
    const wire = nativeWire({ maxPatterns: 3 });
    const routes = Array.from({ length: 10 }, (_, i) => `pattern-${i}`);
    for (const round of [1, 2, 3]) {
      for (const route of routes) wire.client.request(round, message(route, round), 1);
      const bytes = wire.clientWriter.take();
      expect(routes.filter((route) => bytes.includes(route))).toEqual(round === 1 ? routes : routes.slice(3));
      wire.server.receive(bytes);
    }

    expect(wire.serverHeard.map(([, , route]) => route)).toEqual([...routes, ...routes, ...routes]);
  });

  it('are spelled out each time where they are longer than a server remembers', () => {
    const wire = nativeWire();
    const routes = ['p'.repeat(256), 'q'.repeat(257), 'é'.repeat(129), 'short'];
    for (const round of [1, 2]) {
      for (const route of routes) void wire.client.event(message(route, round));
      const bytes = wire.clientWriter.take();
      expect(routes.map((route) => bytes.includes(route))).toEqual(
        round === 1 ? [true, true, true, true] : [false, true, true, false],
      );
      wire.server.receive(bytes);
    }

    expect(wire.serverHeard.map(([, route]) => route)).toEqual([...routes, ...routes]);
  });

  it('are all spelled out for a server that remembers none', () => {
    const wire = nativeWire({ maxPatterns: 0 });
    for (const route of ['a', 'b', 'a']) void wire.client.event(message(route));

    expect(wire.toServer().map(([, route]) => route)).toEqual(['a', 'b', 'a']);
  });

  it('fit the server’s memory when there are thousands', () => {
    const wire = nativeWire();
    const routes = Array.from({ length: 3000 }, (_, i) => `p${i}`);
    for (const route of [...routes, ...routes]) void wire.client.event(message(route));

    expect(wire.toServer().map(([, route]) => route)).toEqual([...routes, ...routes]);
  });

  it('never get a number that the field cannot hold, whatever the server offers', () => {
    const wire = nativeWire({ maxPatterns: 1_000_000 });
    for (let i = 0; i < 65_540; i++) void wire.client.event(message(`p${i}`));

    expect(wire.clientWriter.take().includes('p65539')).toBe(true);
  });

  it('are not taken as known when the message that was to teach them threw', () => {
    const wire = nativeWire({ serverMaxFrameBytes: 200 });
    for (const data of ['x'.repeat(300), 1n]) {
      thrownBy(() => {
        wire.client.request(1, message('p', data), 1);
      });
    }
    wire.client.request(2, message('p', 'fits'), 1);
    wire.client.request(3, message('q', 'fits'), 1);

    expect(wire.toServer().map(([, id, route]) => [id, route])).toEqual([
      [2, 'p'],
      [3, 'q'],
    ]);
  });

  it('are learnt even from a message whose payload is malformed', () => {
    const wire = nativeWire();
    wire.client.request(1, message('p', 'payload'), 1);
    const bytes = wire.clientWriter.take();
    bytes[bytes.length - 1] = 0x21;
    wire.server.receive(bytes);
    wire.client.request(2, message('p', 1), 1);

    expect(wire.toServer().map(([, id, route]) => [id, route])).toEqual([[2, 'p']]);
  });
});
