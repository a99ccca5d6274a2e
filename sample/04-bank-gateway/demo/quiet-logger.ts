import type { LoggerService } from '@nestjs/common';

/** Whose account of itself is shown: the library's and the sample's. Nest's of its start is left out. */
const SHOWN = /^(PooledTcp|Ledger$|Session$)/;
/** Failures of the boot, which `runService()` explains in fewer words. */
const BOOT = ['ExceptionHandler', 'NestApplication'];

export class QuietLogger implements LoggerService {
  log(message: unknown, context?: string): void {
    if (context !== undefined && SHOWN.test(context)) console.log(line(message, context));
  }

  warn(message: unknown, context?: string): void {
    console.log(line(message, context));
  }

  error(message: unknown, ...details: readonly unknown[]): void {
    const context = details.at(-1);
    if (typeof context !== 'string' || !BOOT.includes(context)) console.error(line(message, context));
  }
}

function line(message: unknown, context: unknown): string {
  const text = message instanceof Error ? message.message : String(message);
  return typeof context === 'string' ? `[${context}] ${text}` : text;
}
