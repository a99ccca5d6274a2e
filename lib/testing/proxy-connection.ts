import type { Socket } from 'node:net';
import type { Clock } from '../common/clock.js';
import type { Direction, FaultOptions, FaultSettings } from './faults.js';
import { Lane, type LaneSink } from './lane.js';
import { seededRandom } from './random.js';
import { reset } from './reset.js';

export interface ProxyConnectionOptions {
  readonly id: number;
  readonly client: Socket;
  readonly server: Socket;
  readonly clock: Clock;
  readonly seed: number;
  readonly windowBytes: number;
  readonly onClosed: () => void;
}

const OTHER: Readonly<Record<Direction, Direction>> = { toServer: 'toClient', toClient: 'toServer' };

/** One connection through a {@link FaultProxy}: a socket of the client's, one to the server, a lane each way. */
export class ProxyConnection {
  /** The first connection of a proxy is 1. */
  readonly id: number;
  /** The socket that a direction ends in. */
  readonly #sockets: Readonly<Record<Direction, Socket>>;
  readonly #lanes: Readonly<Record<Direction, Lane>>;
  readonly #over = new Set<Direction>();
  readonly #onClosed: () => void;
  #openSockets = 2;

  /** @internal */
  constructor(options: ProxyConnectionOptions) {
    this.id = options.id;
    this.#onClosed = options.onClosed;
    this.#sockets = { toServer: options.server, toClient: options.client };
    const lane = (direction: Direction, seed: number): Lane =>
      new Lane({
        source: this.#sockets[OTHER[direction]],
        sink: sinkOf(this.#sockets[direction]),
        clock: options.clock,
        random: seededRandom(seed),
        windowBytes: options.windowBytes,
        onReset: () => {
          this.reset();
        },
      });
    this.#lanes = { toServer: lane('toServer', options.seed), toClient: lane('toClient', options.seed + 1) };
  }

  /** Begins to pass bytes. @internal */
  start(): void {
    this.#read('toServer');
    this.#read('toClient');
  }

  /** The faults of a direction at this moment. */
  faults(direction: Direction): Readonly<FaultSettings> {
    return this.#lanes[direction].faults;
  }

  /** Bytes of a direction: those that came, and those that were passed on. */
  bytes(direction: Direction): { readonly received: number; readonly delivered: number } {
    const { receivedBytes, deliveredBytes } = this.#lanes[direction];
    return { received: receivedBytes, delivered: deliveredBytes };
  }

  /**
   * Changes faults; what is left out stays.
   *
   * @param direction both when left out
   * @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN`
   */
  set(faults: FaultOptions, direction?: Direction): void {
    for (const one of both(direction)) this.#lanes[one].set(faults);
  }

  /** Takes every fault back. What was swallowed stays lost, and that direction silent. */
  heal(direction?: Direction): void {
    for (const one of both(direction)) this.#lanes[one].heal();
  }

  /**
   * Sends a reset (RST) to both ends, or to the receiver of one direction only: the other end then learns nothing,
   * as when a firewall forgets a connection.
   */
  reset(direction?: Direction): void {
    if (direction !== undefined) this.#lanes[OTHER[direction]].silence();
    for (const one of both(direction)) {
      this.#lanes[one].silence();
      reset(this.#sockets[one]);
    }
  }

  /** Half-close: ends the stream (FIN) towards the receiver of a direction; the other direction goes on. */
  end(direction: Direction): void {
    this.#lanes[direction].end();
  }

  /** Closes both sides at once, without a word on what is on its way. */
  destroy(): void {
    for (const one of both(undefined)) {
      this.#lanes[one].silence();
      this.#sockets[one].destroy();
    }
  }

  #read(direction: Direction): void {
    const source = this.#sockets[OTHER[direction]];
    const lane = this.#lanes[direction];
    source.setNoDelay(true);
    source.on('data', (chunk: Buffer) => {
      lane.receive(chunk);
    });
    source.on('end', () => {
      lane.sourceEnded();
      this.#sourceIsOver(direction);
    });
    // What failed shows in the close that follows.
    source.on('error', () => undefined);
    source.on('close', (hasFailed) => {
      if (hasFailed || !this.#over.has(direction)) lane.sourceReset();
      this.#sourceIsOver(direction);
      this.#openSockets -= 1;
      if (this.#openSockets === 0) this.#onClosed();
    });
  }

  /** Sockets stay half-open until the other end is told; where it never will be, nothing is left to wait for. */
  #sourceIsOver(direction: Direction): void {
    this.#over.add(direction);
    if (this.#over.size < 2) return;
    if (both(undefined).some((one) => this.#lanes[one].isSilent)) this.destroy();
  }
}

function both(direction: Direction | undefined): readonly Direction[] {
  return direction === undefined ? ['toServer', 'toClient'] : [direction];
}

function sinkOf(socket: Socket): LaneSink {
  return {
    write: (bytes, taken) => {
      if (socket.destroyed || socket.writableEnded) setImmediate(taken);
      else socket.write(bytes, () => taken());
    },
    end: () => {
      if (!socket.destroyed) socket.end();
    },
    reset: () => {
      reset(socket);
    },
  };
}
