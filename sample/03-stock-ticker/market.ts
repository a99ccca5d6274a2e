export const SYMBOLS = ['ACME', 'GLOBEX', 'INITECH', 'UMBRELLA'] as const;

/** One price of one symbol. The numbers of a symbol have no holes: 1, 2, 3 … */
export interface Quote {
  readonly symbol: string;
  readonly seq: number;
  readonly price: number;
}

/** The exchange that all servers copy: whoever asks for the n-th price of a symbol gets the same. */
export function quoteOf(symbol: string, seq: number): Quote {
  const phase = SYMBOLS.indexOf(symbol as (typeof SYMBOLS)[number]);
  const price = 100 + 20 * Math.sin(seq / 211 + phase) + 5 * Math.sin(seq / 17 + 2 * phase);
  return { symbol, seq, price: Math.round(price * 100) / 100 };
}
