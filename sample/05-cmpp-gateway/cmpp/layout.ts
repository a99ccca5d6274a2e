import { ByteReader, type Field } from './fields.js';

export type Fields = Readonly<Record<string, Field<unknown>>>;

/** What a message with these fields says. */
export type Values<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer V> ? V : never };

/** What a message with this layout says. */
export type ValuesOf<L> = L extends Layout<infer F> ? Values<F> : never;

/** A message does not fit its table. */
export class LayoutError extends Error {}

/** A table of the specification, written once: from it bytes are made, and read. */
export class Layout<F extends Fields> {
  /** As the specification calls the message. */
  readonly name: string;
  readonly #fields: F;

  /** @param fields in the order in which they are sent */
  constructor(name: string, fields: F) {
    this.name = name;
    this.#fields = fields;
  }

  /**
   * What is left out is sent as zeros, as the specification has it.
   *
   * @throws LayoutError that names the field
   */
  encode(values: Partial<Values<F>>): Buffer {
    const given = values as Readonly<Record<string, unknown>>;
    const stranger = Object.keys(given).find((key) => !Object.hasOwn(this.#fields, key));
    if (stranger !== undefined) throw new LayoutError(`${this.name} has no field ${stranger}`);
    return Buffer.concat(
      Object.entries(this.#fields).map(([key, field]) =>
        this.#naming(field, () => field.encode(given[key] ?? field.empty)),
      ),
    );
  }

  /** @throws LayoutError that names the field */
  decode(body: Buffer): Values<F> {
    const bytes = new ByteReader(body);
    const values: Record<string, unknown> = {};
    for (const [key, field] of Object.entries(this.#fields)) {
      values[key] = this.#naming(field, () => field.decode(bytes));
    }
    if (bytes.left > 0) throw new LayoutError(`${this.name} ends ${bytes.left} bytes before its frame`);
    return values as Values<F>;
  }

  #naming<T>(field: Field<unknown>, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw new LayoutError(`${field.name} of ${this.name}: ${(error as Error).message}`, { cause: error });
    }
  }
}
