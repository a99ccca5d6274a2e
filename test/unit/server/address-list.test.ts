import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { AddressList } from '../../../lib/server/address-list.js';
import { canonicalHost, clientAddress, hostKey } from '../../../lib/server/client-address.js';
import { thrownBy } from '../../support/bytes.js';

/** An address as a number, written out by hand, without the code under test. */
function numberOf(groups: readonly number[], bits: number): bigint {
  return groups.reduce((sum, group) => (sum << BigInt(bits)) | BigInt(group), 0n);
}

function ipv6Text(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(':');
}

const ipv4 = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 });
// Few different groups, so that prefixes match often.
const ipv6 = fc.array(fc.constantFrom(0, 1, 0x8000, 0xffff, 0x2001), { minLength: 8, maxLength: 8 });

describe('a list of addresses', () => {
  it('has exactly the IPv4 addresses that share the bits of a prefix', () => {
    fc.assert(
      fc.property(
        ipv4,
        ipv4,
        fc.integer({ min: 0, max: 32 }),
        fc.integer({ min: 0, max: 32 }),
        (a, b, bits, shared) => {
          // A second address that has the first bits of the other.
          const [x, y] = [numberOf(a, 8), numberOf(b, 8)];
          const rest = BigInt(32 - shared);
          const near = ((x >> rest) << rest) | (y & ((1n << rest) - 1n));
          const text = [24n, 16n, 8n, 0n].map((shift) => String((near >> shift) & 255n)).join('.');
          const isWithin = x >> BigInt(32 - bits) === near >> BigInt(32 - bits);
          expect(new AddressList([`${a.join('.')}/${bits}`], 'allow').has(text)).toBe(isWithin);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('has exactly the IPv6 addresses that share the bits of a prefix', () => {
    fc.assert(
      fc.property(
        ipv6,
        ipv6,
        fc.integer({ min: 0, max: 128 }),
        fc.integer({ min: 0, max: 8 }),
        (a, b, bits, shared) => {
          const other = [...a.slice(0, shared), ...b.slice(shared)];
          // Those are IPv4 addresses, which have lists of their own.
          fc.pre(![a, other].some((groups) => canonicalHost(ipv6Text(groups)).includes('.')));
          const isWithin = numberOf(a, 16) >> BigInt(128 - bits) === numberOf(other, 16) >> BigInt(128 - bits);
          expect(new AddressList([`${ipv6Text(a)}/${bits}`], 'allow').has(canonicalHost(ipv6Text(other)))).toBe(
            isWithin,
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  it('keeps the families apart', () => {
    expect(new AddressList(['::/0'], 'deny').has('10.0.0.1')).toBe(false);
    expect(new AddressList(['0.0.0.0/0'], 'deny').has('2001:db8::1')).toBe(false);
  });

  it('takes IPv4 addresses in their mapped form for what they are', () => {
    const list = new AddressList(['::ffff:10.0.0.0/104', '::ffff:c0a8:101'], 'allow');
    expect(['10.255.0.1', '192.168.1.1', '11.0.0.1', '192.168.1.2'].map((host) => list.has(host))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it.each<[unknown]>([
    ['10.0.0'],
    ['10.0.0.1/33'],
    ['10.0.0.1/'],
    ['10.0.0.1/8/8'],
    ['10.0.0.1/08'],
    ['10.0.0.1/-1'],
    ['010.0.0.1'],
    ['2001:db8::/129'],
    ['fe80::1%eth0'],
    ['::ffff:10.0.0.0/8'],
    ['localhost'],
    [''],
    [7],
    [null],
  ])('refuses %j with its path', (entry) => {
    const error = thrownBy(() => new AddressList(['10.0.0.1', entry], 'deny'));
    expect(error.code).toBe('PTCP_OPTION_INVALID');
    expect(error.message).toMatch(/^deny\[1\] \(/);
  });
});

describe('the address of a client', () => {
  it.each([
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::FFFF:0A01:0203', '10.1.2.3'],
    ['fe80::1%eth0', 'fe80::1'],
    ['2001:DB8::1', '2001:db8::1'],
    ['10.0.0.1', '10.0.0.1'],
    ['::1', '::1'],
  ])('%s is %s', (address, host) => {
    expect(canonicalHost(address)).toBe(host);
  });

  it('is written so that its port can be told from it', () => {
    expect(clientAddress('::ffff:10.1.2.3', 5).text).toBe('10.1.2.3:5');
    expect(clientAddress('::1', 5).text).toBe('[::1]:5');
  });

  it('is one host with the others of its /64, and with none outside', () => {
    expect(hostKey('2001:db8:0:1::')).toBe(hostKey('2001:db8:0:1:ffff:ffff:ffff:ffff'));
    expect(hostKey('2001:db8:0:1::')).not.toBe(hostKey('2001:db8:0:2::'));
    expect(hostKey('10.0.0.1')).not.toBe(hostKey('10.0.0.2'));
  });
});
