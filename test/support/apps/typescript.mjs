/** `node --import` this, and TypeScript runs as Jest runs it: transpiled by swc, not checked. */
import { register } from 'node:module';

register('./typescript-hooks.mjs', import.meta.url);
