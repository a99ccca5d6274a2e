import type { ColdSummary } from './cold.js';
import type { Point } from './echo.js';
import type { FloodResult } from './flood.js';
import type { MemoryResult } from './memory.js';
import type { MixedFindings } from './mixed.js';
import type { BenchOptions } from './options.js';
import type { SlowReaderResult } from './slow-reader.js';

/** What a run has found; a part that was left out is undefined. */
export interface Findings {
  readonly options: BenchOptions;
  readonly echo?: readonly Point[];
  readonly flood?: readonly FloodResult[];
  readonly mixed?: MixedFindings;
  readonly cold?: readonly ColdSummary[];
  readonly memory?: readonly MemoryResult[];
  readonly slowReader?: readonly SlowReaderResult[];
}
