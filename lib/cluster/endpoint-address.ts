import { refuse } from '../common/options.js';
import type { Target } from '../connection/target.js';
import type { ConnectionOptions as TlsOptions } from 'node:tls';

/** Where an endpoint stands among the others, as in SRV records (RFC 2782). */
export interface EndpointPlace {
  /** Endpoints of a higher number get calls only while none of a lower one can. Default 0. */
  readonly priority: number;
  /** Share of the calls beside the other endpoints' of its priority; above 0. Default 1. */
  readonly weight: number;
}

/** One endpoint as a user writes it: `'host:port'`, `'tls://host:port'`, `'unix:/path'`, or the parts. */
export type EndpointAddress =
  | string
  | ({ readonly host: string; readonly port: number } & Partial<EndpointPlace>)
  | ({ readonly path: string } & Partial<EndpointPlace>);

/**
 * Reads where an endpoint stands.
 *
 * @param path of the option, for the error
 * @throws PooledTcpError `PTCP_OPTION_INVALID`
 */
export function placeOf(input: EndpointAddress, path: string): EndpointPlace {
  if (typeof input === 'string') return { priority: 0, weight: 1 };
  const { priority = 0, weight = 1 } = input;
  if (!Number.isInteger(priority) || priority < 0)
    refuse(`${path}.priority`, priority, 'a whole number, 0 or more; lower is better');
  if (typeof weight !== 'number' || !(weight > 0 && weight <= 1e6))
    refuse(`${path}.weight`, weight, 'a number above 0 and up to 1000000');
  return { priority, weight };
}

/**
 * Reads an endpoint address.
 *
 * @param path of the option, for the error
 * @throws PooledTcpError `PTCP_OPTION_INVALID`
 */
export function parseEndpoint(input: EndpointAddress, path: string, tls: TlsOptions | undefined): Target {
  if (typeof input === 'string') return parseText(input, path, tls);
  if (typeof input !== 'object' || (input as unknown) === null) return invalid(input, path);
  if ('path' in input) return unixTarget(input.path, path, tls);
  return tcpTarget(input.host, input.port, path, tls);
}

function parseText(text: string, path: string, tls: TlsOptions | undefined): Target {
  if (text.startsWith('unix:')) return unixTarget(text.slice('unix:'.length), path, tls);
  const scheme = /^(tcp|tls):\/\//.exec(text);
  const rest = scheme === null ? text : text.slice(scheme[0].length);
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(rest);
  const host = match?.[1] ?? match?.[2];
  if (match === null || host === undefined) return invalid(text, path);
  return tcpTarget(host, Number(match[3]), path, scheme?.[1] === 'tls' ? (tls ?? {}) : tls);
}

function tcpTarget(host: string, port: number, path: string, tls: TlsOptions | undefined): Target {
  if (typeof host !== 'string' || host === '') refuse(`${path}.host`, host, 'a host name or an IP address');
  if (!Number.isInteger(port) || port < 1 || port > 65_535) refuse(`${path}.port`, port, 'a port from 1 to 65535');
  return { address: `${host.includes(':') ? `[${host}]` : host}:${port}`, host, port, tls };
}

function unixTarget(socketPath: string, path: string, tls: TlsOptions | undefined): Target {
  if (typeof socketPath !== 'string' || socketPath === '')
    refuse(path, socketPath, "the path of a Unix socket, as in 'unix:/run/app.sock'");
  return { address: `unix:${socketPath}`, path: socketPath, tls };
}

function invalid(value: unknown, path: string): never {
  return refuse(
    path,
    value,
    "an address such as '10.0.0.1:4000', '[::1]:4000', 'tls://host:4000' or 'unix:/run/app.sock'",
  );
}
