import { EventEmitter } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { JsonSocket } from '@nestjs/microservices';
import { nestFrame } from '../../../lib/framing/nest-frame.js';
import { Output } from '../../../lib/framing/output.js';
import { encodeNestFrame } from '../../../lib/protocol/nest-json.js';
import { byteByByte, chunksOf, decodeAll, encodeAll } from '../../support/bytes.js';

/** As much of a socket as the stock class uses; remembers what is written to it. */
class MemorySocket extends EventEmitter {
  readonly written: Buffer[] = [];
  readonly writableLength = 0;

  write(data: string): boolean {
    this.written.push(Buffer.from(data, 'utf8'));
    return true;
  }
}

function stock(): { socket: MemorySocket; json: JsonSocket; messages: unknown[] } {
  const socket = new MemorySocket();
  const json = new JsonSocket(socket);
  const messages: unknown[] = [];
  json.on('message', (message: unknown) => messages.push(message));
  return { socket, json, messages };
}

const MESSAGES: unknown[] = [
  { pattern: 'sum', data: [1, 2], id: '1' },
  { pattern: { cmd: 'é' }, data: 'zwei €', id: '2' },
  { response: '😀'.repeat(50), isDisposed: true, id: '3' },
  { err: { status: 'error', message: '漢字' }, isDisposed: true, id: '4' },
  { pattern: 'lone surrogate', data: '\ud83d and \ude00' },
  { response: '#'.repeat(20), id: '5' },
];
const framing = nestFrame(1024 * 1024);

describe('the stock class JsonSocket', () => {
  it.each([
    ['whole', (bytes: Buffer) => [bytes]],
    ['byte by byte', byteByByte],
    ['in chunks of seven bytes', (bytes: Buffer) => chunksOf(bytes, [7])],
  ])('reads what nestFrame() encodes, delivered %s', (_title, cut) => {
    const { socket, messages } = stock();
    const bytes = encodeAll(
      framing,
      MESSAGES.map((message) => Buffer.from(JSON.stringify(message))),
    );
    for (const chunk of cut(bytes)) socket.emit('data', chunk);

    expect(messages).toEqual(MESSAGES);
  });

  it('reads what the protocols write', () => {
    const { socket, messages } = stock();
    const output = new Output();
    for (const message of MESSAGES) encodeNestFrame(output, JSON.stringify(message));
    for (const part of output.take()) socket.emit('data', part);

    expect(messages).toEqual(MESSAGES);
  });

  it.each([
    ['whole', (bytes: Buffer) => [bytes]],
    ['byte by byte', byteByByte],
    ['in chunks of seven bytes', (bytes: Buffer) => chunksOf(bytes, [7])],
  ])('writes what nestFrame() decodes, delivered %s', (_title, cut) => {
    const { socket, json } = stock();
    for (const message of MESSAGES) json.sendMessage(message, () => undefined);
    const frames = decodeAll(framing, cut(Buffer.concat(socket.written)));

    expect(frames.map((frame) => JSON.parse(frame.toString()) as unknown)).toEqual(MESSAGES);
  });
});
