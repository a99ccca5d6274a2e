import { describe, expect, it } from '@jest/globals';
import { lengthField, type MessageCodec } from '../../../lib/index.js';
import { bankFraming, bcdFraming } from '../../support/foreign/bank.js';
import { noPython, startPythonPeer } from '../../support/foreign/python-peer.js';
import { Scope } from '../../support/nest-app.js';

const scope = new Scope();
if (noPython !== undefined) console.warn(noPython);
const where = noPython === undefined ? describe : describe.skip;

const framings = { ascii: bankFraming, bcd: bcdFraming, uint: lengthField({ size: 4 }) };
/** A sequence number of four bytes, then text. */
const numbered: MessageCodec = {
  encode({ id, data }) {
    const sequence = Buffer.alloc(4);
    sequence.writeUInt32BE(Number(id));
    return Buffer.concat([sequence, Buffer.from(data as string)]);
  },
  decode: (frame) => ({ id: frame.readUInt32BE(), data: frame.toString('utf8', 4) }),
};

where('a peer in Python', () => {
  const headers = ['ascii', 'bcd', 'uint'] as const;
  const rows = headers.flatMap((header) => (['whole', 'bytes'] as const).map((manner) => [header, manner] as const));

  it.each(rows)('answers over %s headers, %s at a time', async (header, manner) => {
    const peer = await startPythonPeer(header, manner);
    scope.defer(() => peer.close());
    const client = scope.client(peer.port, { framing: framings[header], pool: { min: 1, max: 3 } });
    const sent = Array.from({ length: 12 }, (_, i) => `pay ${i} euros`.repeat(i + 1));

    const answers = await Promise.all(sent.map((text) => client.request<Buffer>('any', Buffer.from(text))));
    expect(answers.map(String)).toEqual(sent.map((text) => text.toUpperCase()));
    await client.close();
  });

  it('answers four calls on one connection in reverse', async () => {
    const peer = await startPythonPeer('uint', 'reversed');
    scope.defer(() => peer.close());
    const client = scope.client(peer.port, { framing: framings.uint, codec: numbered, pool: { min: 1, max: 1 } });
    const sent = ['one', 'two', 'three', 'four'];

    expect(await Promise.all(sent.map((text) => client.request('any', text)))).toEqual(['ONE', 'TWO', 'THREE', 'FOUR']);
    await client.close();
  });
});
