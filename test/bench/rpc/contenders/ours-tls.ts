import { SERVER_CERTIFICATE, SERVER_KEY } from '../../../support/certificates.js';
import type { BenchServer } from './contender.js';
import { listenOurs } from './ours.js';

export function listenTls(): Promise<BenchServer> {
  return listenOurs({ cert: SERVER_CERTIFICATE, key: SERVER_KEY });
}
