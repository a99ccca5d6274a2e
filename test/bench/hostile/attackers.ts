import { connect, type Socket } from 'node:net';
import type { AttackFacts, ToAttackers } from './messages.js';

/** How many of a hundred connections do what. */
const MIX = {
  'half-open': 22,
  'slow sender': 15,
  'handshake staller': 10,
  'never-reader': 10,
  'slow reader': 10,
  garbage: 10,
  'reconnect storm': 10,
  'cancel flood': 6,
  'heartbeat flood': 6,
  'pattern-table flood': 1,
} as const;
type Kind = keyof typeof MIX;

const TICK_MS = 10;
/** Each connection does its worst once in so many ticks: a second. */
const TICKS_PER_ROUND = 100;
const REDIAL_MS = 1_000;
/** Source addresses, 127.1.0.0 and on. */
const HOSTS = 250;

const TYPE = { request: 1, cancel: 7, ping: 8 } as const;
const HELLO = stock({ pattern: 'pooled-tcp:hello', id: 'h', data: { versions: [1], maxFrameBytes: 8_388_608 } });
const GARBAGE = Buffer.from(Array.from({ length: 20_000 }, (_, i) => (i * 7 + 200) & 0xff));
const PINGS = Buffer.concat(Array.from({ length: 20 }, (_, i) => frame(TYPE.ping, 0, u32(i))));
const LONG_PATTERN = 'p'.repeat(250);

function stock(packet: unknown): Buffer {
  const json = JSON.stringify(packet);
  return Buffer.from(`${json.length}#${json}`);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function frame(type: number, flags: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([u32(body.length + 2), Buffer.from([type, flags]), body]);
}

/** A request that spells its pattern, which the server is to remember by a number. */
function request(id: number, pattern: string, number: number): Buffer {
  const fields = Buffer.alloc(4);
  fields.writeUInt16BE(number, 0);
  fields.writeUInt16BE(pattern.length, 2);
  return frame(TYPE.request, 0x10, u32(id), fields, Buffer.from(pattern));
}

/** One connection after another, always of the same kind. */
class Attacker {
  socket: Socket | undefined;
  dialAt = 0;
  #rounds = 0;
  readonly #kind: Kind;
  readonly #localAddress: string;

  constructor(kind: Kind, localAddress: string) {
    this.#kind = kind;
    this.#localAddress = localAddress;
  }

  get isOpen(): boolean {
    return this.socket?.readyState === 'open';
  }

  dial(port: number): void {
    const socket = connect({ port, host: '127.0.0.1', localAddress: this.#localAddress });
    this.socket = socket;
    this.#rounds = 0;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.socket = undefined;
      this.dialAt = performance.now() + REDIAL_MS;
    });
    socket.once('connect', () => {
      opened += 1;
      this.#begin(socket);
    });
    if (this.#kind !== 'never-reader' && this.#kind !== 'slow reader') socket.resume();
  }

  /** Once a second. */
  worst(): void {
    const { socket } = this;
    // Who is not read from waits, so that this process holds no more than it must.
    if (socket === undefined || !this.isOpen || socket.writableLength > 256 * 1024) return;
    this.#rounds += 1;
    const n = this.#rounds;
    switch (this.#kind) {
      case 'slow sender':
        this.#write(socket, Buffer.from('x'), 0);
        break;
      case 'handshake staller':
        this.#write(socket, HELLO.subarray(n, n + 1), 0);
        break;
      case 'never-reader':
        this.#write(socket, PINGS, 20);
        break;
      case 'slow reader':
        socket.once('data', () => socket.pause());
        socket.resume();
        break;
      case 'heartbeat flood':
        this.#write(socket, PINGS, 20);
        break;
      case 'cancel flood': {
        const pairs = Array.from({ length: 10 }, (_, i) => n * 10 + i).flatMap((id) => [
          request(id, 'slow', 0),
          frame(TYPE.cancel, 0, u32(id)),
        ]);
        this.#write(socket, Buffer.concat(pairs), 20);
        break;
      }
      case 'pattern-table flood': {
        const numbers = Array.from({ length: 40 }, (_, i) => (n - 1) * 40 + i + 1);
        this.#write(socket, Buffer.concat(numbers.map((number) => request(number, LONG_PATTERN, number))), 40);
        break;
      }
      default:
    }
  }

  #begin(socket: Socket): void {
    switch (this.#kind) {
      case 'slow sender':
        this.#write(socket, Buffer.from('1000000#{"pattern":"'), 0);
        break;
      case 'handshake staller':
        this.#write(socket, HELLO.subarray(0, 1), 0);
        break;
      case 'never-reader':
      case 'slow reader':
        this.#write(socket, Buffer.concat([HELLO, ...[1, 2, 3, 4].map((id) => request(id, 'large', 0))]), 5);
        break;
      case 'garbage':
        this.#write(socket, GARBAGE, 1);
        break;
      case 'reconnect storm':
        socket.resetAndDestroy();
        break;
      case 'cancel flood':
      case 'heartbeat flood':
      case 'pattern-table flood':
        this.#write(socket, HELLO, 1);
        break;
      default:
    }
  }

  #write(socket: Socket, bytes: Buffer, count: number): void {
    socket.write(bytes);
    messages += count;
  }
}

let attackers: Attacker[] = [];
let opened = 0;
let messages = 0;
let tick = 0;
let port = 0;
let dialsPerTick = 0;
/** What is left of the dials that are due, parts of one included. */
let dialsDue = 0;

function begin(count: number): void {
  const kinds = Object.entries(MIX).flatMap(([kind, share]) => Array.from({ length: share }, () => kind as Kind));
  attackers = Array.from(
    { length: count },
    (_, i) => new Attacker(kinds[(i * 37) % kinds.length] ?? 'half-open', `127.1.0.${1 + (i % HOSTS)}`),
  );
}

function step(): void {
  tick += 1;
  const now = performance.now();
  // None is made up for later: a storm comes at its rate.
  dialsDue = Math.min(dialsDue + dialsPerTick, Math.max(dialsPerTick, 1));
  // Each hundred holds all kinds and begins one tick later, so that those of one kind are spread over the second.
  for (let i = 0; i < attackers.length; i += TICKS_PER_ROUND)
    attackers[i + ((tick + i / TICKS_PER_ROUND) % TICKS_PER_ROUND)]?.worst();
  for (const attacker of attackers) {
    if (dialsDue < 1) break;
    if (attacker.socket !== undefined || now < attacker.dialAt) continue;
    attacker.dial(port);
    dialsDue -= 1;
  }
}

function stop(): void {
  for (const { socket } of attackers) socket?.resetAndDestroy();
  attackers = [];
}

setInterval(step, TICK_MS);
process.on('disconnect', () => process.exit(0));
process.on('message', (asked: ToAttackers) => {
  if (asked.kind === 'attack') {
    port = asked.port;
    dialsPerTick = (asked.dialsPerSecond * TICK_MS) / 1_000;
    begin(asked.connections);
  } else if (asked.kind === 'stop') stop();
  const facts: AttackFacts = { open: attackers.filter(({ isOpen }) => isOpen).length, opened, messages };
  process.send?.(facts);
});
