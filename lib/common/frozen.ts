/**
 * Whether a timer that fired so late means that this process did not run meanwhile: what it waited for may lie
 * unread in the kernel, so it proves nothing about the peer.
 */
export function wasFrozen(latenessMs: number, delayMs: number): boolean {
  return latenessMs > Math.max(delayMs / 2, 50);
}
