import type { PooledTcpServerOptions } from '../../../lib/index.js';
import { bankCodec } from '../wire/codec.js';
import { FRAMINGS, type FramingName } from '../wire/framings.js';

/** Token of the time that the archive takes. */
export const ARCHIVE_MS = Symbol('archiveMs');

/** The host's end of the protocol. */
export function hostOptions(framing: FramingName, port: number): PooledTcpServerOptions {
  return {
    host: '127.0.0.1',
    port,
    framing: FRAMINGS[framing],
    codec: bankCodec,
    // In this protocol the stations ask, and the host answers.
    heartbeat: false,
  };
}
