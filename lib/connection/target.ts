import type { ConnectionOptions as TlsOptions } from 'node:tls';

/** Where to connect to. */
export interface Target {
  /** For people and as a key: `127.0.0.1:4000`, `unix:/run/app.sock`. */
  readonly address: string;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  /** Path of a Unix socket, instead of host and port. */
  readonly path?: string | undefined;
  /** TLS options; undefined for plain TCP. */
  readonly tls?: TlsOptions | undefined;
}
