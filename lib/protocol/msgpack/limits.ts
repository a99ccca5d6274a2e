/** Limits of what MessagePack payloads may hold; docs/PROTOCOL.md states them for every peer. */

/** Values inside values: far beyond real data, far below where the stack of either end would overflow. */
export const MAX_DEPTH = 256;
/** Structures that each direction of a connection can define: as many as have a number of one byte. */
export const MAX_STRUCTURES = 32;
export const MAX_STRUCTURE_KEYS = 64;
export const MAX_STRUCTURE_KEY_BYTES = 192;
/** The byte that stands for structure 0; the others follow. */
export const FIRST_STRUCTURE = 0x40;
