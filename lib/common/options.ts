import { PooledTcpError } from '../errors/pooled-tcp-error.js';

/**
 * One option: its default, the words the documentation prints, and the rule a given value must pass.
 * `check` returns the value to use (it may normalise) or throws through {@link refuse}.
 */
export interface OptionRule<T> {
  /** Used when the option is left out; `undefined` where "not set" is a meaning of its own. */
  readonly default: T;
  /** One sentence for the documentation. */
  readonly text: string;
  /** What is allowed, in words, for the documentation and for error messages. */
  readonly allowed: string;
  /** For a group: the table inside. */
  readonly rules?: Readonly<Record<string, OptionRule<unknown>>> | undefined;
  check(value: unknown, path: string): T;
}

/** A table with one rule for each field of the settings `S`. */
export type OptionRules<S> = { readonly [K in keyof S]-?: OptionRule<S[K]> };

/** What a user writes for the settings `S`: every field optional. */
export type OptionsOf<S> = { readonly [K in keyof S]?: S[K] | undefined };

interface Described<T> {
  readonly default: T;
  readonly text: string;
}

/** Throws the error for a value that breaks its rule. */
export function refuse(path: string, value: unknown, allowed: string): never {
  throw new PooledTcpError('PTCP_OPTION_INVALID', `${path} (${show(value)}) must be ${allowed}`);
}

/** Throws the error for options that contradict each other. */
export function conflict(message: string): never {
  throw new PooledTcpError('PTCP_OPTION_CONFLICT', message);
}

export function rule<T>(
  about: Described<T> & { readonly allowed: string },
  check: (value: unknown, path: string) => T,
): OptionRule<T> {
  return { ...about, check };
}

export function number(about: Described<number> & { min?: number; max?: number; unit?: string }): OptionRule<number> {
  const { min = -Infinity, max = Infinity } = about;
  const allowed = `a number${range(min, max)}`;
  return rule({ ...about, allowed }, (value, path) =>
    typeof value === 'number' && value >= min && value <= max ? value : refuse(path, value, allowed),
  );
}

export function integer(about: Described<number> & { min?: number; max?: number; what?: string }): OptionRule<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = about;
  const allowed = `${about.what ?? 'a whole number'}${range(min, max)}`;
  return rule({ ...about, allowed }, (value, path) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max
      ? (value as number)
      : refuse(path, value, allowed),
  );
}

/** Node's timers hold 31 bits; a longer delay would fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export function duration(about: Described<number> & { min?: number; max?: number }): OptionRule<number> {
  return integer({ max: MAX_TIMER_MS, what: 'a whole number of milliseconds', ...about });
}

export function bytes(about: Described<number> & { min?: number; max?: number }): OptionRule<number> {
  return integer({ max: 2 ** 31 - 1, what: 'a whole number of bytes', ...about });
}

export function text<T extends string | undefined>(about: Described<T>): OptionRule<T> {
  const allowed = 'a non-empty string';
  return rule({ ...about, allowed }, (value, path) =>
    typeof value === 'string' && value !== '' ? (value as T) : refuse(path, value, allowed),
  );
}

export function oneOf<const T extends string | boolean>(about: Described<T> & { of: readonly T[] }): OptionRule<T> {
  const allowed = `one of ${about.of.map(show).join(', ')}`;
  return rule({ ...about, allowed }, (value, path) =>
    about.of.includes(value as T) ? (value as T) : refuse(path, value, allowed),
  );
}

/** An option whose value is an object with a table of its own. */
export function group<S>(about: {
  text: string;
  rules: OptionRules<S>;
  /** Defaults that depend on other options: gets the settings and what was given, and returns the settings. */
  complete?: (settings: S, given: OptionsOf<S>) => S;
  /** Refuses settings that contradict each other. */
  verify?: (settings: S, path: string) => void;
}): OptionRule<S> {
  const allowed = 'an object';
  const check = (value: unknown, path: string): S => {
    const resolved = resolveOptions(about.rules, value, path);
    const settings = Object.freeze(about.complete?.(resolved, value as OptionsOf<S>) ?? resolved);
    about.verify?.(settings, path);
    return settings;
  };
  return {
    text: about.text,
    allowed,
    rules: about.rules,
    default: check({}, ''),
    check,
  };
}

/** A group that `false` switches off. */
export function groupOrFalse<S>(about: {
  text: string;
  rules: OptionRules<S>;
  /** Off unless asked for. */
  isOff?: boolean;
}): OptionRule<S | false> {
  const inner = group(about);
  return {
    ...inner,
    default: about.isOff === true ? false : inner.default,
    allowed: 'an object or false',
    check: (value, path) => {
      if (value === false) return false;
      if (value === true) return inner.default;
      return typeof value === 'object' && value !== null
        ? inner.check(value, path)
        : refuse(path, value, 'an object or false');
    },
  };
}

/** An option that must have the given methods. */
export function withMethods<T>(
  about: Described<T | undefined> & { methods: readonly string[]; allowed: string },
): OptionRule<T | undefined> {
  return rule({ ...about }, (value, path) =>
    typeof value === 'object' &&
    value !== null &&
    about.methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function')
      ? (value as T)
      : refuse(path, value, about.allowed),
  );
}

/**
 * Applies a table to what a user wrote: defaults for what is left out, each rule for what is given,
 * and a refusal for what the table does not know. The result is frozen.
 *
 * @param path prefix of each option's path in error messages, e.g. `pool`
 */
export function resolveOptions<S>(rules: OptionRules<S>, input: unknown, path = ''): S {
  if (input !== undefined && (typeof input !== 'object' || input === null || Array.isArray(input))) {
    refuse(path === '' ? 'options' : path, input, 'an object');
  }
  const given = (input ?? {}) as Record<string, unknown>;
  const prefix = path === '' ? '' : `${path}.`;
  const known = Object.keys(rules);
  for (const key of Object.keys(given)) {
    if (!known.includes(key)) throw unknownOption(prefix + key, key, known);
  }
  const settings: Record<string, unknown> = {};
  for (const key of known as (keyof S & string)[]) {
    const value = given[key];
    settings[key] = value === undefined ? rules[key].default : rules[key].check(value, prefix + key);
  }
  return Object.freeze(settings) as S;
}

function unknownOption(path: string, key: string, known: readonly string[]): PooledTcpError {
  const nearest = known
    .map((name) => ({ name, distance: editDistance(key.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0];
  const similar = nearest !== undefined && nearest.distance <= Math.max(2, Math.floor(key.length / 3));
  const hint = similar ? `did you mean ${nearest.name}?` : `known options are ${known.join(', ')}`;
  return new PooledTcpError('PTCP_OPTION_UNKNOWN', `${path} is not an option; ${hint}`);
}

/** Levenshtein's distance, two rows at a time. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substitution, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}

function range(min: number, max: number): string {
  if (Number.isFinite(min) && max < Number.MAX_SAFE_INTEGER) return ` from ${min} to ${max}`;
  if (Number.isFinite(min)) return `, ${min} or more`;
  return max < Number.MAX_SAFE_INTEGER ? `, ${max} or less` : '';
}

/** A value for a message: short, and never the content of an object. */
function show(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value.length > 60 ? `'${value.slice(0, 57)}…'` : `'${value}'`;
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? 'an array' : 'an object';
    case 'function':
      return 'a function';
    default:
      return String(value);
  }
}
