import type { Target } from '../connection/target.js';
import { PortWatch, type PortStats, type PortWatchOptions } from './port-watch.js';

const NO_PORTS: PortStats = { connectsPerSecond: 0, timeWait: 0 };

/** A watch for each endpoint that is in use. Endpoints come and go; ports in TIME_WAIT stay for a while. */
export class PortWatches {
  readonly #options: PortWatchOptions;
  readonly #byAddress = new Map<string, PortWatch>();

  constructor(options: PortWatchOptions) {
    this.#options = options;
  }

  /** To be asked for each time: one with nothing to remember is forgotten. */
  of(target: Target): PortWatch {
    const known = this.#byAddress.get(target.address);
    if (known !== undefined) return known;
    for (const [address, watch] of this.#byAddress) if (watch.isQuiet) this.#byAddress.delete(address);
    const watch = new PortWatch(target, this.#options);
    this.#byAddress.set(target.address, watch);
    return watch;
  }

  statsOf(address: string): PortStats {
    return this.#byAddress.get(address)?.stats() ?? NO_PORTS;
  }

  /** Of all, also of endpoints that are gone. */
  stats(): PortStats {
    let connectsPerSecond = 0;
    let timeWait = 0;
    for (const watch of this.#byAddress.values()) {
      const stats = watch.stats();
      connectsPerSecond += stats.connectsPerSecond;
      timeWait += stats.timeWait;
    }
    return { connectsPerSecond: Math.round(connectsPerSecond * 10) / 10, timeWait };
  }
}
