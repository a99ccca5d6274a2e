import { describe, expect, it } from '@jest/globals';
import { PooledTcpError } from '../../../lib/index.js';
import { CallLedger, NO_DEFECTS } from '../../support/call-ledger.js';

const failure = (sent: boolean): PooledTcpError => new PooledTcpError('PTCP_CONNECTION_LOST', 'gone', { sent });

describe('a ledger of calls', () => {
  it('finds nothing wrong with calls that were handled once and answered with their own tag', () => {
    const ledger = new CallLedger();
    for (let i = 0; i < 3; i++) {
      const call = ledger.open();
      ledger.handled(call.tag);
      ledger.answered(call, { tag: call.tag });
    }
    expect(ledger.report()).toEqual({
      calls: 3,
      answered: 3,
      failedUnsent: 0,
      failedSent: 0,
      handled: 3,
      ...NO_DEFECTS,
    });
  });

  it.each<[keyof typeof NO_DEFECTS, (ledger: CallLedger) => void]>([
    ['lost', (ledger) => ledger.open()],
    [
      'answeredTwice',
      (ledger) => {
        const call = ledger.open();
        ledger.handled(call.tag);
        ledger.answered(call, { tag: call.tag });
        ledger.answered(call, { tag: call.tag });
      },
    ],
    [
      'crossed',
      (ledger) => {
        const call = ledger.open();
        ledger.handled(call.tag);
        ledger.answered(call, { tag: 'another' });
      },
    ],
    [
      'handledTwice',
      (ledger) => {
        const call = ledger.open();
        ledger.handled(call.tag);
        ledger.handled(call.tag);
        ledger.failed(call, failure(true));
      },
    ],
    [
      'unsentButHandled',
      (ledger) => {
        const call = ledger.open();
        ledger.failed(call, failure(false));
        ledger.handled(call.tag);
      },
    ],
    [
      'answeredUnhandled',
      (ledger) => {
        const call = ledger.open();
        ledger.answered(call, { tag: call.tag });
      },
    ],
    ['unknownHandled', (ledger) => ledger.handled('nobody')],
    ['foreignErrors', (ledger) => ledger.failed(ledger.open(), new Error('not ours'))],
  ])('counts a call that is %s, and nothing else', (defect, happen) => {
    const ledger = new CallLedger();
    happen(ledger);
    expect(ledger.report()).toMatchObject({ ...NO_DEFECTS, [defect]: 1 });
  });

  it('tells failures by what was said of them', () => {
    const ledger = new CallLedger();
    ledger.failed(ledger.open(), failure(true));
    ledger.failed(ledger.open(), failure(false));
    expect(ledger.entries.map(({ state, code }) => [state, code])).toEqual([
      ['failed-sent', 'PTCP_CONNECTION_LOST'],
      ['failed-unsent', 'PTCP_CONNECTION_LOST'],
    ]);
    expect(ledger.report()).toMatchObject({ ...NO_DEFECTS, failedSent: 1, failedUnsent: 1 });
    expect(ledger.pending).toBe(0);
  });

  it('that is folded keeps its counts, and knows a late duplicate', () => {
    const ledger = new CallLedger();
    const done = ledger.open();
    ledger.handled(done.tag);
    ledger.answered(done, { tag: done.tag });
    ledger.open();
    ledger.fold();
    expect(ledger.entries).toHaveLength(1);
    expect(ledger.report()).toMatchObject({ ...NO_DEFECTS, calls: 2, answered: 1, handled: 1, lost: 1 });
    expect(ledger.open().tag).not.toBe(done.tag);
    ledger.handled(done.tag);
    expect(ledger.report().unknownHandled).toBe(1);
  });
});
