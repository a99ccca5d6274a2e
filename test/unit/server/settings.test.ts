import { describe, expect, it } from '@jest/globals';
import { native, nestJson } from '../../../lib/protocol/protocol.js';
import { resolveServerOptions } from '../../../lib/server/settings.js';
import { thrownBy } from '../../support/bytes.js';

const serializer = { serialize: (packet: unknown) => packet };
const deserializer = { deserialize: (packet: unknown) => packet };

/** Code and message of the refusal; takes what the types would forbid. */
function refusal(options: object): string {
  const { code, message } = thrownBy(() => resolveServerOptions(options));
  return `${code}: ${message}`;
}

describe('server options', () => {
  it('have the documented defaults', () => {
    expect(resolveServerOptions({})).toMatchObject({
      host: 'localhost',
      port: 3000,
      path: undefined,
      tls: undefined,
      protocol: 'auto',
      heartbeat: { intervalMs: 30_000, timeoutMs: 10_000 },
      idleTimeoutMs: 180_000,
      firstFrameTimeoutMs: 5_000,
      maxConnections: 4_096,
      maxConnectionsPerHost: 64,
      maxConnectionsPerPrincipal: 0,
      partialFrameTimeoutMs: 10_000,
      unusedTimeoutMs: 0,
      maxEventLoopDelayMs: 0,
      allow: [],
      deny: [],
      proxyProtocol: false,
      authenticate: undefined,
      maxFrameBytes: 8 * 1024 * 1024,
      drainTimeoutMs: 10_000,
    });
  });

  it('are frozen once resolved', () => {
    expect(Object.isFrozen(resolveServerOptions({}))).toBe(true);
    expect(Object.isFrozen(resolveServerOptions({ serializer }))).toBe(true);
    expect(Object.isFrozen(resolveServerOptions({ heartbeat: { intervalMs: 5 } }).heartbeat)).toBe(true);
  });

  it('take 0 and false as what they say, and undefined as left out', () => {
    const options = { port: 0, idleTimeoutMs: 0, firstFrameTimeoutMs: 0, heartbeat: false, keepAlive: false };

    expect(resolveServerOptions({ ...options, host: undefined })).toMatchObject({ ...options, host: 'localhost' });
  });

  it.each<[object, string]>([
    [{ prot: 1 }, 'PTCP_OPTION_UNKNOWN: prot is not an option; did you mean port?'],
    [{ endpoints: [] }, 'PTCP_OPTION_UNKNOWN: endpoints is not an option; known options are host, port, path'],
    [{ port: -1 }, 'PTCP_OPTION_INVALID: port (-1) must be a port from 0 to 65535'],
    [{ port: '4000' }, "PTCP_OPTION_INVALID: port ('4000') must be a port from 0 to 65535"],
    [{ tls: true }, 'PTCP_OPTION_INVALID: tls (true) must be options of tls.createServer()'],
    [{ maxConnections: 0 }, 'PTCP_OPTION_INVALID: maxConnections (0) must be a whole number, 1 or more'],
    [{ heartbeat: { timeoutMs: 0 } }, 'PTCP_OPTION_INVALID: heartbeat.timeoutMs (0) must be a whole number of'],
    [{ protocol: {} }, "PTCP_OPTION_INVALID: protocol (an object) must be 'auto', native() or nestJson()"],
    [{ deserializer: { serialize: 1 } }, 'PTCP_OPTION_INVALID: deserializer (an object) must be an object with'],
    [{ path: '/run/a.sock', port: 0 }, 'PTCP_OPTION_CONFLICT: path and port are both given; a server listens on one'],
    [{ path: '/run/a.sock', host: 'a' }, 'PTCP_OPTION_CONFLICT: path and host are both given'],
    [{ allow: '10.0.0.1' }, "PTCP_OPTION_INVALID: allow ('10.0.0.1') must be an array of IP addresses"],
    [{ deny: ['10.0.0.1', 'x'] }, "PTCP_OPTION_INVALID: deny[1] ('x') must be an IP address such as"],
    [{ proxyProtocol: { trusted: ['x/8'] } }, "PTCP_OPTION_INVALID: proxyProtocol.trusted[0] ('x/8') must be an IP"],
    [{ proxyProtocol: true }, 'PTCP_OPTION_CONFLICT: proxyProtocol.trusted is empty'],
    [{ proxyProtocol: { trusted: ['10.0.0.1'] }, path: '/run/a.sock' }, 'PTCP_OPTION_CONFLICT: proxyProtocol judges'],
    [{ authenticate: 'token' }, "PTCP_OPTION_INVALID: authenticate ('token') must be a function"],
    [{ authenticate: () => 'a', protocol: nestJson() }, 'PTCP_OPTION_CONFLICT: authenticate reads the credentials'],
    [{ authenticate: () => 'a', serializer }, 'PTCP_OPTION_CONFLICT: authenticate reads the credentials'],
    [{ maxConnectionsPerPrincipal: 1 }, 'PTCP_OPTION_CONFLICT: maxConnectionsPerPrincipal counts principals'],
    [{ protocol: native(), serializer }, 'PTCP_OPTION_CONFLICT: serializer shapes stock Nest packets'],
    [{ protocol: native(), deserializer }, 'PTCP_OPTION_CONFLICT: deserializer shapes stock Nest packets'],
  ])('refuse %j', (options, expected) => {
    expect(refusal(options)).toContain(expected);
  });

  it('imply the stock wire where packets are shaped', () => {
    expect(resolveServerOptions({ serializer }).protocol).toBe('nest-json');
    expect(resolveServerOptions({ deserializer, protocol: nestJson() }).protocol).toBe('nest-json');
    expect(resolveServerOptions({ protocol: native() }).protocol).toBe('native');
  });
});
