import { BadGatewayException, BadRequestException } from '@nestjs/common';

/** Digits behind the point, by currency. */
const DECIMALS: ReadonlyMap<string, number> = new Map([
  ['EUR', 2],
  ['CHF', 2],
  ['JPY', 0],
]);

/** '12.50' EUR is 1250 cents. Never by way of a floating point number. @throws BadRequestException */
export function toMinor(amount: string, currency: string): bigint {
  const decimals = DECIMALS.get(currency);
  if (decimals === undefined)
    throw new BadRequestException(`currency must be one of ${[...DECIMALS.keys()].join(', ')}`);
  const [, whole = '', fraction = ''] = /^(\d+)(?:\.(\d+))?$/.exec(amount) ?? [];
  if (whole === '' || fraction.length > decimals)
    throw new BadRequestException(`amount must be a number with at most ${decimals} decimals, as a string`);
  return BigInt(whole + fraction.padEnd(decimals, '0'));
}

/** 1250 cents are '12.50' EUR. @throws BadGatewayException where the bank has a currency that nobody here knows */
export function fromMinor(minor: bigint, currency: string): string {
  const decimals = DECIMALS.get(currency);
  if (decimals === undefined) throw new BadGatewayException(`the bank answered in the currency '${currency}'`);
  if (decimals === 0) return String(minor);
  const digits = String(minor).padStart(decimals + 1, '0');
  return `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}
