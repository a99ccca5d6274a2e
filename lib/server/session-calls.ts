import { Slots } from '../common/slots.js';
import type { CallId } from '../protocol/messages.js';
import type { ServerCall } from './server-call.js';

/** A `Map` that has lost so many is not used again once it is empty: what its former tables hold goes with it. */
const RENEW_AFTER = 64;

/** The calls in flight of one session, by the ids that the client gave them: numbers that go up, or anything else. */
export class SessionCalls {
  readonly #numbered = new Slots<ServerCall>();
  /** Those with other ids, or with a number whose place another has. */
  #others: Map<CallId, ServerCall> | undefined;
  #removed = 0;

  get size(): number {
    return this.#numbered.size + (this.#others?.size ?? 0);
  }

  get(id: CallId): ServerCall | undefined {
    return (isWhole(id) ? this.#numbered.get(id) : undefined) ?? this.#others?.get(id);
  }

  /** There must be none of its id. */
  add(call: ServerCall): void {
    const { id } = call;
    if (isWhole(id)) {
      this.#numbered.reserve();
      if (this.#numbered.isFree(id)) {
        this.#numbered.put(id, call);
        return;
      }
    }
    (this.#others ??= new Map<CallId, ServerCall>()).set(id, call);
  }

  /** Takes the call out. @returns whether it was there */
  remove(call: ServerCall): boolean {
    const { id } = call;
    if (this.get(id) !== call) return false;
    if (isWhole(id) && this.#numbered.take(id) !== undefined) return true;
    this.#others?.delete(id);
    this.#removed += 1;
    if (this.#others?.size === 0 && this.#removed >= RENEW_AFTER) {
      this.#others = undefined;
      this.#removed = 0;
    }
    return true;
  }

  /** By their numbers, which for our own clients is the order in which they came; then those with other ids, as they came. */
  values(): ServerCall[] {
    const numbered = this.#numbered.values().sort((a, b) => (a.id as number) - (b.id as number));
    return this.#others === undefined ? numbered : [...numbered, ...this.#others.values()];
  }

  clear(): void {
    this.#numbered.clear();
    this.#others = undefined;
  }
}

function isWhole(id: CallId): id is number {
  return Number.isSafeInteger(id);
}
