import { describe, expect, it } from '@jest/globals';
import { parseLocalPorts, readLocalPorts } from '../../../lib/client/local-ports.js';

const SOCKETS = `sockets: used 310
TCP: inuse 12 orphan 1 tw 20345 alloc 51 mem 243
UDP: inuse 3 mem 0
RAW: inuse 0
`;

describe('the local ports, as Linux tells them', () => {
  it('are read with their range, those in TIME_WAIT and those in use', () => {
    expect(parseLocalPorts('32768\t60999\n', SOCKETS)).toEqual({
      range: { first: 32_768, last: 60_999 },
      timeWait: 20_345,
      inUse: 12,
    });
  });

  it('are in use over IPv6, too', () => {
    expect(parseLocalPorts('', `${SOCKETS}TCP6: inuse 30\nUDP6: inuse 1\n`)).toMatchObject({ inUse: 42 });
  });

  it('are unknown where nothing is told, or nothing that is understood', () => {
    const nothing = { range: undefined, timeWait: undefined, inUse: undefined };
    expect(parseLocalPorts('', '')).toEqual(nothing);
    expect(parseLocalPorts('all of them', 'TCP: many')).toEqual(nothing);
  });

  it('are told by this machine, where it is Linux', async () => {
    const ports = await readLocalPorts();
    const isLinux = process.platform === 'linux';
    expect(ports).toEqual({
      range: isLinux ? { first: expect.any(Number), last: expect.any(Number) } : undefined,
      timeWait: isLinux ? expect.any(Number) : undefined,
      inUse: isLinux ? expect.any(Number) : undefined,
    });
  });
});
