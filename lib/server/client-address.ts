import { isIPv6, type Socket } from 'node:net';

/** Where a connection comes from. */
export interface ClientAddress {
  /** IP address, as {@link canonicalHost} writes it; undefined on a Unix socket, and for a socket that is gone. */
  readonly host: string | undefined;
  /** For people: `10.0.0.1:50000`, `[2001:db8::1]:50000`, `unix socket`. */
  readonly text: string;
}

export function clientAddress(address: string, port: number): ClientAddress {
  const host = canonicalHost(address);
  return { host, text: `${host.includes(':') ? `[${host}]` : host}:${port}` };
}

export function addressOf({ remoteAddress, remotePort, destroyed }: Socket): ClientAddress {
  if (remoteAddress !== undefined) return clientAddress(remoteAddress, remotePort ?? 0);
  // A socket that is closed has no address any more; one on a Unix socket never had.
  return { host: undefined, text: destroyed ? 'a client that is gone' : 'unix socket' };
}

/** IPv4 that a dual-stack socket shows as IPv6 (RFC 4291, section 2.5.5.2) is IPv4 again, and zones are left out. */
export function canonicalHost(address: string): string {
  const [host = ''] = address.toLowerCase().split('%', 1);
  if (!isIPv6(host)) return host;
  const groups = ipv6Groups(host);
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (!isMapped) return host;
  const [high = 0, low = 0] = groups.slice(6);
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}

/**
 * What counts as one host. A subscriber of IPv6 has a whole /64 (RFC 6177), so single addresses would be no limit.
 *
 * @param host as {@link canonicalHost} writes it
 */
export function hostKey(host: string): string {
  if (!isIPv6(host)) return host;
  const prefix = ipv6Groups(host).slice(0, 4);
  return `${prefix.map((group) => group.toString(16)).join(':')}::/64`;
}

/** The eight groups of a valid IPv6 address. */
function ipv6Groups(host: string): number[] {
  const [front = '', back] = host.split('::');
  const head = groupsOf(front);
  if (back === undefined) return head;
  const tail = groupsOf(back);
  return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}
