import { promises as dns, type SrvRecord } from 'node:dns';
import {
  duration,
  MAX_TIMER_MS,
  integer,
  resolveOptions,
  rule,
  refuse,
  text,
  type OptionRules,
  type OptionsOf,
} from '../common/options.js';
import type { EndpointAddress } from './endpoint-address.js';
import type { EndpointResolver } from './resolver.js';

interface RefreshSettings {
  /** Time between look-ups; for A and AAAA records the TTL counts where it is longer. Default 5 000 ms. */
  refreshMs: number;
  /** Name servers to ask, as in `dns.setServers`, e.g. `['127.0.0.1:5353']`. Default: the system's. */
  servers: readonly string[] | undefined;
}

export interface DnsEndpointsSettings extends RefreshSettings {
  /** Name with A or AAAA records, e.g. `orders.default.svc.cluster.local`. Required. */
  host: string;
  /** Port of every endpoint. Required. */
  port: number;
  /** 4 for A, 6 for AAAA, 0 for both. Default 0. */
  family: number;
}

export interface SrvEndpointsSettings extends RefreshSettings {
  /** Name with SRV records, e.g. `_orders._tcp.service.consul`. Required. */
  name: string;
}

export type DnsEndpointsOptions = OptionsOf<DnsEndpointsSettings>;
export type SrvEndpointsOptions = OptionsOf<SrvEndpointsSettings>;

const refreshRules: OptionRules<RefreshSettings> = {
  refreshMs: duration({ default: 5_000, min: 100, text: 'Time between look-ups; a longer TTL counts instead.' }),
  servers: rule<readonly string[] | undefined>(
    { default: undefined, allowed: 'an array of addresses', text: 'Name servers to ask instead of the system’s.' },
    (value, path) =>
      Array.isArray(value) && value.every((server) => typeof server === 'string')
        ? value
        : refuse(path, value, 'an array of addresses'),
  ),
};

const dnsRules: OptionRules<DnsEndpointsSettings> = {
  ...refreshRules,
  host: text<string>({ default: '', text: 'Name with A or AAAA records.' }),
  port: integer({ default: 0, min: 1, max: 65_535, text: 'Port of every endpoint.' }),
  family: integer({ default: 0, max: 6, text: '4 for A, 6 for AAAA, 0 for both.' }),
};

const srvRules: OptionRules<SrvEndpointsSettings> = {
  ...refreshRules,
  name: text<string>({ default: '', text: 'Name with SRV records.' }),
};

/** Written for an SRV weight of 0; the next is 1. */
const LEAST_SRV_WEIGHT = 0.1;

/** What a look-up found, and for how long it holds. */
interface Answer {
  readonly endpoints: readonly EndpointAddress[];
  readonly ttlMs: number;
}

/**
 * The addresses behind a DNS name, looked up again when their TTL has passed: how Kubernetes publishes a
 * headless service.
 *
 * @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN`
 */
export function dnsEndpoints(options: DnsEndpointsOptions): EndpointResolver {
  const settings = resolveOptions(dnsRules, options, 'dnsEndpoints');
  const { host, port, family } = settings;
  if (host === '') refuse('dnsEndpoints.host', options.host, 'a DNS name');
  if (port === 0) refuse('dnsEndpoints.port', options.port, 'a port from 1 to 65535');
  if (![0, 4, 6].includes(family)) refuse('dnsEndpoints.family', family, '0, 4 or 6');
  return polling(settings, async (resolver) => {
    const lookUps = [
      ...(family === 6 ? [] : [resolver.resolve4(host, { ttl: true })]),
      ...(family === 4 ? [] : [resolver.resolve6(host, { ttl: true })]),
    ];
    const answers = await Promise.allSettled(lookUps);
    const records = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    const failed = answers.find((answer) => answer.status === 'rejected');
    if (records.length === 0 && failed !== undefined) throw failed.reason as Error;
    return {
      endpoints: records.map(({ address }) => ({ host: address, port })),
      ttlMs: Math.min(...records.map(({ ttl }) => ttl * 1_000)),
    };
  });
}

/**
 * The endpoints of SRV records (RFC 2782), with their priorities and weights: those of a higher priority number get
 * calls only while none of a lower one can, and within a priority calls are spread by weight. This is how Kubernetes
 * and Consul publish services with their ports. Looked up every `refreshMs`: Node tells no TTL of these records.
 *
 * @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN`
 */
export function srvEndpoints(options: SrvEndpointsOptions): EndpointResolver {
  const settings = resolveOptions(srvRules, options, 'srvEndpoints');
  if (settings.name === '') refuse('srvEndpoints.name', options.name, 'a DNS name such as _orders._tcp.example.org');
  return polling(settings, async (resolver) => ({
    endpoints: (await resolver.resolveSrv(settings.name)).map(endpointOf),
    ttlMs: 0,
  }));
}

/** A weight of 0 asks for "a very small chance", where others have more, and for equal ones where all have it. */
function endpointOf(
  { name, port, priority, weight }: SrvRecord,
  _: number,
  all: readonly SrvRecord[],
): EndpointAddress {
  const areAllZero = all.every((other) => other.priority !== priority || other.weight === 0);
  return { host: name, port, priority, weight: weight > 0 ? weight : areAllZero ? 1 : LEAST_SRV_WEIGHT };
}

/** Looks up, reports a changed set, and looks up again. */
function polling(
  { refreshMs, servers }: RefreshSettings,
  lookUp: (resolver: dns.Resolver) => Promise<Answer>,
): EndpointResolver {
  return {
    watch(listener) {
      const resolver = new dns.Resolver();
      if (servers !== undefined) resolver.setServers(servers);
      let timer: NodeJS.Timeout | undefined;
      let isStopped = false;
      let known = '';
      const again = (delayMs: number): void => {
        if (!isStopped) timer = setTimeout(poll, delayMs);
      };
      const poll = (): void => {
        lookUp(resolver).then(
          ({ endpoints, ttlMs }) => {
            if (isStopped) return;
            const found = JSON.stringify(endpoints.map((endpoint) => JSON.stringify(endpoint)).sort());
            if (found !== known) listener.update(endpoints);
            known = found;
            again(Math.min(Math.max(refreshMs, ttlMs), MAX_TIMER_MS));
          },
          (error: unknown) => {
            if (isStopped) return;
            listener.error(error as Error);
            again(refreshMs);
          },
        );
      };
      poll();
      return () => {
        isStopped = true;
        clearTimeout(timer);
        resolver.cancel();
      };
    },
  };
}
