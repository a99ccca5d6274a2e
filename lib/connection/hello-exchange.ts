import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';
import { NestFrameDecoder } from '../framing/nest-frame.js';
import { fromJson } from '../protocol/json.js';
import { parseHelloAnswer, PROTOCOL_VERSION, writeHello, type Hello, type HelloAnswer } from '../protocol/hello.js';
import type { MessageWriter } from '../protocol/messages.js';

/** The first round trip of a connection: says hello, takes one frame, and hands on what follows it. */
export class HelloExchange {
  readonly #decoder: NestFrameDecoder;
  readonly #onAnswer: (answer: HelloAnswer, rest: Buffer) => void;
  /** The peer's first frame. */
  #packet: unknown;

  constructor(
    writer: MessageWriter,
    hello: Omit<Hello, 'versions'>,
    onAnswer: (answer: HelloAnswer, rest: Buffer) => void,
  ) {
    this.#onAnswer = onAnswer;
    this.#decoder = new NestFrameDecoder(hello.maxFrameBytes, (bytes, start, end) => {
      this.#packet = fromJson(bytes, start, end);
      this.#decoder.stop();
    });
    writeHello(writer.output, { versions: [PROTOCOL_VERSION], ...hello });
    writer.schedule();
  }

  /** @throws PooledTcpError when the peer refuses, or answers with something that is no answer */
  receive(chunk: Buffer): void {
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      throw new PooledTcpError('PTCP_HANDSHAKE_FAILED', `no answer to the hello: ${describeCause(error)}`, {
        cause: error,
      });
    }
    if (this.#packet !== undefined) this.#onAnswer(parseHelloAnswer(this.#packet), this.#decoder.takeRest());
  }
}
