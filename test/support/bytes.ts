import { PooledTcpError } from '../../lib/errors/pooled-tcp-error.js';
import type { Framing } from '../../lib/framing/framing.js';

/** Bytes written in hex, with blanks for the eye: `hex('00 05 68 65')`. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

/** Cuts bytes into chunks of the given sizes, over and over. */
export function chunksOf(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? bytes.length;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

export function byteByByte(bytes: Buffer): Buffer[] {
  return chunksOf(bytes, [1]);
}

/** The same bytes in two chunks, cut at every place; both ends yield an empty chunk. */
export function everySplit(bytes: Buffer): (readonly [Buffer, Buffer])[] {
  return Array.from({ length: bytes.length + 1 }, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)] as const);
}

export function encodeAll(framing: Framing, payloads: readonly Buffer[]): Buffer {
  return Buffer.concat(payloads.flatMap((payload) => framing.encode(payload)));
}

/** What a fresh decoder makes of the chunks; `end()` is called after them. */
export function decodeAll(framing: Framing, chunks: readonly Buffer[]): Buffer[] {
  const frames: Buffer[] = [];
  const decoder = framing.createDecoder((frame) => frames.push(frame));
  for (const chunk of chunks) decoder.push(chunk);
  decoder.end?.();
  return frames;
}

/** What `run` throws, which must be ours. */
export function thrownBy(run: () => unknown): PooledTcpError {
  try {
    run();
  } catch (error) {
    if (error instanceof PooledTcpError) return error;
    throw new Error('threw something that is no PooledTcpError', { cause: error });
  }
  throw new Error('did not throw');
}
