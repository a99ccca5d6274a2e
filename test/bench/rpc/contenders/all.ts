import type { BrokerName } from '../broker.js';
import type { Contender } from './contender.js';

/** A contender as the report shows it; its module is loaded only in the processes that run it. */
export interface ContenderEntry {
  readonly name: string;
  readonly title: string;
  readonly color: string;
  /** What has to run beside its two processes. */
  readonly broker?: BrokerName;
  readonly load: () => Promise<ContenderModule>;
}

interface ContenderModule {
  readonly contenders: Readonly<Record<string, Contender>>;
}

const ours = (): Promise<ContenderModule> => import('./ours.js');
const stock = (): Promise<ContenderModule> => import('./stock.js');
const brokered = (): Promise<ContenderModule> => import('./brokered.js');
const bare = (): Promise<ContenderModule> => import('./bare.js');

export const entries: readonly ContenderEntry[] = [
  { name: 'ours-request', title: 'ours, request()', color: '#c2185b', load: ours },
  { name: 'ours-send', title: 'ours, send()', color: '#f06292', load: ours },
  { name: 'ours-msgpack', title: 'ours, request(), MessagePack', color: '#6a1b9a', load: ours },
  { name: 'ours-stock-wire', title: 'ours, stock wire', color: '#8e24aa', load: ours },
  { name: 'stock', title: 'stock Nest TCP', color: '#1e88e5', load: stock },
  { name: 'stock-short', title: 'stock, a connection per call', color: '#90caf9', load: stock },
  { name: 'grpc', title: 'Nest gRPC', color: '#00897b', load: () => import('./grpc.js') },
  { name: 'http', title: 'Nest HTTP, fastify and undici', color: '#f9a825', load: () => import('./http.js') },
  { name: 'nats', title: 'Nest NATS', color: '#6d4c41', broker: 'nats', load: brokered },
  { name: 'redis', title: 'Nest Redis', color: '#e53935', broker: 'redis', load: brokered },
  {
    name: 'bare-nest',
    title: 'bare net, Nest handlers',
    color: '#a1887f',
    load: () => import('./bare-nest.js'),
  },
  { name: 'bare', title: 'bare net, 1 connection', color: '#757575', load: bare },
  { name: 'bare-4', title: 'bare net, 4 connections', color: '#212121', load: bare },
];

export function entryOf(name: string): ContenderEntry {
  const found = entries.find((entry) => entry.name === name);
  if (found === undefined) throw new Error(`no contender is called ${name}`);
  return found;
}

export async function loadContender(name: string): Promise<Contender> {
  const { contenders } = await entryOf(name).load();
  const contender = contenders[name];
  if (contender === undefined) throw new Error(`the module of ${name} does not have it`);
  return contender;
}
