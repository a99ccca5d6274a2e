import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { backoffRules, type BackoffOptions, type BackoffSettings } from '../common/backoff.js';
import {
  conflict,
  duration,
  group,
  groupOrFalse,
  integer,
  refuse,
  resolveOptions,
  rule,
  text,
  type OptionRules,
} from '../common/options.js';
import { balancerRule, type BalancerName } from '../cluster/balancers/balancers.js';
import { ejectionRule, verifyEjection, type EjectionOptions, type EjectionSettings } from '../cluster/ejection.js';
import { parseEndpoint, placeOf, type EndpointAddress } from '../cluster/endpoint-address.js';
import {
  hedgeRules,
  retryRules,
  type HedgeOptions,
  type HedgeSettings,
  type RetryOptions,
  type RetrySettings,
} from './retry-settings.js';
import { staticEndpoints, type EndpointResolver } from '../cluster/resolver.js';
import { credentialsRule, type Credentials, type CredentialsOption } from '../connection/credentials.js';
import { foreignOf } from '../connection/foreign-settings.js';
import { protocolOf, wireRules, type WireOptions, type WireSettings } from '../connection/wire-settings.js';
import { completePool, poolRules, verifyPool, type PoolOptions, type PoolSettings } from '../pool/settings.js';

/** Options of a pool, as a user writes them. Every one may be left out, but for a place to connect to. */
export interface PooledTcpClientOptions extends WireOptions {
  /** Name of the pool, for `@InjectPool(name)`, errors, logs and metrics. Default `default`. */
  readonly name?: string | undefined;
  /** Where to connect: addresses, or a resolver such as `dnsEndpoints()`. Instead of `host` and `port`. */
  readonly endpoints?: readonly EndpointAddress[] | EndpointResolver | undefined;
  /** Host of the one endpoint. Default `localhost`. */
  readonly host?: string | undefined;
  /** Port of the one endpoint. */
  readonly port?: number | undefined;
  /** TLS for every endpoint: options of `tls.connect`, or true. Endpoints written `tls://` have it anyway. */
  readonly tls?: boolean | TlsOptions | undefined;
  /** Who this client is, for the server's `authenticate`; a function is asked at each dial. */
  readonly credentials?: CredentialsOption | undefined;
  /** The pool of each endpoint. */
  readonly pool?: PoolOptions | undefined;
  /** Time for a reply; for streams, between items. Milliseconds, default 10 000; 0 for none. */
  readonly requestTimeoutMs?: number | undefined;
  /** Delays between failed dials. */
  readonly backoff?: BackoffOptions | undefined;
  /** How calls are spread over endpoints. Default `p2c`. */
  readonly balancer?: BalancerName | undefined;
  /** When an endpoint that goes on failing gets no calls for a while; false for never. */
  readonly ejection?: EjectionOptions | boolean | undefined;
  /** Sending idempotent requests again that were lost; false for never. */
  readonly retry?: RetryOptions | boolean | undefined;
  /** A second attempt of idempotent requests that take long. Default false. */
  readonly hedge?: HedgeOptions | boolean | undefined;
}

interface RawSettings extends WireSettings {
  name: string;
  endpoints: readonly EndpointAddress[] | EndpointResolver | undefined;
  host: string | undefined;
  port: number | undefined;
  tls: TlsOptions | undefined;
  credentials: Credentials | undefined;
  pool: PoolSettings;
  requestTimeoutMs: number;
  backoff: BackoffSettings;
  balancer: BalancerName;
  ejection: EjectionSettings | false;
  retry: RetrySettings | false;
  hedge: HedgeSettings | false;
}

/** The same, resolved: defaults applied, rules checked, frozen. */
export interface ClientSettings extends Omit<RawSettings, 'endpoints' | 'host' | 'port'> {
  readonly resolver: EndpointResolver;
}

/** Port of a stock Nest TCP server that names none (`TCP_DEFAULT_PORT`). */
const NEST_DEFAULT_PORT = 3000;

export const clientRules: OptionRules<RawSettings> = {
  name: text<string>({
    default: 'default',
    text: 'Name of the pool, for `@InjectPool(name)`, errors, logs and metrics.',
  }),
  endpoints: rule<RawSettings['endpoints']>(
    {
      default: undefined,
      allowed: 'a non-empty array of addresses, or a resolver',
      text: 'Where to connect: addresses, or a resolver such as `dnsEndpoints()`. Instead of `host` and `port`.',
    },
    (value, path) => {
      if (Array.isArray(value) && value.length > 0) return value as EndpointAddress[];
      if (typeof value === 'object' && value !== null && 'watch' in value && typeof value.watch === 'function')
        return value as EndpointResolver;
      return refuse(
        path,
        value,
        "a non-empty array of addresses such as ['10.0.0.1:4000'], or a resolver such as dnsEndpoints()",
      );
    },
  ),
  host: text<string | undefined>({
    default: undefined,
    text: 'Host of the one endpoint; `localhost` when only `port` is given.',
  }),
  port: rule<number | undefined>(
    {
      default: undefined,
      allowed: 'a port from 1 to 65535',
      text: 'Port of the one endpoint; 3000 when only `host` is given, as in stock Nest.',
    },
    (value, path) => integer({ default: 0, min: 1, max: 65_535, what: 'a port', text: '' }).check(value, path),
  ),
  tls: rule<TlsOptions | undefined>(
    {
      default: undefined,
      allowed: 'true, false, or options of tls.connect()',
      text: 'TLS for every endpoint. Endpoints written `tls://` have it anyway.',
    },
    (value, path) => {
      if (value === false) return undefined;
      if (value === true) return {};
      return typeof value === 'object' && value !== null
        ? value
        : refuse(path, value, 'true, false, or options of tls.connect()');
    },
  ),
  credentials: credentialsRule,
  pool: group({ text: 'The pool of each endpoint.', rules: poolRules, complete: completePool, verify: verifyPool }),
  requestTimeoutMs: duration({ default: 10_000, text: 'Time for a reply; for streams, between items. 0 for none.' }),
  backoff: group({ text: 'Delays between failed dials to one endpoint.', rules: backoffRules }),
  balancer: balancerRule,
  ejection: ejectionRule,
  retry: groupOrFalse({
    text: 'Sending requests again that were lost after they were sent: those marked `idempotent`, within a budget.',
    rules: retryRules,
  }),
  hedge: groupOrFalse({
    text: 'A second attempt of idempotent requests that take long, within the same budget.',
    rules: hedgeRules,
    isOff: true,
  }),
  ...wireRules,
};

/**
 * Checks what a user wrote, before anything is opened.
 *
 * @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN`, `PTCP_OPTION_CONFLICT`
 */
export function resolveClientOptions(options: PooledTcpClientOptions): ClientSettings {
  const { endpoints, host, port, ...rest } = resolveOptions(clientRules, options);
  verifyEjection(rest.ejection);
  if (rest.hedge !== false && rest.retry === false)
    conflict('retry: false leaves no budget for hedge; leave retry out, or set retry.attempts to 0');
  const protocol = protocolOf(rest, options);
  const pool = poolOf(rest, options);
  if (rest.credentials !== undefined && protocol === 'nest-json') {
    conflict(
      'credentials go with the hello, which the stock Nest wire does not have; leave out protocol: nestJson(), serializer and deserializer',
    );
  }
  return Object.freeze({
    ...rest,
    pool,
    protocol,
    resolver: resolveEndpoints({ endpoints, host, port, tls: rest.tls }),
  });
}

/** What a foreign protocol means for the pool. */
function poolOf(
  settings: Pick<RawSettings, 'pool' | 'framing' | 'codec' | 'credentials'>,
  options: PooledTcpClientOptions,
): PoolSettings {
  const { pool } = settings;
  const foreign = foreignOf(settings);
  if (foreign === undefined) return pool;
  if (settings.credentials !== undefined) {
    conflict(
      'credentials go with the hello, which a foreign protocol does not have; log in with onConnect(connection) of the codec',
    );
  }
  if (foreign.framing.endsWithStream === true && pool.mode !== 'short') {
    conflict(
      `framing: untilClose() ends a reply with its connection, and pool.mode '${pool.mode}' keeps connections; use pool.mode: 'short'`,
    );
  }
  if (foreign.codec.correlation !== 'serial' || pool.mode !== 'shared') return pool;
  const given = options.pool?.maxInFlight ?? 1;
  if (given > 1) {
    conflict(
      `pool.maxInFlight (${given}) is more than the one call that a serial protocol takes on a connection; leave it out and raise pool.max, or give the codec ids`,
    );
  }
  return Object.freeze({ ...pool, maxInFlight: 1 });
}

/**
 * New limits for a running pool; what is left out stays.
 *
 * @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN`, `PTCP_OPTION_CONFLICT`
 */
export function resolveLimits(
  limits: { readonly min?: number | undefined; readonly max?: number | undefined },
  current: PoolSettings,
): Pick<PoolSettings, 'min' | 'max'> {
  const { min, max } = poolRules;
  const given = resolveOptions(
    { min: { ...min, default: current.min }, max: { ...max, default: current.max } },
    limits,
    'pool',
  );
  verifyPool({ ...current, ...given }, 'pool');
  return given;
}

function resolveEndpoints({
  endpoints,
  host,
  port,
  tls,
}: Pick<RawSettings, 'endpoints' | 'host' | 'port' | 'tls'>): EndpointResolver {
  if (endpoints !== undefined && (host !== undefined || port !== undefined)) {
    conflict(`endpoints and ${host === undefined ? 'port' : 'host'} are both given; put the address into endpoints`);
  }
  if (endpoints === undefined) {
    if (host === undefined && port === undefined) {
      conflict("no endpoint is given; write endpoints: ['host:port'], or host and port");
    }
    return staticEndpoints([{ host: host ?? 'localhost', port: port ?? NEST_DEFAULT_PORT }]);
  }
  if (!Array.isArray(endpoints)) return endpoints as EndpointResolver;
  const addresses = (endpoints as readonly EndpointAddress[]).map(
    (endpoint, i) => parseEndpoint(endpoint, `endpoints[${i}]`, tls).address,
  );
  (endpoints as readonly EndpointAddress[]).forEach((endpoint, i) => placeOf(endpoint, `endpoints[${i}]`));
  const repeated = addresses.find((address, i) => addresses.indexOf(address) !== i);
  if (repeated !== undefined) conflict(`endpoints names ${repeated} twice`);
  return staticEndpoints(endpoints as readonly EndpointAddress[]);
}
