import { NestFrameDecoder } from '../framing/nest-frame.js';
import { fromJson } from '../protocol/json.js';
import { parseHelloAnswer, PROTOCOL_VERSION, writeHello, type HelloAnswer } from '../protocol/hello.js';
import type { MessageWriter } from '../protocol/messages.js';

/** The first round trip of a connection: says hello, takes one frame, and hands on what follows it. */
export class HelloExchange {
  readonly #decoder: NestFrameDecoder;
  readonly #onAnswer: (answer: HelloAnswer, rest: Buffer) => void;
  #answer: HelloAnswer | undefined;

  constructor(
    writer: MessageWriter,
    { maxFrameBytes }: { maxFrameBytes: number },
    onAnswer: (answer: HelloAnswer, rest: Buffer) => void,
  ) {
    this.#onAnswer = onAnswer;
    this.#decoder = new NestFrameDecoder(maxFrameBytes, (bytes, start, end) => {
      this.#answer = parseHelloAnswer(fromJson(bytes, start, end));
      this.#decoder.stop();
    });
    writeHello(writer.output, { versions: [PROTOCOL_VERSION], maxFrameBytes });
    writer.schedule();
  }

  /** @throws PooledTcpError when the peer refuses, or answers with something that is no answer */
  receive(chunk: Buffer): void {
    this.#decoder.push(chunk);
    if (this.#answer !== undefined) this.#onAnswer(this.#answer, this.#decoder.takeRest());
  }
}
