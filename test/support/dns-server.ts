import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

/** One record: what a name answers for a type of question. */
export type DnsRecord =
  | { readonly type: 'A'; readonly address: string; readonly ttl?: number }
  | { readonly type: 'AAAA'; readonly address: readonly number[] }
  | {
      readonly type: 'SRV';
      readonly priority: number;
      readonly weight?: number;
      readonly port: number;
      readonly target: string;
    };

const TYPE = { A: 1, AAAA: 28, SRV: 33 } as const;

/** A name server for tests (RFC 1035, one question a packet), whose records change while it runs. */
export class DnsServer {
  readonly #socket: Socket;
  /** What each name answers; a name that is not here does not exist. */
  readonly records = new Map<string, readonly DnsRecord[]>();
  /** Questions so far. */
  questions = 0;
  readonly #questionsFor = new Map<string, number>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (query, { address, port }) => {
      this.questions += 1;
      socket.send(this.#answer(query), port, address);
    });
  }

  static async start(): Promise<DnsServer> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new DnsServer(socket);
  }

  /** As `dns.setServers()` takes it. */
  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  /** Gives names their A records; those that are left out are gone. */
  set(names: Readonly<Record<string, readonly string[]>>): Promise<void> {
    this.records.clear();
    for (const [name, addresses] of Object.entries(names))
      this.records.set(
        name,
        addresses.map((address) => ({ type: 'A', address })),
      );
    return Promise.resolve();
  }

  questionsFor(name: string): number {
    return this.#questionsFor.get(name) ?? 0;
  }

  async close(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }

  #answer(query: Buffer): Buffer {
    let end = 12;
    const labels: string[] = [];
    for (let length = query[end] ?? 0; length > 0; length = query[end] ?? 0) {
      labels.push(query.toString('latin1', end + 1, end + 1 + length));
      end += 1 + length;
    }
    const questionEnd = end + 5;
    const type = query.readUInt16BE(end + 1);
    const name = labels.join('.').toLowerCase();
    this.#questionsFor.set(name, this.questionsFor(name) + 1);
    const known = this.records.get(name);
    const answers = (known ?? []).filter((record) => TYPE[record.type] === type).map(encodeRecord);
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8180 | (known === undefined ? 3 : 0), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(answers.length, 6);
    return Buffer.concat([header, query.subarray(12, questionEnd), ...answers]);
  }
}

function encodeRecord(record: DnsRecord): Buffer {
  const data = encodeData(record);
  const head = Buffer.alloc(12);
  // The name: a pointer to the question's.
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(TYPE[record.type], 2);
  head.writeUInt16BE(1, 4);
  // Valid for no time where nothing else is said: every look-up asks again.
  head.writeUInt32BE('ttl' in record ? (record.ttl ?? 0) : 0, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function encodeData(record: DnsRecord): Buffer {
  switch (record.type) {
    case 'A':
      return Buffer.from(record.address.split('.').map(Number));
    case 'AAAA':
      return Buffer.from(record.address);
    case 'SRV': {
      const fixed = Buffer.alloc(6);
      fixed.writeUInt16BE(record.priority, 0);
      fixed.writeUInt16BE(record.weight ?? 0, 2);
      fixed.writeUInt16BE(record.port, 4);
      const labels = record.target.split('.').map((label) => Buffer.from(`\0${label}`, 'latin1'));
      for (const label of labels) label[0] = label.length - 1;
      return Buffer.concat([fixed, ...labels, Buffer.alloc(1)]);
    }
  }
}
