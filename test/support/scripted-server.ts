import { startRawServer, nestFrame, type RawPeer, type RawServer } from './sockets.js';
import { StockFrames, type StockPacket } from './stock-frames.js';

export const NO_HANDLER = 'There is no matching message handler defined in the remote service.';

/** What a stock server answers where it has no handler: the hello and heartbeats of our client among it. */
export function noHandler(id: string): string {
  return nestFrame({ id, status: 'error', err: NO_HANDLER });
}

export interface ScriptedServer extends RawServer {
  /** What each connection has received, in the order in which they were opened. */
  readonly received: readonly StockFrames[];
}

/**
 * A server on the stock wire that does what a test says, and keeps every byte that it gets. Requests to the patterns of
 * our client's hello and heartbeats are answered as a stock server does.
 */
export async function startScriptedServer(
  onPacket: (packet: StockPacket, peer: RawPeer) => void,
): Promise<ScriptedServer> {
  const received: StockFrames[] = [];
  const server = await startRawServer((peer) => {
    const frames = new StockFrames();
    received.push(frames);
    peer.socket.on('data', (chunk: Buffer) => {
      const known = frames.frames.length;
      frames.push(chunk);
      for (const frame of frames.frames.slice(known)) {
        const packet = JSON.parse(frame) as StockPacket;
        if (packet.id !== undefined && String(packet.pattern).startsWith('pooled-tcp:'))
          peer.send(noHandler(packet.id));
        else onPacket(packet, peer);
      }
    });
  });
  return { ...server, received };
}
