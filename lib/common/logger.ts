/** What the layers below Nest need of a logger; Nest's `Logger` is one. */
export interface DiagnosticLogger {
  log(message: string): void;
  warn(message: string): void;
  error(message: string): void;
  debug?(message: string): void;
}
