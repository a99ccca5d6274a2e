import { isAscii } from 'node:buffer';

const encoder = new TextEncoder();

/** From here on it pays to look first whether bytes are ASCII, which nearly all long texts are. */
const LONG_BYTES = 16 * 1024;

/**
 * A long text as bytes of its own. As many bytes as characters are tried first, and suffice for ASCII: `Buffer.from()` counts the bytes
 * before it writes them, which for 4 MiB takes four times as long.
 */
export function toUtf8(text: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(text.length);
  return encoder.encodeInto(text, bytes).read === text.length ? bytes : Buffer.from(text, 'utf8');
}

/** Bytes as text; what is no UTF-8 becomes U+FFFD. For ASCII as Latin-1, which is the same and takes a tenth of the time. */
export function fromUtf8(bytes: Buffer, start: number, end: number): string {
  // UTF-8 is what is read unless told otherwise; being told costs a look at the word.
  if (end - start < LONG_BYTES || !isAscii(bytes.subarray(start, end))) return bytes.toString(undefined, start, end);
  return bytes.toString('latin1', start, end);
}
