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
    return (typeof id === 'number' ? this.#numbered.get(id) : undefined) ?? this.#others?.get(id);
  }

  /** There must be none of its id. */
  add(call: ServerCall): void {
    const { id } = call;
    if (typeof id === 'number') {
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
    if (typeof id === 'number' && this.#numbered.take(id) !== undefined) return true;
    this.#others?.delete(id);
    this.#removed += 1;
    if (this.#others?.size === 0 && this.#removed >= RENEW_AFTER) {
      this.#others = undefined;
      this.#removed = 0;
    }
    return true;
  }

  /** Oldest first, but for clients whose ids are not numbers that go up. */
  values(): ServerCall[] {
    return [...this.#numbered.values(), ...(this.#others?.values() ?? [])];
  }

  clear(): void {
    this.#numbered.clear();
    this.#others = undefined;
  }
}
