import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Collects garbage now: all of it, or that of the young generation. */
export const collectGarbage = runInNewContext('gc') as (options?: { type: 'minor' | 'major' }) => void;
