import { describe, expect, it } from '@jest/globals';
import {
  bytes,
  duration,
  group,
  groupOrFalse,
  integer,
  MAX_TIMER_MS,
  number,
  oneOf,
  resolveOptions,
  text,
  withMethods,
  type OptionRule,
  type OptionRules,
} from '../../../lib/common/options.js';
import { thrownBy } from '../../support/bytes.js';

const about = { text: 'For the documentation.' };

/** What a rule says to a value it refuses. */
function refusal(rule: OptionRule<unknown>, value: unknown): string {
  const error = thrownBy(() => rule.check(value, 'a.b'));
  expect(error.code).toBe('PTCP_OPTION_INVALID');
  return error.message;
}

describe('option rules', () => {
  it('number: takes any number in its range, both ends included', () => {
    const rule = number({ ...about, default: 1, min: 0.5, max: 2 });

    expect([0.5, 1.25, 2].map((value) => rule.check(value, 'a'))).toEqual([0.5, 1.25, 2]);
    expect(refusal(rule, 0.49)).toBe('a.b (0.49) must be a number from 0.5 to 2');
    expect(refusal(rule, NaN)).toBe('a.b (NaN) must be a number from 0.5 to 2');
    expect(refusal(rule, '1')).toBe("a.b ('1') must be a number from 0.5 to 2");
  });

  it('integer: refuses fractions, numbers in strings, NaN and infinities', () => {
    const rule = integer({ ...about, default: 1, min: 1, max: 9 });

    expect(rule.check(9, 'a')).toBe(9);
    for (const value of [0, 10, 1.5, NaN, Infinity, '5', null, true, [5], 5n]) refusal(rule, value);
    expect(refusal(rule, 12)).toBe('a.b (12) must be a whole number from 1 to 9');
  });

  it('integer: without a limit says only where it begins', () => {
    expect(refusal(integer({ ...about, default: 1 }), -1)).toBe('a.b (-1) must be a whole number, 0 or more');
  });

  it('duration: takes zero, and refuses what a timer would fire at once', () => {
    const rule = duration({ ...about, default: 5 });

    expect(rule.check(0, 'a')).toBe(0);
    expect(rule.check(MAX_TIMER_MS, 'a')).toBe(MAX_TIMER_MS);
    expect(refusal(rule, MAX_TIMER_MS + 1)).toBe(
      'a.b (2147483648) must be a whole number of milliseconds from 0 to 2147483647',
    );
  });

  it('bytes: says that it counts bytes', () => {
    expect(refusal(bytes({ ...about, default: 64, min: 64 }), 1)).toBe(
      'a.b (1) must be a whole number of bytes from 64 to 2147483647',
    );
  });

  it('text: refuses the empty string', () => {
    const rule = text<string>({ ...about, default: 'x' });

    expect(rule.check('0', 'a')).toBe('0');
    expect(refusal(rule, '')).toBe("a.b ('') must be a non-empty string");
    expect(refusal(rule, 0)).toBe('a.b (0) must be a non-empty string');
  });

  it('oneOf: names every choice', () => {
    const rule = oneOf<'a' | 'b' | false>({ ...about, default: 'a', of: ['a', 'b', false] });

    expect(rule.check(false, 'a')).toBe(false);
    expect(refusal(rule, 'c')).toBe("a.b ('c') must be one of 'a', 'b', false");
    expect(refusal(rule, undefined)).toBe("a.b (undefined) must be one of 'a', 'b', false");
  });

  it('withMethods: takes an instance by what it can do', () => {
    class Upper {
      serialize(): string {
        return '';
      }
    }
    const rule = withMethods<Upper>({ ...about, default: undefined, methods: ['serialize'], allowed: 'a serializer' });
    const upper = new Upper();

    expect(rule.check(upper, 'a')).toBe(upper);
    for (const value of [{}, null, 'serialize', { serialize: true }]) refusal(rule, value);
    expect(refusal(rule, () => undefined)).toBe('a.b (a function) must be a serializer');
  });

  it('never quote the content of an object, and shorten long strings', () => {
    const rule = integer({ ...about, default: 1 });

    expect(refusal(rule, { password: 'secret' })).toBe('a.b (an object) must be a whole number, 0 or more');
    expect(refusal(rule, ['secret'])).toContain('(an array)');
    expect(refusal(rule, null)).toContain('(null)');
    expect(refusal(rule, 'x'.repeat(500)).length).toBeLessThan(120);
  });
});

interface Inner {
  min: number;
  max: number;
}
interface Outer {
  name: string;
  retries: number;
  enabled: boolean;
  inner: Inner;
  probe: Inner | false;
}

const innerRules: OptionRules<Inner> = {
  min: integer({ ...about, default: 2 }),
  max: integer({ ...about, default: 10, max: 100 }),
};
const outerRules: OptionRules<Outer> = {
  name: text<string>({ ...about, default: 'default' }),
  retries: integer({ ...about, default: 3 }),
  enabled: oneOf({ ...about, default: true, of: [true, false] }),
  inner: group({ ...about, rules: innerRules }),
  probe: groupOrFalse({ ...about, rules: innerRules }),
};

describe('resolveOptions', () => {
  it('fills in the defaults, at every depth', () => {
    expect(resolveOptions(outerRules, {})).toEqual({
      name: 'default',
      retries: 3,
      enabled: true,
      inner: { min: 2, max: 10 },
      probe: { min: 2, max: 10 },
    });
    expect(resolveOptions(outerRules, undefined)).toEqual(resolveOptions(outerRules, {}));
  });

  it('takes 0 and false as values', () => {
    expect(resolveOptions(outerRules, { retries: 0, enabled: false, inner: { min: 0 }, probe: false })).toMatchObject({
      retries: 0,
      enabled: false,
      inner: { min: 0, max: 10 },
      probe: false,
    });
  });

  it('takes undefined as left out, and null as a value', () => {
    expect(resolveOptions(outerRules, { retries: undefined, inner: undefined, probe: undefined })).toEqual(
      resolveOptions(outerRules, {}),
    );
    expect(thrownBy(() => resolveOptions(outerRules, { retries: null })).message).toMatch(/^retries \(null\) must be/);
  });

  it('turns a group that can be switched off on with true, and refuses other values', () => {
    expect(resolveOptions(outerRules, { probe: true }).probe).toEqual({ min: 2, max: 10 });
    for (const probe of [1, 'on', null]) {
      expect(thrownBy(() => resolveOptions(outerRules, { probe })).message).toContain('must be an object or false');
    }
    expect(thrownBy(() => resolveOptions(outerRules, { inner: false })).message).toBe(
      'inner (false) must be an object',
    );
    expect(thrownBy(() => resolveOptions(outerRules, { inner: [] })).message).toBe(
      'inner (an array) must be an object',
    );
  });

  it('freezes the result, at every depth', () => {
    const settings = resolveOptions(outerRules, { inner: { min: 1 } });

    expect(Object.isFrozen(settings)).toBe(true);
    expect(Object.isFrozen(settings.inner)).toBe(true);
    expect(Object.isFrozen(settings.probe)).toBe(true);
  });

  it('does not keep what the user wrote: later changes to it have no effect', () => {
    const written = { inner: { min: 1 } };
    const settings = resolveOptions(outerRules, written);
    written.inner.min = 5;

    expect(settings.inner.min).toBe(1);
  });

  it('names the path, the value and the remedy of a bad value', () => {
    expect(thrownBy(() => resolveOptions(outerRules, { inner: { max: 101 } })).message).toBe(
      'inner.max (101) must be a whole number from 0 to 100',
    );
    expect(thrownBy(() => resolveOptions(outerRules, { max: 101 }, 'sample')).code).toBe('PTCP_OPTION_UNKNOWN');
  });

  it('suggests the nearest name for an unknown option', () => {
    const error = thrownBy(() => resolveOptions(outerRules, { inner: { mim: 1 } }));

    expect(error.code).toBe('PTCP_OPTION_UNKNOWN');
    expect(error.message).toBe('inner.mim is not an option; did you mean min?');
    expect(thrownBy(() => resolveOptions(outerRules, { Retries: 1 })).message).toBe(
      'Retries is not an option; did you mean retries?',
    );
  });

  it('lists what it knows where nothing is near', () => {
    expect(thrownBy(() => resolveOptions(outerRules, { loadBalancing: 1 }, 'here')).message).toBe(
      'here.loadBalancing is not an option; known options are name, retries, enabled, inner, probe',
    );
  });

  it('refuses an unknown option even when it is undefined, since it is a spelling mistake all the same', () => {
    expect(thrownBy(() => resolveOptions(outerRules, { retires: undefined })).code).toBe('PTCP_OPTION_UNKNOWN');
  });

  it('refuses anything that is no object', () => {
    for (const input of [null, 1, 'x', [], true]) {
      expect(thrownBy(() => resolveOptions(outerRules, input)).message).toMatch(/^options \(.*\) must be an object$/);
    }
    expect(thrownBy(() => resolveOptions(outerRules, 1, 'pool')).message).toBe('pool (1) must be an object');
  });

  it('lets a group refuse settings that contradict each other, and knows where the group stands', () => {
    const rules: OptionRules<{ inner: Inner }> = {
      inner: group({
        ...about,
        rules: innerRules,
        verify: ({ min, max }, path) => {
          if (min > max) throw new Error(`${path}.min > ${path}.max`);
        },
      }),
    };

    expect(() => resolveOptions(rules, { inner: { min: 3, max: 2 } })).toThrow('inner.min > inner.max');
    expect(resolveOptions(rules, { inner: { min: 3, max: 3 } }).inner).toEqual({ min: 3, max: 3 });
  });
});
