import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { refuse, rule, type OptionRule } from '../common/options.js';
import { canonicalHost } from './client-address.js';

const ALLOWED = "an IP address such as '10.0.0.1' or '2001:db8::1', or a prefix such as '10.0.0.0/8'";
/** Bits before the IPv4 address in an IPv4-mapped one. */
const MAPPED_BITS = 96;

/**
 * Addresses and prefixes. A list for each family: in one `net.BlockList` an IPv6 prefix such as `::/0` would match
 * IPv4 addresses, too.
 */
export class AddressList {
  readonly isEmpty: boolean;
  readonly #ipv4 = new BlockList();
  readonly #ipv6 = new BlockList();

  /** @throws PooledTcpError `PTCP_OPTION_INVALID`, which names the entry by the path of its option */
  constructor(entries: readonly unknown[], path: string) {
    this.isEmpty = entries.length === 0;
    entries.forEach((entry, i) => {
      this.#add(entry, `${path}[${i}]`);
    });
  }

  /** @param host as `canonicalHost` writes it */
  has(host: string): boolean {
    // `BlockList` makes an object of each address that it is asked about.
    if (this.isEmpty) return false;
    return isIPv4(host) ? this.#ipv4.check(host, 'ipv4') : this.#ipv6.check(host, 'ipv6');
  }

  #add(entry: unknown, path: string): void {
    if (typeof entry !== 'string') refuse(path, entry, ALLOWED);
    const [address = '', bits, ...rest] = entry.split('/');
    const longest = isIPv4(address) ? 32 : 128;
    if (isIP(address) === 0 || address.includes('%') || rest.length > 0) refuse(path, entry, ALLOWED);
    if (bits !== undefined && (!/^(0|[1-9]\d{0,2})$/.test(bits) || Number(bits) > longest))
      refuse(path, entry, ALLOWED);
    const length = bits === undefined ? longest : Number(bits);
    const host = canonicalHost(address);
    if (isIPv6(host)) this.#ipv6.addSubnet(host, length, 'ipv6');
    else if (longest === 32) this.#ipv4.addSubnet(host, length, 'ipv4');
    // Mapped: clients are known by their IPv4 addresses here, which a shorter prefix does not single out.
    else if (length >= MAPPED_BITS) this.#ipv4.addSubnet(host, length - MAPPED_BITS, 'ipv4');
    else refuse(path, entry, `${ALLOWED}; IPv4 addresses are written as such`);
  }
}

/** An option whose value is a list of addresses and prefixes. */
export function addressListRule(about: { readonly text: string }): OptionRule<readonly string[]> {
  const allowed = 'an array of IP addresses and prefixes';
  return rule<readonly string[]>({ default: Object.freeze([]), allowed, ...about }, (value, path) => {
    if (!Array.isArray(value)) return refuse(path, value, allowed);
    new AddressList(value, path);
    return Object.freeze([...(value as string[])]);
  });
}
