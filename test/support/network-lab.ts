import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Names of what a lab makes: the process that made it, and a number. */
const NAME = /^ptcp(\d+)n\d+$/;
/** 10.203.0.0/16 in networks of four addresses. */
const NETWORKS = 2 ** 14;

async function ip(...args: string[]): Promise<string> {
  return (await execute('ip', args)).stdout;
}

/**
 * Hosts for tests: network namespaces of this machine, each joined to it by a cable of its own (a veth pair) with
 * addresses of its own. Packets between them are real, and so is what a firewall, a pulled cable or a restart does to
 * them. Rules are set inside the namespaces only: the machine's own network is left alone.
 */
export class NetworkLab {
  readonly #hosts: LabHost[] = [];

  /** Why this machine cannot have a lab, in words for whoever reads the test's output; undefined when it can. */
  static async refusal(): Promise<string | undefined> {
    if (process.platform !== 'linux') return `network namespaces are Linux's, and this is ${process.platform}`;
    if (process.getuid?.() !== 0) return 'network namespaces need root';
    const lab = new NetworkLab();
    try {
      await lab.host();
      return undefined;
    } catch (error) {
      return `the kernel, or a missing iproute2, refused a network namespace: ${(error as Error).message.trim()}`;
    } finally {
      await lab.close();
    }
  }

  /** Why packets cannot be rejected here; undefined when they can. Dropping needs nothing beside the lab. */
  static async firewallRefusal(): Promise<string | undefined> {
    try {
      // Also shows whether the kernel has what the binary asks for.
      await execute('iptables', ['-w', '-S']);
      return undefined;
    } catch (error) {
      return `iptables does not work here: ${(error as Error).message.trim()}`;
    }
  }

  /** A new host. */
  async host(): Promise<LabHost> {
    await sweep();
    const host = await LabHost.create(await freeNetwork(), await NetworkLab.firewallRefusal());
    this.#hosts.push(host);
    return host;
  }

  /** Removes everything. Processes inside must have ended, or end by themselves. */
  async close(): Promise<void> {
    for (const host of this.#hosts.splice(0)) await host.remove();
  }
}

/** One host of a {@link NetworkLab}. */
export class LabHost {
  static #made = 0;
  /** Its own address. */
  readonly address: string;
  /** This machine's address on the cable between them. */
  readonly outside: string;
  readonly #hasFirewall: boolean;
  readonly #cable: { readonly inside: string; readonly outside: string };
  #namespace: string;

  private constructor(network: number, hasFirewall: boolean) {
    const number = (LabHost.#made += 1);
    this.#namespace = `ptcp${process.pid}n${number}`;
    // Interface names have at most 15 characters.
    this.#cable = { inside: `pt${process.pid}i${number}`, outside: `pt${process.pid}o${number}` };
    this.outside = addressIn(network, 1);
    this.address = addressIn(network, 2);
    this.#hasFirewall = hasFirewall;
  }

  /** @internal */
  static async create(network: number, firewallRefusal: string | undefined): Promise<LabHost> {
    const host = new LabHost(network, firewallRefusal === undefined);
    await ip('netns', 'add', host.#namespace);
    try {
      const { inside, outside } = host.#cable;
      await ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside, 'netns', host.#namespace);
      await ip('addr', 'add', `${host.outside}/30`, 'dev', outside);
      await ip('link', 'set', outside, 'up');
      await host.#configure();
    } catch (error) {
      await host.remove();
      throw error;
    }
    return host;
  }

  /** Put before a command, runs it on this host. */
  get prefix(): readonly string[] {
    return ['ip', 'netns', 'exec', this.#namespace];
  }

  /** Packets vanish, either way and without a word: a firewall that drops or, without one, a pulled cable. */
  async drop(): Promise<void> {
    if (!this.#hasFirewall) {
      await this.unplug();
      return;
    }
    await this.#firewall('-A', 'INPUT', '-j', 'DROP');
    await this.#firewall('-A', 'OUTPUT', '-j', 'DROP');
  }

  /** TCP packets to this host are refused with a word, and none leaves it. */
  async reject(how: 'icmp-host-prohibited' | 'tcp-reset'): Promise<void> {
    await this.#firewall('-A', 'INPUT', '-p', 'tcp', '-j', 'REJECT', '--reject-with', how);
    // The refusal itself must get out.
    await this.#firewall('-A', 'OUTPUT', '-p', 'tcp', '--tcp-flags', 'RST', 'NONE', '-j', 'DROP');
  }

  /** The cable is out: nothing passes. */
  async unplug(): Promise<void> {
    // This end, so that the other keeps its route and packets go to nowhere instead of elsewhere.
    await this.#ip('link', 'set', this.#cable.inside, 'down');
  }

  /** At most so many bits a second leave this host; its answers queue. */
  async throttle(bitsPerSecond: number): Promise<void> {
    const rate = ['root', 'tbf', 'rate', String(bitsPerSecond), 'burst', '16kb', 'latency', '500ms'];
    await execute('tc', ['-n', this.#namespace, 'qdisc', 'replace', 'dev', this.#cable.inside, ...rate]);
  }

  /** Connections that go out from here get no other ports than these. */
  async limitLocalPorts(first: number, last: number): Promise<void> {
    const range = `net.ipv4.ip_local_port_range=${first} ${last}`;
    await execute('ip', [...this.prefix.slice(1), 'sysctl', '-w', range]);
  }

  /** Takes back what was done to packets and to the cable. */
  async heal(): Promise<void> {
    if (this.#hasFirewall) await this.#firewall('-F');
    await this.#ip('link', 'set', this.#cable.inside, 'up');
    // There is none to delete where nothing was throttled.
    await execute('tc', ['-n', this.#namespace, 'qdisc', 'del', 'dev', this.#cable.inside, 'root']).catch(() => {});
  }

  /**
   * The host crashes and comes up again: same address, and it knows nothing of its connections any more. What ran
   * on it is cut off; the caller ends those processes.
   */
  async restart(): Promise<void> {
    const old = this.#namespace;
    this.#namespace = `ptcp${process.pid}n${(LabHost.#made += 1)}`;
    await ip('netns', 'add', this.#namespace);
    // The other end of the cable stays as it is, with its address and its route.
    await ip('-n', old, 'link', 'set', this.#cable.inside, 'netns', this.#namespace);
    await this.#configure();
    await ip('netns', 'delete', old);
  }

  /** @internal */
  async remove(): Promise<void> {
    // The cable first: a namespace whose processes have not ended yet would keep it. It may not exist yet.
    await ip('link', 'delete', this.#cable.outside).catch(() => '');
    await ip('netns', 'delete', this.#namespace);
  }

  async #configure(): Promise<void> {
    const { inside } = this.#cable;
    await this.#ip('addr', 'add', `${this.address}/30`, 'dev', inside);
    await this.#ip('link', 'set', 'lo', 'up');
    await this.#ip('link', 'set', inside, 'up');
  }

  async #ip(...args: string[]): Promise<void> {
    await ip('-n', this.#namespace, ...args);
  }

  async #firewall(...args: string[]): Promise<void> {
    const [command = '', ...rest] = [...this.prefix, 'iptables', '-w', ...args];
    await execute(command, rest);
  }
}

/** Removes what test runs that were killed have left behind. */
async function sweep(): Promise<void> {
  for (const line of (await ip('netns', 'list')).split('\n')) {
    const [name = ''] = line.split(' ');
    const pid = NAME.exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    // Another run may be sweeping too. The cable goes with the namespace.
    await ip('netns', 'delete', name).catch(() => '');
  }
}

/** A network that no interface of this machine has an address in; each process begins its search elsewhere. */
async function freeNetwork(): Promise<number> {
  const taken = new Set((await ip('-o', '-4', 'addr')).match(/10\.203\.\d+\.\d+/g));
  let network = (process.pid * 16) % NETWORKS;
  while (taken.has(addressIn(network, 1))) network = (network + 1) % NETWORKS;
  return network;
}

function addressIn(network: number, host: number): string {
  return `10.203.${network >> 6}.${((network & 63) << 2) + host}`;
}
