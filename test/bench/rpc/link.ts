import { execFileSync } from 'node:child_process';

const RATE = '100mbit';
/** One way. */
const DELAY = '1ms';
/** What the router's queue holds; longer, and a single bulk transfer keeps it filled for everybody. */
const QUEUE = '3ms';
const SERVER = '10.231.77.1';
const CLIENT = '10.231.77.2';

/** A throttled link between two network namespaces: the server's process runs in one, the client's in the other. */
export class Link {
  readonly serverHost = SERVER;
  /** What the kernel shapes, in words. */
  readonly shape: string;
  readonly #server: string;
  readonly #client: string;

  private constructor(server: string, client: string, shape: string) {
    this.#server = server;
    this.#client = client;
    this.shape = shape;
  }

  /** @throws Error with the kernel's reason, where it grants no namespaces, or has no queue that throttles */
  static open(): Link {
    const server = `bench-server-${process.pid}`;
    const client = `bench-client-${process.pid}`;
    try {
      ip('netns', 'add', server);
      ip('netns', 'add', client);
      ip('-n', server, 'link', 'add', 'bench0', 'type', 'veth', 'peer', 'name', 'bench0', 'netns', client);
      for (const [space, address] of [
        [server, SERVER],
        [client, CLIENT],
      ] as const) {
        ip('-n', space, 'addr', 'add', `${address}/30`, 'dev', 'bench0');
        ip('-n', space, 'link', 'set', 'bench0', 'up');
        ip('-n', space, 'link', 'set', 'lo', 'up');
        // Packets as they travel on a wire: 64 KiB at once would be a burst that no queue of this length takes.
        inSpace(space, 'ethtool', '-K', 'bench0', 'tso', 'off', 'gso', 'off', 'gro', 'off');
      }
      const shapes = [server, client].map(throttle);
      return new Link(server, client, shapes[0] ?? '');
    } catch (error) {
      removeSpaces(server, client);
      throw error;
    }
  }

  /** The command that a process of this side is started through. */
  commandOf(side: 'server' | 'client'): readonly string[] {
    return ['ip', 'netns', 'exec', side === 'server' ? this.#server : this.#client];
  }

  close(): void {
    removeSpaces(this.#server, this.#client);
  }
}

/** Rate and delay where the kernel has both, else the rate alone; returns which. */
function throttle(space: string): string {
  try {
    run('tc', '-n', space, 'qdisc', 'add', 'dev', 'bench0', 'root', 'netem', 'delay', DELAY, 'rate', RATE);
    return `${RATE}/s, ${DELAY} each way`;
  } catch {
    // Many small kernels are built without netem.
    run(
      'tc',
      '-n',
      space,
      'qdisc',
      'add',
      'dev',
      'bench0',
      'root',
      'tbf',
      'rate',
      RATE,
      'burst',
      '16kb',
      'latency',
      QUEUE,
    );
    return `${RATE}/s and a queue of ${QUEUE}; this kernel has no netem, so no delay`;
  }
}

function ip(...words: string[]): void {
  run('ip', ...words);
}

/** Offload is switched off where the tool for it is installed; without it the bursts are larger. */
function inSpace(space: string, ...words: string[]): void {
  try {
    ip('netns', 'exec', space, ...words);
  } catch {
    // The link works without it.
  }
}

function removeSpaces(...spaces: string[]): void {
  for (const space of spaces) {
    try {
      ip('netns', 'del', space);
    } catch {
      // It was never made.
    }
  }
}

function run(command: string, ...words: string[]): void {
  try {
    execFileSync(command, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: Buffer };
    const said = stderr?.toString().trim().split('\n', 1)[0];
    throw new Error(`${command} ${words.join(' ')}: ${said === undefined || said === '' ? message : said}`, {
      cause: error,
    });
  }
}
