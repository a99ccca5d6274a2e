import type { Clock } from '../../../lib/common/clock.js';
import { BoundedLog } from '../../../lib/server/bounded-log.js';
import type { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { HELLO_PATTERN } from '../../../lib/protocol/hello.js';
import type { ServerCall } from '../../../lib/server/server-call.js';
import { PartialBudget } from '../../../lib/server/partial-budget.js';
import type { RefusalReason } from '../../../lib/server/refusals.js';
import { PushTally } from '../../../lib/server/push/push-tally.js';
import { TagIndex } from '../../../lib/server/push/tag-index.js';
import { Session, type Dispatcher, type SessionHost } from '../../../lib/server/session.js';
import { resolveServerOptions, type PooledTcpServerOptions } from '../../../lib/server/settings.js';
import { RecordingLogger } from '../../support/logs.js';
import { MemoryTransport } from '../../support/memory-transport.js';

/** The server's end for tests of the client: real sessions over memory, whose calls the test answers. */
export class SessionPeer implements SessionHost {
  readonly settings;
  readonly clock: Clock;
  readonly logger = new RecordingLogger();
  readonly boundedLog: BoundedLog;
  readonly random = (): number => 0.5;
  readonly tags = new TagIndex<Session>();
  readonly pushTally = new PushTally();
  readonly calls: ServerCall[] = [];
  readonly events: { readonly pattern: unknown; readonly data: unknown }[] = [];
  /** For each event, what says that it is done. */
  readonly eventEnds: (() => void)[] = [];
  readonly droppedEvents: string[] = [];
  readonly partialBudget: PartialBudget;
  readonly sessions: Session[] = [];
  /** What happens with a call, instead of keeping it for the test. */
  onCall: ((call: ServerCall) => void) | undefined;
  /** Calls begun and not over, as far as the server was told. */
  inFlight = 0;
  endedEvents = 0;
  refusal: PooledTcpError | undefined;
  claimPrincipal: (id: string) => PooledTcpError | undefined = () => undefined;
  /** Why the server would refuse a call. */
  overload: string | undefined;
  readonly refusals: RefusalReason[] = [];

  readonly dispatcher: Dispatcher = {
    request: (call) => {
      // As a server without our protocol answers.
      if (call.pattern === HELLO_PATTERN) call.refuse('no-handler', undefined);
      else {
        this.calls.push(call);
        this.onCall?.(call);
      }
    },
    event: (_session, pattern, data, _metadata, ended) => {
      this.events.push({ pattern, data });
      this.eventEnds.push(ended);
    },
  };

  constructor(clock: Clock, options: PooledTcpServerOptions = {}) {
    this.clock = clock;
    this.boundedLog = new BoundedLog(this.logger, clock);
    this.settings = resolveServerOptions({ firstFrameTimeoutMs: 0, idleTimeoutMs: 0, heartbeat: false, ...options });
    this.partialBudget = new PartialBudget(this.settings.maxPartialBytes);
  }

  /** Accepts a connection; returns the client's end and the server's. */
  accept(address?: string): [MemoryTransport, MemoryTransport] {
    const [client, server] = MemoryTransport.pair(address);
    const session = new Session(server, this, {
      refusal: this.refusal,
      claimPrincipal: (id) => this.claimPrincipal(id),
    });
    this.sessions.push(session);
    session.start();
    return [client, server];
  }

  get lastCall(): ServerCall {
    const call = this.calls.at(-1);
    if (call === undefined) throw new Error('no call has arrived');
    return call;
  }

  admitCall(): string | undefined {
    if (this.overload === undefined) this.inFlight += 1;
    return this.overload;
  }

  callEnded(): void {
    this.inFlight -= 1;
  }

  admitEvent(): string | undefined {
    return this.overload;
  }

  eventEnded(): void {
    this.endedEvents += 1;
  }

  eventDropped(_session: Session, why: string): void {
    this.droppedEvents.push(why);
  }

  refused(reason: RefusalReason): void {
    this.refusals.push(reason);
  }

  closed(session: Session): void {
    this.sessions.splice(this.sessions.indexOf(session), 1);
  }
}
