export const VIEWER_OPTIONS = Symbol('ViewerOptions');

export interface ViewerOptions {
  /** Addresses of the quote servers. */
  readonly endpoints: readonly string[];
  /** How many clients watch. */
  readonly clients: number;
  /** Whether they say where they were when they subscribe again. */
  readonly resumes: boolean;
}
