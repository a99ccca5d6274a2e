import type { TransferView } from '../gateway/bank.controller.js';
import { ServiceError } from './child.js';

/** The gateway, as whoever has curl sees it. Every answer is printed, and checked. */
export class Http {
  readonly #url: string;
  readonly #print: (line: string) => void;

  constructor(url: string, print: (line: string) => void) {
    this.#url = url;
    this.#print = print;
  }

  get<T = unknown>(path: string, wanted: number): Promise<T> {
    return this.#call<T>('GET', path, wanted);
  }

  transfer(body: Readonly<Record<string, string>>, wanted = 201): Promise<TransferView> {
    return this.#call<TransferView>('POST', '/transfers', wanted, body);
  }

  async #call<T>(method: string, path: string, wanted: number, body?: object): Promise<T> {
    const response = await fetch(this.#url + path, {
      method,
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as T;
    this.#print(`${method} ${path}${body === undefined ? '' : ` ${JSON.stringify(body)}`}`);
    this.#print(`  ${response.status} ${JSON.stringify(answer)}`);
    if (response.status !== wanted) throw new ServiceError(`${method} ${path} should have answered ${wanted}`);
    return answer;
  }
}
