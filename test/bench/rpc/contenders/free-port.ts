import { createServer, type AddressInfo } from 'node:net';
import { HOST } from './contender.js';

/** A port that is free now, for servers that do not say which one they were given. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, HOST, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => {
        resolve(port);
      });
    });
  });
}
