import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * What an SP shows to be itself: MD5 of Source_Addr, nine zero bytes, the shared secret and the timestamp as ten
 * digits (CMPP 3.0, section 8.4.1.1).
 */
export function authenticatorSource(sourceAddr: string, secret: string, timestamp: number): Buffer {
  return md5(sourceAddr, Buffer.alloc(9), secret, String(timestamp).padStart(10, '0'));
}

/**
 * What an ISMG shows to be itself: MD5 of Status, AuthenticatorSource and the shared secret (section 8.4.1.2). Status
 * goes in as the four bytes that are sent.
 */
export function authenticatorIsmg(status: number, source: Buffer, secret: string): Buffer {
  const statusBytes = Buffer.alloc(4);
  statusBytes.writeUInt32BE(status);
  return md5(statusBytes, source, secret);
}

/** Compares in a time that says nothing about where they differ. */
export function isSame(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** MMDDHHMMSS of the local time, as a number. */
export function timestampOf(time: Date): number {
  const parts = [time.getMonth() + 1, time.getDate(), time.getHours(), time.getMinutes(), time.getSeconds()];
  return Number(parts.map((part) => String(part).padStart(2, '0')).join(''));
}

function md5(...parts: readonly (string | Buffer)[]): Buffer {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
