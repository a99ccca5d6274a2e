import type { Socket } from 'node:net';

/**
 * Resets a connection as soon as it can be reset.
 *
 * `resetAndDestroy()` alone loses a socket whose end (FIN) is on its way at that moment: libuv refuses to reset a
 * stream that is shutting down (`EINVAL` in `uv_tcp_close_reset`), and `net.Socket`, which has let go of its handle by
 * then, never closes it and never emits `close`. Seen with Node 20.20.
 */
export function reset(socket: Socket): void {
  if (socket.destroyed) return;
  // Nobody to tell yet; and an end that was asked for meanwhile would be sent in the same moment as the reset.
  if (socket.connecting) socket.destroy();
  else if (isShuttingDown(socket)) socket.once('finish', () => reset(socket));
  else socket.resetAndDestroy();
}

/** All is written, and the kernel has not said yet that the end is. */
function isShuttingDown({ writableEnded, writableLength, writableFinished }: Socket): boolean {
  return writableEnded && writableLength === 0 && !writableFinished;
}
