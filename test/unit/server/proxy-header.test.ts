import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { ProxyHeaderReader, type ProxyHeader } from '../../../lib/server/proxy-header.js';
import { byteByByte, everySplit, hex, thrownBy } from '../../support/bytes.js';

const SIGNATURE = '0d0a0d0a 000d0a51 5549540a';
const REST = Buffer.from('7#{"a":1}');

function text(line: string): Buffer {
  return Buffer.from(`${line}\r\n`, 'latin1');
}

/** A header of version 2; its length field is that of the body. */
function binary(command: string, family: string, body = '', length = hex(body).length): Buffer {
  return hex(`${SIGNATURE} ${command} ${family} ${length.toString(16).padStart(4, '0')} ${body}`);
}

function read(chunks: readonly Buffer[]): ProxyHeader | undefined {
  const reader = new ProxyHeaderReader();
  let header: ProxyHeader | undefined;
  let rest = Buffer.alloc(0);
  for (const chunk of chunks) {
    if (header === undefined) header = reader.push(chunk);
    else rest = Buffer.concat([rest, chunk]);
  }
  return header && { client: header.client, rest: Buffer.concat([header.rest, rest]) };
}

const V4 = '0a000007 c0a80101 c350 0fa0';
const V6 = '20010db8000000000000000000000007 20010db8000000000000000000000001 c350 0fa0';

const VALID: [string, Buffer, string | undefined][] = [
  ['TCP4 in version 1', text('PROXY TCP4 10.0.0.7 192.168.1.1 50000 4000'), '10.0.0.7:50000'],
  ['TCP6 in version 1', text('PROXY TCP6 2001:db8::7 2001:db8::1 50000 4000'), '[2001:db8::7]:50000'],
  ['mapped IPv4 in version 1', text('PROXY TCP6 ::ffff:10.0.0.7 ::1 0 65535'), '10.0.0.7:0'],
  ['the shortest unknown in version 1', text('PROXY UNKNOWN'), undefined],
  ['unknown with whatever follows', text('PROXY UNKNOWN ffff::1 what ever'), undefined],
  ['TCP over IPv4 in version 2', binary('21', '11', V4), '10.0.0.7:50000'],
  ['TCP over IPv6 in version 2', binary('21', '21', V6), '[2001:db8::7]:50000'],
  ['extensions behind the addresses', binary('21', '11', `${V4} 04 0003 616263`), '10.0.0.7:50000'],
  ['a proxy’s own connection', binary('20', '00'), undefined],
  ['a proxy’s own connection that names addresses', binary('20', '11', V4), undefined],
  ['an unspecified family', binary('21', '00', 'abcdef'), undefined],
  ['a Unix socket behind the proxy', binary('21', '31', '00'.repeat(216)), undefined],
  ['UDP', binary('21', '12', V4), undefined],
];

describe('a header of the PROXY protocol', () => {
  it.each(VALID)('is read, wherever it is cut: %s', (_what, header, client) => {
    const bytes = Buffer.concat([header, REST]);
    for (const chunks of [...everySplit(bytes), byteByByte(bytes)]) {
      expect(read(chunks)).toMatchObject({ rest: REST });
      expect(read(chunks)?.client?.text).toBe(client);
    }
  });

  it.each(VALID)('is waited for until it is whole: %s', (_what, header) => {
    for (let length = 0; length < header.length; length++)
      expect(new ProxyHeaderReader().push(header.subarray(0, length))).toBeUndefined();
  });

  it.each<[string, Buffer]>([
    ['a stock frame', REST],
    ['a TLS handshake', hex('16 03 01')],
    ['a first byte that is none of its', Buffer.from('X')],
    ['a signature with another last byte', hex(SIGNATURE.replace(/0a$/, '0b'))],
    ['lower case', text('proxy TCP4 10.0.0.7 192.168.1.1 50000 4000')],
    ['two spaces', text('PROXY  TCP4 10.0.0.7 192.168.1.1 50000 4000')],
    ['an address of the other family', text('PROXY TCP4 ::1 192.168.1.1 50000 4000')],
    ['a leading zero in an address', text('PROXY TCP4 010.0.0.7 192.168.1.1 50000 4000')],
    ['a leading zero in a port', text('PROXY TCP4 10.0.0.7 192.168.1.1 050000 4000')],
    ['a port too large', text('PROXY TCP4 10.0.0.7 192.168.1.1 50000 65536')],
    ['no ports', text('PROXY TCP4 10.0.0.7 192.168.1.1')],
    ['a field too many', text('PROXY TCP4 10.0.0.7 192.168.1.1 50000 4000 1')],
    ['a zone', text('PROXY TCP6 fe80::1%eth0 ::1 50000 4000')],
    ['a family that is none', text('PROXY UDP4 10.0.0.7 192.168.1.1 50000 4000')],
    ['a family by the name of a prototype’s method', text('PROXY toString 10.0.0.7 192.168.1.1 50000 4000')],
    ['a line feed alone', Buffer.from('PROXY TCP4 10.0.0.7 192.168.1.1 50000 4000\n'.padEnd(107, ' '))],
    ['a line without end', Buffer.from('PROXY UNKNOWN '.padEnd(107, 'x'))],
    ['version 1 in binary', binary('11', '11', V4)],
    ['a command that is none', binary('22', '11', V4)],
    ['a family that is none, in binary', binary('21', '41', V4)],
    ['a transport that is none', binary('21', '13', V4)],
    ['no room for its addresses', binary('21', '11', V4.slice(0, -4))],
    ['more than is taken, before it has come', binary('21', '11', '', 4081)],
  ])('is refused: %s', (_what, bytes) => {
    expect(thrownBy(() => read([bytes])).code).toBe('PTCP_FRAME_MALFORMED');
    expect(thrownBy(() => read(byteByByte(bytes))).code).toBe('PTCP_FRAME_MALFORMED');
  });

  it('is read, waited for or refused, whatever the bytes are', () => {
    const begin = fc.constantFrom(Buffer.alloc(0), Buffer.from('PROXY '), hex(SIGNATURE), hex(`${SIGNATURE} 21 11`));
    fc.assert(
      fc.property(begin, fc.uint8Array({ maxLength: 200 }), (head, tail) => {
        try {
          read([Buffer.concat([head, tail])]);
        } catch (error) {
          expect(error).toBeInstanceOf(PooledTcpError);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
