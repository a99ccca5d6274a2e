import { refuse } from '../common/options.js';
import type { Target } from '../connection/target.js';
import type { ConnectionOptions as TlsOptions } from 'node:tls';

/** One endpoint as a user writes it: `'host:port'`, `'tls://host:port'`, `'unix:/path'`, or the parts. */
export type EndpointAddress = string | { readonly host: string; readonly port: number } | { readonly path: string };

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
