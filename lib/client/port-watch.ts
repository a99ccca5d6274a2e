import type { Clock } from '../common/clock.js';
import type { DiagnosticLogger } from '../common/logger.js';
import type { Target } from '../connection/target.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { LocalPorts, PortRange, ReadLocalPorts } from './local-ports.js';
import { RecentCount } from './recent-count.js';

export interface PortWatchOptions {
  /** Name of the pool, for messages. */
  readonly pool: string;
  readonly clock: Clock;
  readonly logger: DiagnosticLogger;
  readonly read: ReadLocalPorts;
}

/** What connections that come and go cost one endpoint. */
export interface PortStats {
  /** Connections begun to be opened in a second, over the last ten. */
  readonly connectsPerSecond: number;
  /**
   * Local ports held in TIME_WAIT by connections that this side closed first: at most so many, since the kernel keeps
   * each for up to a minute.
   */
  readonly timeWait: number;
}

/** Linux keeps the port of a connection that it closed first for so long; other systems for less. */
const TIME_WAIT_SECONDS = 60;
const RATE_SECONDS = 10;
/** A port can be used once for each address and port at the other end, so each endpoint has all of them. */
const WARN_FROM = 0.75;
/** From here on the system is asked how many are in TIME_WAIT. */
const READ_FROM = 0.25;
const READ_EVERY_MS = 5_000;
const WARN_EVERY_MS = 60_000;
/** With less than that in use, it is not the lack of ports that makes a connect fail. */
const SHORTAGE_FROM = 0.5;
/** RFC 6335's dynamic ports, which macOS and Windows use, where the system does not tell. */
const IANA_RANGE: PortRange = { first: 49_152, last: 65_535 };

/**
 * Watches the local ports that connections to one endpoint take. A connection that is closed here keeps its port for
 * a minute more; where connections come and go quickly the ports run out, and that is said before it happens. It counts
 * what it is told, asks the system from time to time, and nobody waits for that.
 */
export class PortWatch {
  readonly #target: Target;
  readonly #options: PortWatchOptions;
  readonly #connects = new RecentCount(RATE_SECONDS);
  readonly #closes = new RecentCount(TIME_WAIT_SECONDS);
  /** Connections that are open or being opened. */
  #open = 0;
  #closedHere = 0;
  #ports: LocalPorts | undefined;
  /** What {@link #closedHere} was when the ports were read. */
  #closedAtReading = 0;
  #isReading = false;
  #readAt = -Infinity;
  #warnedAt = -Infinity;

  constructor(target: Target, options: PortWatchOptions) {
    this.#target = target;
    this.#options = options;
  }

  /** A connection is going to be opened: told once more when it is {@link gone}. */
  connecting(): void {
    const now = this.#options.clock.now();
    this.#open += 1;
    this.#connects.add(now);
    this.#check(now);
  }

  /** A connection could not be opened, or is closed now, whoever closed it. */
  gone(): void {
    this.#open -= 1;
  }

  /** This side closes a connection, and the other has not. */
  closing(): void {
    this.#closes.add(this.#options.clock.now());
    this.#closedHere += 1;
  }

  stats(): PortStats {
    const now = this.#options.clock.now();
    return {
      connectsPerSecond: Math.round(this.#connects.perSecond(now) * 10) / 10,
      timeWait: this.#timeWait(now),
    };
  }

  /** Whether there is nothing that would have to be remembered. */
  get isQuiet(): boolean {
    const now = this.#options.clock.now();
    return this.#open === 0 && this.#closes.total(now) === 0 && this.#connects.total(now) === 0;
  }

  /** The error to throw instead, where a connect failed for want of a local port. */
  async shortage(error: unknown): Promise<PooledTcpError | undefined> {
    if (!isAddressNotAvailable(error)) return undefined;
    const ports = await this.#read();
    const { connectsPerSecond, timeWait } = this.stats();
    const used = Math.max(this.#open + timeWait, (ports.inUse ?? 0) + (ports.timeWait ?? 0));
    if (used < sizeOf(ports.range ?? IANA_RANGE) * SHORTAGE_FROM) return undefined;
    const { address } = this.#target;
    return new PooledTcpError(
      'PTCP_PORTS_EXHAUSTED',
      `cannot connect to ${address}: no local port is left of ${inWords(ports.range)}; ${this.#open} connections to it are open, ${timeWait} in TIME_WAIT, at ${connectsPerSecond} connects a second; ${REMEDY}`,
      { peer: address, cause: error },
    );
  }

  /** What was closed here within a minute; not more than the system had in all, and what has been closed since. */
  #timeWait(now: number): number {
    // A Unix socket has no ports.
    if (this.#target.path !== undefined) return 0;
    const inAll = (this.#ports?.timeWait ?? Infinity) + this.#closedHere - this.#closedAtReading;
    return Math.min(this.#closes.total(now), inAll);
  }

  #check(now: number): void {
    if (this.#closedHere === 0) return;
    const timeWait = this.#timeWait(now);
    const used = this.#open + timeWait;
    const range = this.#ports?.range;
    const size = sizeOf(range ?? IANA_RANGE);
    if (this.#ports === undefined || used >= size * READ_FROM) this.#readAgain(now);
    if (used < size * WARN_FROM || now - this.#warnedAt < WARN_EVERY_MS) return;
    this.#warnedAt = now;
    const { pool, logger } = this.#options;
    const { connectsPerSecond } = this.stats();
    logger.warn(
      `pool '${pool}': local ports are running out: ${used} of ${inWords(range)} are taken by connections to ${this.#target.address} (${this.#open} open, ${timeWait} in TIME_WAIT), at ${connectsPerSecond} connects a second; ${REMEDY}`,
    );
  }

  #readAgain(now: number): void {
    if (this.#isReading || now - this.#readAt < READ_EVERY_MS) return;
    this.#readAt = now;
    this.#isReading = true;
    void this.#read().finally(() => {
      this.#isReading = false;
    });
  }

  async #read(): Promise<LocalPorts> {
    // Those closed while it reads may or may not be in what it reads: at most so many are, so they count beside it.
    const closedBefore = this.#closedHere;
    const ports = await this.#options.read();
    this.#ports = ports;
    this.#closedAtReading = closedBefore;
    return ports;
  }
}

const REMEDY =
  "use pool.mode 'shared', which keeps its connections, spread the calls over more endpoints, or widen the range";

function sizeOf({ first, last }: PortRange): number {
  return last - first + 1;
}

function inWords(range: PortRange | undefined): string {
  if (range === undefined)
    return `the local ports (this system does not tell its range; ${IANA_RANGE.first} to ${IANA_RANGE.last} is usual)`;
  return `the ${sizeOf(range)} local ports from ${range.first} to ${range.last} (net.ipv4.ip_local_port_range)`;
}

/** As the system says that there is no local port, or no local address: here, or in what caused it. */
function isAddressNotAvailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // A name with several addresses is tried one by one.
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isAddressNotAvailable);
  return (error as NodeJS.ErrnoException).code === 'EADDRNOTAVAIL' || isAddressNotAvailable(error.cause);
}
