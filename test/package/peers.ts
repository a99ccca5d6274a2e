import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { CA_CERTIFICATE, SERVER_CERTIFICATE, SERVER_KEY } from '../support/certificates.js';
import type { Flavour } from './application.js';
import { run } from './command.js';

/** An application that has been built, and the version of Nest in it. */
export interface Built {
  readonly flavour: Flavour;
  readonly folder: string;
}

interface Peer {
  readonly name: string;
  readonly kind: 'ours' | 'stock';
  readonly folder: string;
}

interface RunningPeer extends Peer {
  readonly ports: { readonly plain: number; readonly tls: number };
  readonly child: ChildProcess;
}

const ENVIRONMENT = {
  PEER_TLS: JSON.stringify({ key: SERVER_KEY, cert: SERVER_CERTIFICATE, ca: CA_CERTIFICATE }),
};

/**
 * Every kind of client in every version of Nest against every kind of server in every version, plain and with TLS,
 * each end in a process of its own; the stock pairs excepted, which are not ours to test.
 *
 * @returns what passed, a line for each pair and wire
 */
export async function tryPeers(applications: readonly Built[]): Promise<string[]> {
  const peers = applications.flatMap(({ flavour, folder }) =>
    (['ours', 'stock'] as const).map((kind) => ({ name: `${kind} on ${flavour.name}`, kind, folder })),
  );
  const servers: RunningPeer[] = [];
  try {
    for (const peer of peers) servers.push(await startServer(peer));
    return peers.flatMap((client) => {
      const others = servers.filter(({ kind }) => kind === 'ours' || client.kind === 'ours');
      const output = run(
        process.execPath,
        ['out/peer.js', 'client', client.kind, JSON.stringify(others.map(({ name, ports }) => ({ name, ports })))],
        client.folder,
        ENVIRONMENT,
      );
      const passed = output.trim().split('\n');
      if (passed.length !== 2 * others.length) throw new Error(`${client.name}: unexpected output:\n${output}`);
      return passed.map((line) => `${client.name} → ${line}`);
    });
  } finally {
    await Promise.all(servers.map(stop));
  }
}

async function startServer(peer: Peer): Promise<RunningPeer> {
  const child = spawn(process.execPath, ['out/peer.js', 'server', peer.kind], {
    cwd: peer.folder,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...ENVIRONMENT },
  });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the server of ${peer.name} ended with ${String(code)} before it listened`);
  });
  const lines = createInterface({ input: child.stdout });
  const [line] = (await Promise.race([once(lines, 'line'), ended])) as [string];
  ended.catch(() => undefined);
  return { ...peer, child, ports: JSON.parse(line) as RunningPeer['ports'] };
}

async function stop({ child }: RunningPeer): Promise<void> {
  const exited = once(child, 'exit');
  child.stdin?.end();
  await exited;
}
