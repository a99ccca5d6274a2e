import type { EndpointAddress } from './endpoint-address.js';

/** Yields the set of endpoints and its changes. */
export interface EndpointResolver {
  /** Begins to watch. The first `update` may come at once. The returned function stops it, timers included. */
  watch(listener: ResolverListener): () => void;
}

export interface ResolverListener {
  /** The whole set, whenever it has changed. */
  update(endpoints: readonly EndpointAddress[]): void;
  /** A look-up failed; the last set stays in use and the look-up is repeated. */
  error(error: Error): void;
}

/** A list that does not change. This is what an array given as `endpoints` becomes. */
export function staticEndpoints(endpoints: readonly EndpointAddress[]): EndpointResolver {
  const list = Object.freeze([...endpoints]);
  return {
    watch(listener) {
      listener.update(list);
      return () => undefined;
    },
  };
}
