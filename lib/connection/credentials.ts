import { rule, type OptionRule } from '../common/options.js';
import { describeCause, PooledTcpError } from '../errors/pooled-tcp-error.js';

/** Who the client is: anything JSON can carry, or a function that is asked for it at each dial. */
export type CredentialsOption = string | object | (() => unknown);

const ALLOWED = 'a string, an object, or a function that returns one, async or not';
/** Half of what a server takes as the first frame of a client that may be anybody. */
const MAX_BYTES = 32 * 1024;

/** What a client shows a server. Kept apart from other settings, so that no dump of them has it. */
export class Credentials {
  readonly #given: unknown;

  constructor(given: unknown) {
    this.#given = given;
  }

  /**
   * For one dial: at once, unless the function that was given is async.
   *
   * @throws PooledTcpError `PTCP_HANDSHAKE_FAILED` when the function throws, or what it gives is no JSON
   */
  forDial(): unknown {
    try {
      const given: unknown = typeof this.#given === 'function' ? (this.#given as () => unknown)() : this.#given;
      return given instanceof Promise ? given.then(asJson).catch(failed) : asJson(given);
    } catch (error) {
      return failed(error);
    }
  }

  toJSON(): string {
    return '[credentials]';
  }
}

export const credentialsRule: OptionRule<Credentials | undefined> = rule<Credentials | undefined>(
  {
    default: undefined,
    allowed: ALLOWED,
    text: 'Who this client is, for the server’s `authenticate`. A function is asked at each dial, so that a token may expire. Goes with the hello: in plain text without TLS, and to whatever answers at the address. `client.settings` does not show it.',
  },
  (value, path) => {
    const isUsable = ['string', 'object', 'function'].includes(typeof value) && value !== null && value !== '';
    if (isUsable) return new Credentials(value);
    // Without the value, which other refusals show.
    throw new PooledTcpError('PTCP_OPTION_INVALID', `${path} (${typeof value}) must be ${ALLOWED}`);
  },
);

/** What cannot be sent shows here, where it has a name, and not in the middle of the hello. */
function asJson(given: unknown): unknown {
  const json = JSON.stringify(given) as string | undefined;
  if (json === undefined) return undefined;
  if (Buffer.byteLength(json) > MAX_BYTES) throw new RangeError(`they are larger than ${MAX_BYTES} bytes`);
  return JSON.parse(json) as unknown;
}

function failed(error: unknown): never {
  throw new PooledTcpError('PTCP_HANDSHAKE_FAILED', `the credentials could not be had: ${describeCause(error)}`, {
    cause: error,
  });
}
