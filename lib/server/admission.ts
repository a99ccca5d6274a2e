import { PooledTcpError, withoutStack } from '../errors/pooled-tcp-error.js';
import { AddressList } from './address-list.js';
import { hostKey, type ClientAddress } from './client-address.js';
import type { Refusals, RefusalReason } from './refusals.js';
import type { ServerSettings } from './settings.js';

/** Connections that may at the same time be told that they are refused. */
const MAX_TOLD = 64;

/** What one connection takes of the server's room, from its first moment to its last. */
export interface Place {
  /** Why the connection is refused, where it is. */
  readonly refusal: PooledTcpError | undefined;
  /** The client has shown who it is. @returns why that is one connection too many, where it is */
  claimPrincipal(id: string): PooledTcpError | undefined;
}

/** How many connections there are: in all, of each host, of each principal. Addresses that may not have any. */
export class Admission {
  readonly #settings: ServerSettings;
  readonly #refusals: Refusals;
  readonly #allow: AddressList;
  readonly #deny: AddressList;
  readonly #hosts = new Tally();
  readonly #principals = new Tally();
  #open = 0;
  #told = 0;

  constructor(settings: ServerSettings, refusals: Refusals) {
    this.#settings = settings;
    this.#refusals = refusals;
    this.#allow = new AddressList(settings.allow, 'allow');
    this.#deny = new AddressList(settings.deny, 'deny');
  }

  /** Whether the address may have connections at all; Unix sockets, which have none, may. */
  isWelcome({ host, text }: ClientAddress, isTrustedProxy: boolean): boolean {
    if (host === undefined) return true;
    const isDenied = this.#deny.has(host);
    // A proxy that checks our health is not one of the clients that `allow` lists.
    if (!isDenied && (this.#allow.isEmpty || isTrustedProxy || this.#allow.has(host))) return true;
    this.#refusals.add('denied', text, isDenied ? 'its address is in deny' : 'its address is not in allow');
    return false;
  }

  /** Takes a place; undefined when the connection is to be closed at once. */
  enter(address: ClientAddress): ConnectionPlace | undefined {
    const { maxConnections } = this.#settings;
    const place = new ConnectionPlace(this);
    if (this.#open < maxConnections) {
      this.#open += 1;
      return place;
    }
    return this.#refuse(place, address.text, 'maxConnections', `the server has ${maxConnections} connections`);
  }

  /** Now the client's own address is known. @returns whether the connection goes on, if only to be refused */
  claimHost(place: ConnectionPlace, address: ClientAddress): boolean {
    const { maxConnectionsPerHost: max } = this.#settings;
    if (place.refusal !== undefined || address.host === undefined || max === 0) return true;
    const host = hostKey(address.host);
    if (this.#hosts.add(host, max)) {
      place.host = host;
      return true;
    }
    const isTold = this.#refuse(place, address.text, 'maxConnectionsPerHost', `${host} has ${max} connections`);
    this.#open -= 1;
    return isTold !== undefined;
  }

  claimPrincipal(place: ConnectionPlace, id: string): PooledTcpError | undefined {
    const { maxConnectionsPerPrincipal: max } = this.#settings;
    if (max === 0) return undefined;
    if (!this.#principals.add(id, max))
      return overloaded('maxConnectionsPerPrincipal', `the principal has ${max} connections`);
    place.principal = id;
    return undefined;
  }

  leave({ isRefused, isTold, host, principal }: ConnectionPlace): void {
    if (!isRefused) this.#open -= 1;
    if (isTold) this.#told -= 1;
    if (host !== undefined) this.#hosts.remove(host);
    if (principal !== undefined) this.#principals.remove(principal);
  }

  /** Says why, to as many at a time as is cheap; a flood beyond that is dropped. */
  #refuse(place: ConnectionPlace, peer: string, reason: RefusalReason, what: string): ConnectionPlace | undefined {
    const refusal = overloaded(reason, what);
    this.#refusals.add(reason, peer, refusal.message);
    place.refuse(refusal, this.#told < MAX_TOLD);
    if (!place.isTold) return undefined;
    this.#told += 1;
    return place;
  }
}

/** The place of one connection, as the listener keeps it. */
export class ConnectionPlace implements Place {
  host: string | undefined;
  principal: string | undefined;
  isTold = false;
  readonly #admission: Admission;
  #refusal: PooledTcpError | undefined;
  #hasLeft = false;

  constructor(admission: Admission) {
    this.#admission = admission;
  }

  get refusal(): PooledTcpError | undefined {
    return this.#refusal;
  }

  get isRefused(): boolean {
    return this.#refusal !== undefined;
  }

  claimHost(address: ClientAddress): boolean {
    return this.#admission.claimHost(this, address);
  }

  claimPrincipal(id: string): PooledTcpError | undefined {
    return this.#admission.claimPrincipal(this, id);
  }

  refuse(refusal: PooledTcpError, isTold: boolean): void {
    this.#refusal = refusal;
    this.isTold = isTold;
  }

  /** The connection is gone. */
  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#admission.leave(this);
  }
}

/** Counts by key, and forgets keys that count nothing. */
class Tally {
  readonly #counts = new Map<string, number>();

  add(key: string, max: number): boolean {
    const count = this.#counts.get(key) ?? 0;
    if (count >= max) return false;
    this.#counts.set(key, count + 1);
    return true;
  }

  remove(key: string): void {
    const count = this.#counts.get(key) ?? 0;
    if (count > 1) this.#counts.set(key, count - 1);
    else this.#counts.delete(key);
  }
}

function overloaded(option: RefusalReason, what: string): PooledTcpError {
  return withoutStack(() => new PooledTcpError('PTCP_SERVER_OVERLOADED', `${what}, as many as ${option} allows`));
}
