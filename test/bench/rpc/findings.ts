import type { ColdSummary } from './cold.js';
import type { Point } from './echo.js';
import type { FloodResult } from './flood.js';
import type { MemoryResult } from './memory.js';
import type { MixedResult } from './mixed.js';
import type { BenchOptions } from './options.js';

/** What a run has found; a part that was left out is undefined. */
export interface Findings {
  readonly options: BenchOptions;
  readonly echo?: readonly Point[];
  readonly flood?: readonly FloodResult[];
  readonly mixed?: readonly MixedResult[];
  readonly cold?: readonly ColdSummary[];
  readonly memory?: readonly MemoryResult[];
}
