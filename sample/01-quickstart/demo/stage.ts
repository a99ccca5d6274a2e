import { ChildService, type ServiceError } from './child-service.js';
import type { FromService } from './messages.js';
import type { Screen } from './screen.js';

/** The services of the demonstration: whoever starts one can be sure that it also ends. */
export class Stage {
  /** Rejects when a service ends that nobody asked to, and that nobody watches. */
  readonly accident: Promise<never>;
  readonly #screen: Screen;
  readonly #onMessage: (message: FromService) => void;
  /** In the order of their start; one that is started again keeps its place. */
  readonly #services = new Map<string, ChildService>();
  readonly #watched = new Set<ChildService>();
  #fail: (error: ServiceError) => void = () => {};
  #isClosing = false;

  constructor(screen: Screen, onMessage: (message: FromService) => void) {
    this.#screen = screen;
    this.#onMessage = onMessage;
    this.accident = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.accident.catch(() => {});
  }

  start(name: string, file: URL, env: NodeJS.ProcessEnv): ChildService {
    const service = new ChildService(name, file, env, {
      message: this.#onMessage,
      line: (line) => {
        this.#screen.dim(`${name} | ${line}`);
      },
    });
    this.#services.set(name, service);
    void service.ended.then((how) => {
      if (!this.#isClosing && !this.#watched.has(service)) this.#fail(service.errorOf(how));
    });
    return service;
  }

  /** From here on the end of this service is no accident: the caller handles it. */
  watch(service: ChildService): Promise<string | undefined> {
    this.#watched.add(service);
    return service.ended;
  }

  /** Lets the services drain, those that call before those that are called. True when all ended well. */
  async close(): Promise<boolean> {
    this.#isClosing = true;
    let isWell = true;
    for (const service of [...this.#services.values()].reverse()) {
      if (service.hasEnded) continue;
      const startedAt = performance.now();
      const how = await service.stop();
      isWell &&= how === undefined;
      if (how === undefined)
        this.#screen.good(`${service.name} drained and ended in ${Math.round(performance.now() - startedAt)} ms`);
      else this.#screen.bad(`${service.name} ${how}`);
    }
    return isWell;
  }

  /** Ends everything at once. */
  kill(): void {
    this.#isClosing = true;
    for (const service of this.#services.values()) service.kill();
  }
}
