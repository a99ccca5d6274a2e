import type { DiagnosticLogger } from '../../lib/common/logger.js';

export type LogLevel = 'log' | 'warn' | 'error' | 'debug';

/** Keeps what is logged. */
export class RecordingLogger implements DiagnosticLogger {
  readonly lines: { readonly level: LogLevel; readonly message: string }[] = [];

  log(message: string): void {
    this.lines.push({ level: 'log', message });
  }

  warn(message: string): void {
    this.lines.push({ level: 'warn', message });
  }

  error(message: string): void {
    this.lines.push({ level: 'error', message });
  }

  debug(message: string): void {
    this.lines.push({ level: 'debug', message });
  }

  at(level: LogLevel): string[] {
    return this.lines.filter((line) => line.level === level).map(({ message }) => message);
  }
}
