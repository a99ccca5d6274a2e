import type { DiagnosticLogger } from '../common/logger.js';
import { describeCause, type PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { CloseReason } from '../pool/stats.js';

/** What a log says about one endpoint. */
export class EndpointLog {
  readonly #logger: DiagnosticLogger;
  readonly #pool: string;
  readonly #address: string;
  /** A dial has failed, and none has succeeded since. */
  #isFailing = false;

  constructor(logger: DiagnosticLogger, poolName: string, address: string) {
    this.#logger = logger;
    this.#pool = `pool '${poolName}'`;
    this.#address = address;
  }

  left(): void {
    this.#logger.log(`${this.#pool}: ${this.#address} left the set, draining`);
  }

  opened(): void {
    if (this.#isFailing) this.#logger.log(`${this.#pool}: ${this.#address} answers again`);
    this.#isFailing = false;
  }

  closed(reason: CloseReason, error: PooledTcpError | undefined): void {
    if (reason === 'lost' && error !== undefined)
      this.#logger.warn(`${this.#pool}: lost a connection: ${error.message} (${error.code})`);
    if (reason === 'invalid')
      this.#logger.warn(`${this.#pool}: a connection to ${this.#address} gave no sign of life and was replaced`);
  }

  /** Each failure once at first, then ever more rarely: an outage must not flood the log. */
  dialFailed(error: unknown, retryInMs: number, attempt: number): void {
    this.#isFailing = true;
    const next = `attempt ${attempt}, the next in ${Math.round(retryInMs)} ms`;
    const message = `${this.#pool}: ${describeCause(error)}; ${next}`;
    if (Number.isInteger(Math.log2(attempt))) this.#logger.warn(message);
    else this.#logger.debug?.(message);
  }

  leaked(origin: Error | undefined, heldMs: number, isReclaimed: boolean): void {
    const stack = origin?.stack?.split('\n').slice(1).join('\n') ?? '';
    const what = isReclaimed ? 'was reclaimed' : 'may be leaking';
    this.#logger.error(
      `${this.#pool}: a lease on ${this.#address} ${what} after ${Math.round(heldMs)} ms; it was acquired\n${stack}`,
    );
  }

  /** @param out how many are out, in words */
  ejected(forMs: number, failures: number, reason: string, out: string): void {
    const seconds = (forMs / 1_000).toFixed(1);
    this.#logger.warn(
      `${this.#pool}: ${this.#address} is ejected for ${seconds} s after ${failures} failures in a row, the last: ${reason}; ${out}`,
    );
  }

  readmitted(ejections: number): void {
    this.#logger.log(`${this.#pool}: ${this.#address} answers again and is back (ejections so far: ${ejections})`);
  }
}
