import { afterEach, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import { AppProcess } from '../support/app-process.js';
import { NetworkLab } from '../support/network-lab.js';

const refusal = await NetworkLab.refusal();
if (refusal !== undefined) process.stdout.write(`network-lab: every test is skipped, because ${refusal}\n`);
const lab = new NetworkLab();
let server: AppProcess | undefined;

afterEach(async () => {
  await server?.kill();
  server = undefined;
  await lab.close();
});

/** What becomes of an attempt to connect; `silence` when nothing comes back. */
function dial(host: string, patienceMs = 5_000): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: 4000 });
    const outcome = (what: string): void => {
      socket.destroy();
      resolve(what);
    };
    socket.setTimeout(patienceMs, () => outcome('silence'));
    socket.on('connect', () => outcome('connected'));
    socket.on('error', (error: NodeJS.ErrnoException) => outcome(String(error.code)));
  });
}

(refusal === undefined ? describe : describe.skip)('a host of the network lab', () => {
  it('is reached at its own address, falls silent, comes back, and is gone afterwards', async () => {
    const host = await lab.host();
    const args = [JSON.stringify({ host: host.address, port: 4000 })];
    server = await AppProcess.start({ app: 'echo-service', args, prefix: host.prefix });
    await expect(dial(host.address)).resolves.toBe('connected');
    await host.unplug();
    await expect(dial(host.address, 150)).resolves.toBe('silence');
    await host.heal();
    await expect(dial(host.address)).resolves.toBe('connected');
    await host.drop();
    await expect(dial(host.address, 150)).resolves.toBe('silence');
    await host.heal();
    await host.throttle(1_000_000);
    await expect(dial(host.address)).resolves.toBe('connected');
    await host.restart();
    await expect(dial(host.address)).resolves.toBe('ECONNREFUSED');
    const other = await lab.host();
    expect(other.address).not.toBe(host.address);

    await server.kill();
    await lab.close();
    const left =
      execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }) +
      execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' });
    expect(left).not.toMatch(new RegExp(`ptcp${process.pid}n|pt${process.pid}[io]`));
  }, 20_000);
});
