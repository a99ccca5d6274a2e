import { afterAll, beforeAll, describe } from '@jest/globals';
import type { Type } from '@nestjs/common';
import type { ClientTCP } from '@nestjs/microservices';
import {
  native,
  nestJson,
  type PooledTcpClient,
  type PacketDeserializer,
  type PacketSerializer,
  type PooledTcpClientOptions,
} from '../../lib/index.js';
import { CA_CERTIFICATE, SERVER_CERTIFICATE, SERVER_KEY } from './certificates.js';
import { Scope, type RunningServer } from './nest-app.js';

/** What either kind of client or server can be told. */
export interface EndOptions {
  readonly serializer?: PacketSerializer;
  readonly deserializer?: PacketDeserializer;
  /** Of a server. By default one of the system’s choice. */
  readonly port?: number;
}

/** One kind of client against one kind of server, over one kind of socket. Real classes on both sides. */
export interface Combination {
  readonly name: string;
  readonly client: 'ours' | 'stock';
  readonly server: 'ours' | 'stock';
  readonly hasTls: boolean;
  readonly startServer: (scope: Scope, controllers: Type[], options?: EndOptions) => Promise<RunningServer>;
  /** Not connected yet. */
  readonly createClient: (
    scope: Scope,
    port: number,
    options?: EndOptions & PooledTcpClientOptions,
  ) => PooledTcpClient | ClientTCP;
}

interface Wire {
  readonly name: string;
  readonly client: 'ours' | 'stock';
  readonly server: 'ours' | 'stock';
  /** Of our client. */
  readonly options?: PooledTcpClientOptions;
}

const WIRES: readonly Wire[] = [
  { name: 'our client to our server, native', client: 'ours', server: 'ours', options: { protocol: native() } },
  {
    name: 'our client to our server, MessagePack',
    client: 'ours',
    server: 'ours',
    options: { protocol: native(), codec: 'msgpack' },
  },
  {
    name: 'our client to our server, on the stock wire',
    client: 'ours',
    server: 'ours',
    options: { protocol: nestJson() },
  },
  { name: 'the stock client to our server', client: 'stock', server: 'ours' },
  { name: 'our client to the stock server', client: 'ours', server: 'stock' },
];

const SERVER_TLS = { key: SERVER_KEY, cert: SERVER_CERTIFICATE };
const CLIENT_TLS = { ca: CA_CERTIFICATE };

function combine({ name, client, server, options: ours }: Wire, hasTls: boolean): Combination {
  return {
    name: hasTls ? `${name}, with TLS` : name,
    client,
    server,
    hasTls,
    startServer: (scope, controllers, options = {}) =>
      server === 'ours'
        ? scope.server(controllers, { ...options, ...(hasTls && { tls: SERVER_TLS }) })
        : scope.stockServer(controllers, { ...options, ...(hasTls && { tlsOptions: SERVER_TLS }) }),
    createClient: (scope, port, options = {}) =>
      client === 'ours'
        ? scope.client(port, { ...ours, ...options, ...(hasTls && { tls: CLIENT_TLS }) })
        : scope.stockClient(port, { ...options, ...(hasTls && { tlsOptions: CLIENT_TLS }) } as object),
  };
}

/** Every kind of client against every kind of server, except the stock pair, plain and with TLS. */
export const COMBINATIONS: readonly Combination[] = [false, true].flatMap((hasTls) =>
  WIRES.map((wire) => combine(wire, hasTls)),
);

/** Those whose packets have the stock shape, which custom serializers work on. */
export const STOCK_WIRE = COMBINATIONS.filter(({ name }) => !/native|MessagePack/.test(name));

/** What a test is given: a server that runs and a client that is connected, the same for a whole group of tests. */
export interface Link {
  readonly client: PooledTcpClient | ClientTCP;
  readonly port: number;
}

/** The same group of tests for each combination. */
export function forEachCombination(
  combinations: readonly Combination[],
  controllers: Type[],
  define: (link: () => Link, combination: Combination) => void,
): void {
  for (const combination of combinations) {
    describe(`from ${combination.name}`, () => {
      const scope = new Scope(afterAll);
      let link: Link;

      beforeAll(async () => {
        const { port } = await combination.startServer(scope, controllers);
        const client = combination.createClient(scope, port);
        await client.connect();
        link = { client, port };
      });

      define(() => link, combination);
    });
  }
}

/** Every value that `send()` emits, and the error it ends with. */
export interface Outcome {
  readonly values: unknown[];
  readonly error?: unknown;
}

/** One call by `send()`, to its end. */
export function outcome(client: PooledTcpClient | ClientTCP, pattern: unknown, data: unknown): Promise<Outcome> {
  const values: unknown[] = [];
  return new Promise((resolve) => {
    client.send<unknown>(pattern, data).subscribe({
      next: (value) => values.push(value),
      error: (error: unknown) => {
        resolve({ values, error });
      },
      complete: () => {
        resolve({ values });
      },
    });
  });
}
