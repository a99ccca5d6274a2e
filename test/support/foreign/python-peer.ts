import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const SCRIPT = 'test/support/peers/echo_peer.py';

/** Why there can be no peer in Python here; undefined where there can. */
export const noPython: string | undefined =
  spawnSync('python3', ['-c', 'import socket'], { timeout: 20_000 }).status === 0
    ? undefined
    : 'python3 is not on this machine: the peer in another language is not tested';

export interface PythonPeer {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts the peer, which listens on a port of the system's choice. */
export async function startPythonPeer(header: string, manner: string): Promise<PythonPeer> {
  const child: ChildProcess = spawn('python3', [SCRIPT, header, manner], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('no pipes to the peer');
  const lines = createInterface({ input: stdout });
  const [port] = (await Promise.race([
    once(lines, 'line'),
    exited.then(() => {
      throw new Error('the peer in Python ended before it listened');
    }),
  ])) as [string];
  return {
    port: Number(port),
    close: async () => {
      stdin.end();
      await exited;
      lines.close();
    },
  };
}
