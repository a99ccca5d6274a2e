import type { Socket } from 'node:net';

const SLAB_BYTES = 64 * 1024;
const COPY_BELOW_BYTES = 16 * 1024;
/** Marks a frame of plain bytes; others are JSON. */
const BYTES_FLAG = 0x8000_0000;

/** Gathers the frames of one tick into one write. */
export class BareWriter {
  readonly #socket: Socket;
  #slab = Buffer.alloc(0);
  #start = 0;
  #end = 0;
  #isScheduled = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  write(data: unknown): void {
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      this.#socket.cork();
      process.nextTick(this.#flush);
    }
    if (Buffer.isBuffer(data)) {
      this.#put(BYTES_FLAG, data);
      return;
    }
    const text = JSON.stringify(data);
    const mostBytes = text.length * 3;
    if (mostBytes > COPY_BELOW_BYTES) {
      this.#put(0, Buffer.from(text));
      return;
    }
    this.#reserve(4 + mostBytes);
    const bytes = this.#slab.write(text, this.#end + 4);
    this.#slab.writeUInt32BE(bytes, this.#end);
    this.#end += 4 + bytes;
  }

  #put(flag: number, body: Buffer): void {
    this.#reserve(4);
    this.#slab.writeUInt32BE((flag | body.length) >>> 0, this.#end);
    this.#end += 4;
    this.#send();
    this.#socket.write(body);
  }

  #reserve(bytes: number): void {
    if (this.#slab.length - this.#end >= bytes) return;
    this.#send();
    this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#start = 0;
    this.#end = 0;
  }

  #send(): void {
    if (this.#end > this.#start) this.#socket.write(this.#slab.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  readonly #flush = (): void => {
    this.#isScheduled = false;
    this.#send();
    this.#socket.uncork();
    if (this.#socket.writableLength > 0) this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#start = 0;
    this.#end = 0;
  };
}

/** Cuts what a socket receives into frames. */
export function readFrames(socket: Socket, onFrame: (data: unknown) => void): void {
  let parts: Buffer[] = [];
  let bytes = 0;
  let needed = 4;
  socket.on('data', (chunk) => {
    parts.push(chunk);
    bytes += chunk.length;
    if (bytes < needed) return;
    const whole = parts.length === 1 ? chunk : Buffer.concat(parts, bytes);
    let at = 0;
    needed = 4;
    while (whole.length - at >= 4) {
      const head = whole.readUInt32BE(at);
      const length = head & ~BYTES_FLAG;
      if (whole.length - at - 4 < length) {
        needed = 4 + length;
        break;
      }
      const start = at + 4;
      at = start + length;
      onFrame(
        head >= BYTES_FLAG ? whole.subarray(start, at) : (JSON.parse(whole.toString('utf8', start, at)) as unknown),
      );
    }
    parts = at === whole.length ? [] : [whole.subarray(at)];
    bytes = whole.length - at;
  });
}
