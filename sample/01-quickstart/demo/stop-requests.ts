const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** One Ctrl-C may come twice: from the terminal, and once more from npm. */
const ONE_REQUEST_MS = 500;
const PARENT_CHECK_MS = 250;

export interface StopListener {
  stop(): void;
  /** Somebody has lost patience. */
  stopAtOnce(): void;
}

/** Listens for requests to end: Ctrl-C, a signal, or the end of the npm that started this. */
export function onStopRequest(listener: StopListener): void {
  let requestedAt: number | undefined;
  const stop = (): void => {
    if (requestedAt === undefined) {
      requestedAt = performance.now();
      listener.stop();
    } else if (performance.now() - requestedAt > ONE_REQUEST_MS) listener.stopAtOnce();
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  if (process.env['npm_lifecycle_event'] === undefined) return;
  // npm passes a signal on to its shell only, which ends without a word to us.
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    if (requestedAt === undefined) stop();
  }, PARENT_CHECK_MS);
  timer.unref();
}
