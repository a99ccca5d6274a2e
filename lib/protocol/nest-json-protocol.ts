import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { NestFrameDecoder } from '../framing/nest-frame.js';
import type { MessageWriter } from './messages.js';
import { PacketPipe, writePacket, type NestJsonOptions } from './nest-json.js';

/** What both ends of the stock wire do alike: frames in and out. It has no flow control and keeps nothing back. */
export abstract class NestJsonProtocol {
  readonly name = 'nest-json';
  readonly hasCredit = false;
  protected readonly decoder: NestFrameDecoder;
  protected readonly outgoing: PacketPipe;
  protected readonly incoming: PacketPipe;
  readonly #writer: MessageWriter;
  readonly #maxFrameBytes: number;

  constructor(writer: MessageWriter, options: NestJsonOptions) {
    this.#writer = writer;
    this.#maxFrameBytes = options.maxFrameBytes;
    this.outgoing = PacketPipe.serializing(options);
    this.incoming = PacketPipe.deserializing(options);
    this.decoder = new NestFrameDecoder(options.maxFrameBytes, (bytes, start, end) => {
      this.receiveFrame(bytes, start, end);
    });
  }

  receive(chunk: Buffer): void {
    this.decoder.push(chunk);
  }

  end(): void {
    this.decoder.end();
  }

  get partialBytes(): number {
    return this.decoder.partialBytes;
  }

  encodeItem(): never {
    throw withoutCredit();
  }

  writeEncoded(): never {
    throw withoutCredit();
  }

  credit(): never {
    throw withoutCredit();
  }

  flush(): void {
    // Nothing is kept back.
  }

  closed(): void {
    // Nobody waits.
  }

  protected abstract receiveFrame(bytes: Buffer, start: number, end: number): void;

  protected write(packet: unknown): void {
    writePacket(this.#writer.output, packet, this.#maxFrameBytes);
    this.#writer.schedule();
  }
}

/** The stock wire has no streams towards the server and no credit; a caller looks at `hasCredit` first. */
export function withoutCredit(): PooledTcpError {
  return new PooledTcpError('PTCP_UNSUPPORTED', 'the stock Nest wire has no flow control of streams');
}
