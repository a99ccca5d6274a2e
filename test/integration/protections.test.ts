import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { inspect } from 'node:util';
import { firstValueFrom } from 'rxjs';
import { PooledTcpContext, type PooledTcpClient, type PooledTcpServerOptions } from '../../lib/index.js';
import {
  CA_CERTIFICATE,
  CLIENT_CERTIFICATE,
  CLIENT_KEY,
  SERVER_CERTIFICATE,
  SERVER_KEY,
} from '../support/certificates.js';
import { Scope } from '../support/nest-app.js';
import { nestFrame, RawPeer, until } from '../support/sockets.js';

const scope = new Scope();
const SERVER_TLS = { key: SERVER_KEY, cert: SERVER_CERTIFICATE };
const FAST = { min: 1, max: 1, prewarmTimeoutMs: 300 };

@Controller()
class GuardedController {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }

  @MessagePattern('who')
  who(@Payload() _data: unknown, @Ctx() context: PooledTcpContext): unknown {
    const { peer, principal, tlsIdentity } = context.getSession();
    return { peer, principal, tlsIdentity };
  }
}

const serve = (options: PooledTcpServerOptions) => scope.server([GuardedController], options);

async function refusalOf(client: PooledTcpClient): Promise<unknown> {
  const error = (await client.connect().catch((reason: unknown) => reason)) as { cause?: unknown };
  return error.cause;
}

describe('allow and deny', () => {
  it.each<[string, PooledTcpServerOptions]>([
    ['denied', { deny: ['127.0.0.0/8'] }],
    ['not allowed', { allow: ['10.0.0.0/8', '2001:db8::/32'] }],
    ['allowed and denied', { allow: ['127.0.0.1'], deny: ['127.0.0.1'] }],
    ['denied, with TLS', { deny: ['127.0.0.0/8'], tls: SERVER_TLS }],
  ])('close a connection of an address that is %s, without a byte', async (_what, options) => {
    const { port, strategy } = await serve(options);
    const peer = await RawPeer.connect(port);
    peer.sendPacket({ id: '1', pattern: 'echo', data: 1 });
    await peer.closed;
    expect(peer.text).toBe('');
    expect(strategy.stats()).toMatchObject({ connections: 0, accepted: 0, refused: 1, refusedBy: { denied: 1 } });
  });

  it('let others in', async () => {
    const { port } = await serve({ allow: ['127.0.0.1'], deny: ['127.0.0.2', '::/0'] });
    await expect(scope.client(port).request('echo', 1)).resolves.toBe(1);
  });
});

describe('maxConnectionsPerHost', () => {
  it.each([undefined, SERVER_TLS])(
    'refuses one too many with a reason, and takes it once there is room',
    async (tls) => {
      const { port, strategy } = await serve({ maxConnectionsPerHost: 2, tls });
      const options = { tls: tls && { ca: CA_CERTIFICATE }, pool: FAST, backoff: { initialMs: 1, maxMs: 5 } };
      const first = scope.client(port, { ...options, pool: { min: 2, max: 2 } });
      await first.connect();
      const other = scope.client(port, options);
      await expect(refusalOf(other)).resolves.toMatchObject({
        code: 'PTCP_SERVER_OVERLOADED',
        message: expect.stringContaining('maxConnectionsPerHost'),
        sent: false,
      });
      expect(strategy.stats()).toMatchObject({ connections: 2, accepted: 2 });
      expect(strategy.stats().refusedBy.maxConnectionsPerHost).toBeGreaterThan(0);
      first.destroy();
      await expect(other.request('echo', 1)).resolves.toBe(1);
    },
  );

  it('counts connections that have not said anything, also those in their TLS handshake', async () => {
    const { port, strategy } = await serve({ maxConnectionsPerHost: 3, tls: SERVER_TLS });
    const halfOpen = await Promise.all(Array.from({ length: 3 }, () => RawPeer.connect(port)));
    await expect(refusalOf(scope.client(port, { tls: { ca: CA_CERTIFICATE }, pool: FAST }))).resolves.toMatchObject({
      code: 'PTCP_SERVER_OVERLOADED',
    });
    expect(strategy.stats()).toMatchObject({ connections: 0 });
    for (const { socket } of halfOpen) socket.destroy();
  });
});

describe('authenticate', () => {
  const tokens = new Map([
    ['t-alice', 'alice'],
    ['t-bob', 'bob'],
  ]);
  const authenticate = async (credentials: unknown): Promise<string | undefined> => {
    await Promise.resolve();
    return tokens.get((credentials as { token: string } | undefined)?.token ?? '');
  };

  it('lets in who has the credentials, and handlers know the principal', async () => {
    const { port } = await serve({ authenticate });
    const client = scope.client(port, { credentials: { token: 't-alice' } });
    await expect(client.request('who', 1)).resolves.toMatchObject({ principal: 'alice' });
  });

  it('asks a function for the credentials at each dial', async () => {
    const { port } = await serve({ authenticate });
    const given: string[] = [];
    const client = scope.client(port, {
      pool: { min: 1, max: 1 },
      backoff: { initialMs: 1 },
      credentials: async () => {
        await Promise.resolve();
        given.push(given.length === 0 ? 't-alice' : 't-bob');
        return { token: given.at(-1) };
      },
    });
    await expect(client.request('who', 1)).resolves.toMatchObject({ principal: 'alice' });
    client.evict();
    await until(() => given.length > 1 && client.stats().total === 1 && client.stats().connecting === 0);
    await expect(client.request('who', 1)).resolves.toMatchObject({ principal: 'bob' });
  });

  it.each<[string, object]>([
    ['wrong credentials', { credentials: { token: 't-mallory' } }],
    ['none', {}],
  ])('refuses a client with %s with a code, and the client backs off', async (_what, options) => {
    const { port, strategy } = await serve({ authenticate });
    const client = scope.client(port, { pool: FAST, backoff: { initialMs: 10_000 }, ...options });
    await expect(refusalOf(client)).resolves.toMatchObject({ code: 'PTCP_UNAUTHENTICATED', sent: false });
    expect(strategy.stats().refusedBy.unauthenticated).toBe(1);
  });

  it('refuses stock clients, and tells them nothing but that', async () => {
    const { port } = await serve({ authenticate: () => 'anybody' });
    for (const pattern of ['echo', 'no-such-pattern']) {
      await expect(firstValueFrom(scope.stockClient(port).send(pattern, 1))).rejects.toEqual({
        status: 'error',
        code: 'PTCP_UNAUTHENTICATED',
        message: 'the server does not know who this client is',
      });
    }
  });

  it('may go by the certificate alone', async () => {
    const { port } = await serve({
      authenticate: (_none, { tlsIdentity }) => tlsIdentity,
      tls: { ...SERVER_TLS, ca: CA_CERTIFICATE, requestCert: true, rejectUnauthorized: false },
    });
    const known = scope.client(port, { tls: { ca: CA_CERTIFICATE, cert: CLIENT_CERTIFICATE, key: CLIENT_KEY } });
    await expect(known.request('who', 1)).resolves.toMatchObject({ principal: 'orders-service' });
    const unknown = scope.client(port, { tls: { ca: CA_CERTIFICATE }, pool: FAST });
    await expect(refusalOf(unknown)).resolves.toMatchObject({ code: 'PTCP_UNAUTHENTICATED' });
  });

  it('counts the connections of each principal', async () => {
    const { port } = await serve({ authenticate, maxConnectionsPerPrincipal: 2 });
    const alice = { credentials: { token: 't-alice' } };
    const first = scope.client(port, { ...alice, pool: { min: 2, max: 2 } });
    await first.connect();
    const second = scope.client(port, { ...alice, pool: FAST, backoff: { initialMs: 1, maxMs: 5 } });
    await expect(refusalOf(second)).resolves.toMatchObject({
      code: 'PTCP_SERVER_OVERLOADED',
      message: expect.stringContaining('maxConnectionsPerPrincipal'),
    });
    const bob = scope.client(port, { credentials: { token: 't-bob' } });
    await expect(bob.request('echo', 1)).resolves.toBe(1);
    first.destroy();
    await expect(second.request('echo', 1)).resolves.toBe(1);
  });

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('the vault is sealed');
      },
    ],
    ['rejects', () => Promise.reject(new Error('the vault is sealed'))],
    ['gives what is no JSON', () => 1n],
    ['gives 40 KB', () => 'x'.repeat(40_000)],
  ])('a function for the credentials that %s fails the dial with a code', async (_what, credentials) => {
    const { port, strategy } = await serve({ authenticate });
    const client = scope.client(port, { credentials, pool: FAST });
    await expect(refusalOf(client)).resolves.toMatchObject({ code: 'PTCP_HANDSHAKE_FAILED' });
    await until(() => strategy.stats().connections === 0);
  });

  it('credentials are in no dump of the settings or the stats, and in no error', async () => {
    const { port } = await serve({ authenticate });
    const client = scope.client(port, { credentials: { token: 's3cret' }, pool: FAST });
    const refusal = await client.connect().catch((error: unknown) => error);
    for (const shown of [client.settings, client.stats(), refusal]) {
      expect(inspect(shown, { depth: 20, showHidden: true })).not.toContain('s3cret');
      expect(JSON.stringify(shown)).not.toContain('s3cret');
    }
    expect(() => scope.client(port, { credentials: 12_345 as never })).toThrow(
      expect.objectContaining({ code: 'PTCP_OPTION_INVALID', message: expect.not.stringContaining('12345') }),
    );
  });
});

describe('reloadTls', () => {
  /** The server's certificate, as a new connection sees it. */
  async function certificateAt(port: number): Promise<string> {
    const socket: TLSSocket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return String(CN);
  }

  it('gives new connections the new certificate, and open ones go on', async () => {
    const { port, strategy } = await serve({ tls: SERVER_TLS });
    const client = scope.client(port, { tls: { ca: CA_CERTIFICATE }, pool: { min: 2, max: 2 } });
    await client.connect();
    expect(await certificateAt(port)).toBe('localhost');
    strategy.reloadTls({ key: CLIENT_KEY, cert: CLIENT_CERTIFICATE });
    expect(await certificateAt(port)).toBe('orders-service');
    await expect(client.request('echo', 1)).resolves.toBe(1);
    expect(client.stats()).toMatchObject({ total: 2, endpoints: [{ created: 2 }] });
  });

  it('keeps the former certificate when the new one cannot be used, and says so', async () => {
    const { port, strategy } = await serve({ tls: SERVER_TLS });
    for (const options of [{ cert: 'no PEM' }, { key: CLIENT_KEY }])
      expect(() => strategy.reloadTls(options)).toThrow(expect.objectContaining({ code: 'PTCP_OPTION_INVALID' }));
    expect(await certificateAt(port)).toBe('localhost');
  });

  it('is refused without TLS', async () => {
    const { strategy } = await serve({});
    expect(() => strategy.reloadTls(SERVER_TLS)).toThrow(expect.objectContaining({ code: 'PTCP_UNSUPPORTED' }));
  });
});

/** A load balancer's connection: puts a header before the first bytes, and cuts the two together in one place. */
class ProxiedSocket extends Duplex {
  readonly #socket: Socket;
  #header: Buffer | undefined;
  readonly #cut: number;

  constructor(port: number, header: Buffer, cut: number) {
    super();
    this.#header = header;
    this.#cut = cut;
    this.#socket = connect(port, '127.0.0.1').setNoDelay(true);
    this.#socket.on('data', (chunk) => this.push(chunk));
    this.#socket.on('error', () => undefined);
  }

  override _read(): void {
    // Pushed as it comes.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const bytes = Buffer.concat([this.#header ?? Buffer.alloc(0), chunk]);
    const cut = this.#header === undefined ? 0 : this.#cut;
    this.#header = undefined;
    this.#socket.write(bytes.subarray(0, cut), () => {
      setImmediate(() => this.#socket.write(bytes.subarray(cut), done));
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}

describe('the PROXY protocol', () => {
  const FROM_PROXY = { proxyProtocol: { trusted: ['127.0.0.0/8'] } };
  const headerOf = (client: string): Buffer => Buffer.from(`PROXY TCP4 ${client} 10.0.0.1 50000 4000\r\n`);
  const BINARY = Buffer.from(
    '0d0a0d0a000d0a515549540a 21 11 000c 0a090807 0a000001 c350 0fa0'.replaceAll(' ', ''),
    'hex',
  );

  it.each<[string, Buffer, string]>([
    ['version 1', headerOf('10.9.8.7'), '10.9.8.7:50000'],
    ['version 2', BINARY, '10.9.8.7:50000'],
  ])('in %s tells handlers the client’s own address, wherever the bytes are cut', async (_version, header, client) => {
    const { port } = await serve({ ...FROM_PROXY, maxConnectionsPerHost: 0 });
    const bytes = Buffer.concat([header, Buffer.from(nestFrame({ id: '1', pattern: 'who', data: 1 }))]);
    for (let at = 1; at < bytes.length; at++) {
      const peer = await RawPeer.connect(port);
      peer.socket.setNoDelay(true);
      peer.send(bytes.subarray(0, at));
      await new Promise(setImmediate);
      peer.send(bytes.subarray(at));
      await expect(peer.receive(1)).resolves.toMatchObject([{ response: { peer: client } }]);
      peer.socket.destroy();
    }
  });

  it('stands in front of TLS, wherever header and handshake are cut, also in one piece', async () => {
    const { port } = await serve({ ...FROM_PROXY, tls: SERVER_TLS, maxConnectionsPerHost: 0 });
    const header = headerOf('10.9.8.7');
    // The first bytes of the handshake are a few hundred.
    for (let cut = 0; cut < header.length + 200; cut += cut < header.length + 8 ? 1 : 17) {
      const secure = connectTls({
        socket: new ProxiedSocket(port, header, cut),
        ca: CA_CERTIFICATE,
        servername: 'localhost',
      });
      await once(secure, 'secureConnect');
      secure.write(nestFrame({ id: '1', pattern: 'who', data: 1 }));
      const [answer] = (await once(secure, 'data')) as [Buffer];
      expect(answer.toString()).toContain('"peer":"10.9.8.7:50000"');
      secure.destroy();
    }
  });

  it('makes deny, allow and the limits mean the client', async () => {
    const { port, strategy } = await serve({
      ...FROM_PROXY,
      allow: ['10.0.0.0/8'],
      deny: ['10.6.6.6'],
      maxConnectionsPerHost: 1,
    });
    const connect = async (client: string): Promise<RawPeer> => {
      const peer = await RawPeer.connect(port);
      peer.send(headerOf(client));
      peer.sendPacket({ id: '1', pattern: 'echo', data: 'served' });
      return peer;
    };
    const served = await connect('10.0.0.7');
    await served.receive(1);
    const other = await connect('10.0.0.8');
    await expect(other.receive(1)).resolves.toMatchObject([{ response: 'served' }]);
    const second = await connect('10.0.0.7');
    await expect(second.receive(1)).resolves.toMatchObject([{ err: { code: 'PTCP_SERVER_OVERLOADED' } }]);
    for (const client of ['10.6.6.6', '192.168.0.1']) {
      const denied = await connect(client);
      await denied.closed;
      expect(denied.text).toBe('');
    }
    // Its health checks are its own: not among the clients that `allow` lists.
    const check = await RawPeer.connect(port);
    check.send('PROXY UNKNOWN\r\n');
    check.sendPacket({ id: '1', pattern: 'who', data: 1 });
    await expect(check.receive(1)).resolves.toMatchObject([
      { response: { peer: expect.stringMatching(/^127\.0\.0\.1:/) } },
    ]);
    expect(strategy.stats().refusedBy).toMatchObject({ denied: 2, maxConnectionsPerHost: 1, proxyHeader: 0 });
    for (const { socket } of [served, other, second, check]) socket.destroy();
  });

  it.each<[string, string]>([
    ['no header', nestFrame({ id: '1', pattern: 'echo', data: 1 })],
    ['a malformed one', 'PROXY TCP4 10.0.0.7\r\n'],
    ['one that does not end', `PROXY UNKNOWN ${'x'.repeat(200)}`],
    ['nothing in time', ''],
    ['half of one in time', 'PROXY TCP4 10.'],
  ])('closes a connection of the proxy with %s', async (_what, bytes) => {
    const { port, strategy } = await serve({ ...FROM_PROXY, firstFrameTimeoutMs: 100 });
    const peer = await RawPeer.connect(port);
    peer.send(bytes);
    await peer.closed;
    expect(peer.text).toBe('');
    expect(strategy.stats()).toMatchObject({ accepted: 0, refusedBy: { proxyHeader: 1 } });
  });

  it('from anybody else is no message, and its address is not believed', async () => {
    const { port, strategy } = await serve({ proxyProtocol: { trusted: ['10.0.0.0/8'] }, deny: ['10.6.6.6'] });
    const peer = await RawPeer.connect(port);
    peer.send(headerOf('10.6.6.6'));
    await expect(peer.receive(1)).resolves.toMatchObject([{ err: { code: 'PTCP_FRAME_MALFORMED' } }]);
    await peer.closed;
    expect(strategy.stats().refusedBy.denied).toBe(0);
    await expect(scope.client(port).request('echo', 1)).resolves.toBe(1);
  });

  it('closing the server does not wait for headers that never come', async () => {
    const { port, app } = await serve({ ...FROM_PROXY, firstFrameTimeoutMs: 0 });
    const peer = await RawPeer.connect(port);
    peer.send('PROXY ');
    await new Promise(setImmediate);
    await app.close();
    await peer.closed;
  });
});
