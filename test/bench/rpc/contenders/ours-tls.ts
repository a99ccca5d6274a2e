import { SERVER_CERTIFICATE, SERVER_KEY } from '../../../support/certificates.js';
import { HOST, type BenchServer } from './contender.js';
import { listenOurs } from './ours.js';

export function listenTls(): Promise<BenchServer> {
  return listenOurs(HOST, { cert: SERVER_CERTIFICATE, key: SERVER_KEY });
}
