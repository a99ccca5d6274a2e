import { Observable } from 'rxjs';

export const ENDLESS_ITEM = 'x'.repeat(16 * 1024);
/** Items a turn of the event loop: a producer that never waits, but lets sockets have their turn. */
const ITEMS_A_TURN = 16;

/** A stream that emits until it is unsubscribed from. */
export function endless(): Observable<string> {
  return new Observable((subscriber) => {
    let next: NodeJS.Immediate | undefined;
    const emit = (): void => {
      for (let i = 0; i < ITEMS_A_TURN && !subscriber.closed; i++) subscriber.next(ENDLESS_ITEM);
      if (!subscriber.closed) next = setImmediate(emit);
    };
    next = setImmediate(emit);
    return () => {
      clearImmediate(next);
    };
  });
}
