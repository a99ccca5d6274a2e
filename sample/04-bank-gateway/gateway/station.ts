import type { MessageCodec } from '../../../lib/index.js';
import { bankCodec } from '../wire/codec.js';

/** The gateway's end of the protocol: it signs every connection on, and off again. */
export function stationCodec(station: string): MessageCodec {
  return {
    ...bankCodec,
    decode(frame) {
      const message = bankCodec.decode(frame);
      // Without this, the host's request would be taken for the reply to ours.
      if (message.pattern !== undefined || message.heartbeat === 'ask')
        throw new Error('a request, and the host makes none');
      return message;
    },
    async onConnect(connection) {
      const businessDay = new Date().toISOString().slice(0, 10).replaceAll('-', '');
      await connection.request('signOn', { station, businessDay });
    },
    async onClose(connection) {
      await connection.request('signOff', {});
    },
  };
}
