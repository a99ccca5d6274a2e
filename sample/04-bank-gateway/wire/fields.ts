/**
 * How a field holds its value, always as ASCII characters:
 *
 * - `digits`: a number that is a name, such as an account's; padded with zeros on the left, which belong to it
 * - `amount`: money in minor units (cents), padded with zeros on the left; a bigint, so that no amount is too large
 * - `text`: printable ASCII, padded with spaces on the right
 */
export type FieldKind = 'digits' | 'amount' | 'text';

export interface Field<Name extends string = string, Kind extends FieldKind = FieldKind> {
  readonly name: Name;
  readonly kind: Kind;
  /** In bytes. */
  readonly length: number;
}

/** The fields of a message, in their order. Encoder and decoder are both made from it. */
export type Layout = readonly Field[];

/** What the fields of a layout hold, by their names. */
export type Values<L extends Layout> = { readonly [F in L[number] as F['name']]: ValueOf<F['kind']> };
type ValueOf<Kind extends FieldKind> = Kind extends 'amount' ? bigint : string;

export const digits = <const Name extends string>(name: Name, length: number): Field<Name, 'digits'> => ({
  name,
  kind: 'digits',
  length,
});
export const amount = <const Name extends string>(name: Name, length: number): Field<Name, 'amount'> => ({
  name,
  kind: 'amount',
  length,
});
export const text = <const Name extends string>(name: Name, length: number): Field<Name, 'text'> => ({
  name,
  kind: 'text',
  length,
});

/** A value does not fit its field, or bytes are not one. Says which field, and never what was in it. */
export class FieldError extends Error {
  readonly field: string;

  constructor(field: string, problem: string) {
    super(`${field}: ${problem}`);
    this.field = field;
  }
}

const KINDS = {
  digits: { allowed: /^\d+$/, wanted: 'decimal digits' },
  amount: { allowed: /^\d+$/, wanted: 'decimal digits' },
  text: { allowed: /^[ -~]*$/, wanted: 'printable ASCII' },
} as const satisfies Record<FieldKind, { allowed: RegExp; wanted: string }>;

export function lengthOf(layout: Layout): number {
  return layout.reduce((sum, { length }) => sum + length, 0);
}

/** The bytes of all fields. @throws FieldError for the first value that does not fit */
export function encodeFields<L extends Layout>(layout: L, values: Values<L>): string {
  const given: Readonly<Record<string, unknown>> = values;
  return layout.map((field) => encodeField(field, given[field.name])).join('');
}

/** What the bytes say. @throws FieldError for the first field that they do not fit, `end` where there are too many */
export function decodeFields<L extends Layout>(layout: L, bytes: Buffer): Values<L> {
  const values: Record<string, unknown> = {};
  let at = 0;
  for (const field of layout) {
    const end = at + field.length;
    if (bytes.length < end)
      throw new FieldError(field.name, `needs ${field.length} bytes and has ${Math.max(bytes.length - at, 0)}`);
    values[field.name] = decodeField(field, bytes.toString('latin1', at, end));
    at = end;
  }
  if (bytes.length > at) throw new FieldError('end', `${bytes.length - at} bytes too many`);
  return values as Values<L>;
}

/** The bytes of one field. @throws FieldError */
export function encodeField({ name, kind, length }: Field, value: unknown): string {
  if (typeof value !== (kind === 'amount' ? 'bigint' : 'string'))
    throw new FieldError(name, `wants a ${kind === 'amount' ? 'bigint' : 'string'}, and got ${typeof value}`);
  const characters = String(value);
  const { allowed, wanted } = KINDS[kind];
  if (!allowed.test(characters)) throw new FieldError(name, `wants ${wanted}`);
  if (characters.length > length)
    throw new FieldError(name, `holds ${length} characters, and ${characters.length} were given`);
  if (kind !== 'text') return characters.padStart(length, '0');
  if (characters.endsWith(' ')) throw new FieldError(name, 'ends in a space, which nothing tells from the padding');
  return characters.padEnd(length, ' ');
}

function decodeField({ name, kind }: Field, characters: string): string | bigint {
  const { allowed, wanted } = KINDS[kind];
  if (!allowed.test(characters)) throw new FieldError(name, `wants ${wanted}`);
  if (kind === 'amount') return BigInt(characters);
  return kind === 'digits' ? characters : characters.replace(/ +$/, '');
}
