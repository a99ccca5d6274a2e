import {
  bytes,
  duration,
  groupOrFalse,
  integer,
  number,
  oneOf,
  resolveOptions,
  type OptionRule,
  type OptionRules,
  type OptionsOf,
} from '../common/options.js';

/** Which way bytes go: what the client sends, or what the server sends. */
export type Direction = 'toServer' | 'toClient';

/** Where a direction ends after so many bytes, and how. */
export interface LimitSettings {
  /** Bytes that still pass, counted from when the limit is set. */
  afterBytes: number;
  /** `reset`: both ends get a reset. `end`: the receiver sees the end of the stream, the rest is swallowed. */
  then: 'reset' | 'end';
}

/** What goes wrong in one direction of a connection. Without faults, bytes pass as they come. */
export interface FaultSettings {
  /** Every byte arrives this much later. Default 0. */
  latencyMs: number;
  /** Up to this much more, at random; order is kept. Default 0. */
  jitterMs: number;
  /** Most bytes that pass in a second; 0 for any number. Default 0. */
  bytesPerSecond: number;
  /** Bytes pass in pieces of this size, each written by itself; 0 for as they come. Default 0. */
  sliceBytes: number;
  /**
   * Nothing passes, and nothing is lost: it goes on when the fault is taken back, as after a short outage that TCP
   * bridges by sending again. The sender is stopped when the window is full. Default false.
   */
  stall: boolean;
  /**
   * Everything is taken and nothing delivered, the end of the stream and a reset included, as with a host that is
   * gone. A direction that has swallowed something stays silent when the fault is taken back: TCP never delivers a
   * stream with a hole. Default false.
   */
  blackhole: boolean;
  /** Chance of each byte to arrive with one bit flipped, from 0 to 1. Default 0. */
  corrupt: number;
  /** Ends the direction after so many bytes; false for never. Default false. */
  limit: LimitSettings | false;
}

/** Faults to set; what is left out stays as it is. */
export type FaultOptions = Omit<OptionsOf<FaultSettings>, 'limit'> & {
  readonly limit?: OptionsOf<LimitSettings> | false | undefined;
};

const limitRule: OptionRule<LimitSettings | false> = {
  ...groupOrFalse<LimitSettings>({
    text: 'Ends the direction after so many bytes.',
    rules: {
      afterBytes: integer({ default: 0, text: 'Bytes that still pass.' }),
      then: oneOf<LimitSettings['then']>({ default: 'reset', of: ['reset', 'end'], text: 'How it ends.' }),
    },
  }),
  default: false,
};

const rules: OptionRules<FaultSettings> = {
  latencyMs: duration({ default: 0, text: 'Every byte arrives this much later.' }),
  jitterMs: duration({ default: 0, text: 'Up to this much more, at random.' }),
  bytesPerSecond: bytes({ default: 0, text: 'Most bytes that pass in a second; 0 for any number.' }),
  sliceBytes: bytes({ default: 0, text: 'Size of the pieces that bytes pass in; 0 for as they come.' }),
  stall: oneOf<boolean>({ default: false, of: [true, false], text: 'Nothing passes, and nothing is lost.' }),
  blackhole: oneOf<boolean>({ default: false, of: [true, false], text: 'Everything is taken, nothing delivered.' }),
  corrupt: number({ default: 0, min: 0, max: 1, text: 'Chance of each byte to have a bit flipped.' }),
  limit: limitRule,
};

/** No faults at all. */
export const NO_FAULTS: Readonly<FaultSettings> = resolveOptions(rules, {});

/**
 * The faults given, and for the rest those there are.
 *
 * @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN`
 */
export function changeFaults(current: Readonly<FaultSettings>, faults: FaultOptions): Readonly<FaultSettings> {
  const changed = resolveOptions(rules, faults, 'faults');
  const given = Object.entries(changed).filter(([name]) => faults[name as keyof FaultOptions] !== undefined);
  return Object.freeze({ ...current, ...Object.fromEntries(given) });
}
