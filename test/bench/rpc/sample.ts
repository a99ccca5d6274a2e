import type { ProcessSample } from './questions.js';

/** What this process has used so far. */
export function takeSample(): ProcessSample {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { cpuMicros: user + system, rssBytes: rss, usedBytes: heapUsed + external };
}
