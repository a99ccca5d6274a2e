import type { DecodedMessage, ForeignMessage, MessageCodec } from '../../../lib/index.js';
import { bankCodec } from '../wire/codec.js';
import { encodeField, type Field } from '../wire/fields.js';
import { MESSAGES, type MessageName } from '../wire/messages.js';

/** The gateway's end of the protocol: it signs every connection on, and off again. */
export function stationCodec(station: string): MessageCodec {
  return {
    ...bankCodec,
    decode(frame, request) {
      const message = bankCodec.decode(frame);
      // Without this, the host's request would be taken for the reply to ours.
      if (message.pattern !== undefined || message.heartbeat === 'ask')
        throw new Error('a request, and the host makes none');
      if (request !== undefined) assertAnswers(request, message);
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

/**
 * Replies have no id: what they repeat of the request is all that shows that they belong to it. One that does not closes
 * the connection, or every reply after it would go to the wrong call.
 */
function assertAnswers({ pattern, data }: ForeignMessage, reply: DecodedMessage): void {
  const asked = data as Readonly<Record<string, unknown>>;
  const answered = (reply.data ?? {}) as Readonly<Record<string, unknown>>;
  const fields: readonly Field[] = MESSAGES[pattern as MessageName].request;
  for (const field of fields) {
    if (!(field.name in answered)) continue;
    if (encodeField(field, asked[field.name]) !== encodeField(field, answered[field.name]))
      throw new Error(`the reply to another ${String(pattern)}: ${field.name} differs`);
  }
}
