import { readFile } from 'node:fs/promises';

/** From which ports the system chooses one for a connection that goes out. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** The local ports of this machine, or of this container; undefined is what the system does not tell. */
export interface LocalPorts {
  readonly range: PortRange | undefined;
  /** Connections in TIME_WAIT, to wherever. */
  readonly timeWait: number | undefined;
  /** TCP sockets in use, to wherever, listening ones included. */
  readonly inUse: number | undefined;
}

export type ReadLocalPorts = () => Promise<LocalPorts>;

const NOTHING_KNOWN: LocalPorts = { range: undefined, timeWait: undefined, inUse: undefined };

/** Reads what Linux tells; elsewhere nothing is known. Never fails. */
export const readLocalPorts: ReadLocalPorts = async () => {
  if (process.platform !== 'linux') return NOTHING_KNOWN;
  const [range, sockets, sockets6] = await Promise.all(
    ['/proc/sys/net/ipv4/ip_local_port_range', '/proc/net/sockstat', '/proc/net/sockstat6'].map((path) =>
      // A container may hide them, and a kernel without IPv6 has none of the last.
      readFile(path, 'utf8').catch(() => ''),
    ),
  );
  return parseLocalPorts(range ?? '', `${sockets ?? ''}${sockets6 ?? ''}`);
};

/**
 * @param range `/proc/sys/net/ipv4/ip_local_port_range`, which holds for IPv6 too
 * @param sockets `/proc/net/sockstat` and `/proc/net/sockstat6`
 */
export function parseLocalPorts(range: string, sockets: string): LocalPorts {
  const [, first, last] = /^(\d+)\s+(\d+)/.exec(range) ?? [];
  const [, inUse, timeWait] = /^TCP: inuse (\d+)\b.*\btw (\d+)/m.exec(sockets) ?? [];
  const [, inUse6] = /^TCP6: inuse (\d+)/m.exec(sockets) ?? [];
  return {
    range: first === undefined || last === undefined ? undefined : { first: Number(first), last: Number(last) },
    timeWait: timeWait === undefined ? undefined : Number(timeWait),
    inUse: inUse === undefined ? undefined : Number(inUse) + Number(inUse6 ?? 0),
  };
}
