import { CMPP_HEARTBEAT, type HeartbeatSettings } from '../../../lib/index.js';

/**
 * What the specification proposes for a long connection (CMPP 3.0, section 7.1). C, T and N of the link test are the
 * library's {@link CMPP_HEARTBEAT}: asked after C = 3 minutes of silence, T = 60 s for an answer, N = 3 questions.
 */
export const WINDOW = 16;

/** T: time for the answer to a message. */
export const ANSWER_TIMEOUT_MS = CMPP_HEARTBEAT.timeoutMs;

/** N: how often a message is sent that is not answered. */
export const ATTEMPTS = CMPP_HEARTBEAT.attempts;

/** Ports of the specification (section 7.3). */
export const PORTS = {
  /** Long connections between SP and ISMG. */
  long: 7890,
  /** Short connections between SP and ISMG. */
  short: 7900,
  /** Long connections between ISMGs. */
  betweenGateways: 7930,
} as const;

/**
 * The link test of this process: the specification's, or a faster one for a demonstration.
 *
 * @param intervalMs C in milliseconds; T is a third of it, as in the specification
 */
export function linkTest(intervalMs: number = CMPP_HEARTBEAT.intervalMs): HeartbeatSettings {
  return { intervalMs, timeoutMs: Math.ceil(intervalMs / 3), attempts: ATTEMPTS };
}
