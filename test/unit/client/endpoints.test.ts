import { describe, expect, it } from '@jest/globals';
import { parseEndpoint, placeOf } from '../../../lib/cluster/endpoint-address.js';
import { staticEndpoints } from '../../../lib/cluster/resolver.js';
import { resolveClientOptions, type PooledTcpClientOptions } from '../../../lib/client/settings.js';
import { thrownBy } from '../../support/bytes.js';

/** Code and message of the refusal; takes what the types would forbid. */
function refusal(options: object): string {
  const { code, message } = thrownBy(() => resolveClientOptions(options));
  return `${code}: ${message}`;
}

describe('endpoints of a client', () => {
  /** What the resolver that comes of the options yields. */
  function endpointsOf(options: PooledTcpClientOptions): unknown {
    let found: unknown;
    const stop = resolveClientOptions(options).resolver.watch({
      update: (list) => {
        found = list;
      },
      error: () => undefined,
    });
    stop();
    return found;
  }

  it('come from endpoints, from host and port, or from either of the two', () => {
    expect(endpointsOf({ endpoints: ['a:1', { host: 'b', port: 2 }] })).toEqual(['a:1', { host: 'b', port: 2 }]);
    expect(endpointsOf({ host: 'a', port: 1 })).toEqual([{ host: 'a', port: 1 }]);
    expect(endpointsOf({ port: 1 })).toEqual([{ host: 'localhost', port: 1 }]);
    expect(endpointsOf({ host: 'a' })).toEqual([{ host: 'a', port: 3000 }]);
  });

  it('may be a resolver, which is used as it is', () => {
    const resolver = staticEndpoints(['a:1']);

    expect(resolveClientOptions({ endpoints: resolver }).resolver).toBe(resolver);
  });

  it('are given in one way only, once each, and at all', () => {
    expect(refusal({ endpoints: ['a:1'], host: 'a' })).toBe(
      'PTCP_OPTION_CONFLICT: endpoints and host are both given; put the address into endpoints',
    );
    expect(refusal({ endpoints: ['a:1'], port: 1 })).toMatch(
      /^PTCP_OPTION_CONFLICT: endpoints and port are both given/,
    );
    expect(refusal({})).toMatch(/^PTCP_OPTION_CONFLICT: no endpoint is given; write endpoints/);
    expect(refusal({ endpoints: ['a:1', 'b:1', { host: 'a', port: 1 }] })).toBe(
      'PTCP_OPTION_CONFLICT: endpoints names a:1 twice',
    );
    for (const value of [[], {}, 'a:1', 7]) {
      expect(refusal({ endpoints: value })).toMatch(/^PTCP_OPTION_INVALID: endpoints \(.*\) must be a non-empty array/);
    }
  });

  it('refuse a bad port beside a host', () => {
    for (const port of [0, 65_536, 1.5, '4000']) {
      expect(refusal({ host: 'a', port })).toMatch(/^PTCP_OPTION_INVALID: port \(.*\) must be a port from 1 to 65535$/);
    }
  });

  it.each<[unknown, string]>([
    ['localhost', "endpoints[0] ('localhost') must be an address such as"],
    ['http://a:1', "endpoints[0] ('http://a:1') must be an address such as"],
    ['a:1/path', "endpoints[0] ('a:1/path') must be an address such as"],
    ['::1:4000', "endpoints[0] ('::1:4000') must be an address such as"],
    [':4000', "endpoints[0] (':4000') must be an address such as"],
    ['a:', "endpoints[0] ('a:') must be an address such as"],
    ['a:0', 'endpoints[0].port (0) must be a port from 1 to 65535'],
    ['a:65536', 'endpoints[0].port (65536) must be a port from 1 to 65535'],
    ['unix:', "endpoints[0] ('') must be the path of a Unix socket"],
    [{ host: 'a' }, 'endpoints[0].port (undefined) must be a port'],
    [{ host: '', port: 1 }, "endpoints[0].host ('') must be a host name"],
    [{}, 'endpoints[0].host (undefined) must be a host name'],
    [{ path: 5 }, 'endpoints[0] (5) must be the path of a Unix socket'],
    [null, 'endpoints[0] (null) must be an address such as'],
    [4000, 'endpoints[0] (4000) must be an address such as'],
  ])('refuse %j', (endpoint, expected) => {
    expect(refusal({ endpoints: [endpoint] })).toContain(`PTCP_OPTION_INVALID: ${expected}`);
  });

  it('have a priority and a weight where they are written as objects', () => {
    expect(refusal({ endpoints: [{ host: 'a', port: 1, weight: 0 }] })).toMatch(
      /^PTCP_OPTION_INVALID: endpoints\[0\]\.weight \(0\) must be a number above 0/,
    );
    expect(refusal({ endpoints: ['a:1', { path: '/x', priority: -1 }] })).toMatch(
      /^PTCP_OPTION_INVALID: endpoints\[1\]\.priority \(-1\) must be a whole number, 0 or more/,
    );
    expect(placeOf({ host: 'a', port: 1, priority: 2, weight: 0.5 }, 'e')).toEqual({ priority: 2, weight: 0.5 });
    expect(placeOf('a:1', 'e')).toEqual({ priority: 0, weight: 1 });
  });

  it('name the position of the bad one', () => {
    expect(refusal({ endpoints: ['a:1', 'b'] })).toContain("endpoints[1] ('b')");
  });
});

describe('parseEndpoint', () => {
  it('reads host names, IPv4, IPv6 and Unix sockets', () => {
    expect(parseEndpoint('svc.local:4000', 'e', undefined)).toEqual({
      address: 'svc.local:4000',
      host: 'svc.local',
      port: 4000,
      tls: undefined,
    });
    expect(parseEndpoint('tcp://10.0.0.1:4000', 'e', undefined).address).toBe('10.0.0.1:4000');
    expect(parseEndpoint('[::1]:4000', 'e', undefined)).toMatchObject({
      address: '[::1]:4000',
      host: '::1',
      port: 4000,
    });
    expect(parseEndpoint('[fe80::1%eth0]:4000', 'e', undefined)).toMatchObject({ host: 'fe80::1%eth0' });
    expect(parseEndpoint({ host: '::1', port: 1 }, 'e', undefined).address).toBe('[::1]:1');
    expect(parseEndpoint('unix:/run/app.sock', 'e', undefined)).toEqual({
      address: 'unix:/run/app.sock',
      path: '/run/app.sock',
      tls: undefined,
    });
    expect(parseEndpoint({ path: '/run/app.sock' }, 'e', undefined).address).toBe('unix:/run/app.sock');
  });

  it('gives an endpoint TLS for its scheme, or because all have it', () => {
    const tls = { servername: 'x' };

    expect(parseEndpoint('tls://a:1', 'e', undefined)).toMatchObject({ address: 'a:1', tls: {} });
    expect(parseEndpoint('tls://[::1]:1', 'e', tls).tls).toBe(tls);
    expect(parseEndpoint('a:1', 'e', tls).tls).toBe(tls);
    expect(parseEndpoint('a:1', 'e', undefined).tls).toBeUndefined();
  });
});
