import { ERROR_CODES } from '../../lib/errors/codes.js';

const INTRODUCTION = `# Errors

Every failure of this library is a \`PooledTcpError\`. This page is generated from the table of codes.

| property | meaning |
| --- | --- |
| \`code\` | One of the codes below. Codes are permanent: a released code keeps its name and its meaning. |
| \`sent\` | Whether the request can have reached a handler. \`false\` is a promise: no handler ran, so repeating the call is safe. \`true\` means that one may have run. |
| \`peer\` | Address of the other side, where one was involved. |
| \`elapsedMs\` | Milliseconds from the start of the call to its failure, where that was measured. |
| \`cause\` | The error underneath: the system's, the resolver's, the reason of an \`AbortSignal\`, or what a handler answered. |
| \`message\` | For people. It may change in any release and never contains a payload. |

## How to branch

Branch on \`code\` and on \`sent\`, never on the message.

\`\`\`ts
import { PooledTcpError } from 'nestjs-pooled-tcp';

try {
  await orders.request('place', order);
} catch (error) {
  if (!(error instanceof PooledTcpError)) throw error;
  if (error.code === 'PTCP_HANDLER_FAILED') {
    // The handler threw. What it threw, as its filters made it, is the cause.
    console.error(error.cause);
  } else if (!error.sent) {
    // No handler has run: queue the order, or try another service.
    console.warn(\`not placed: \${error.code} after \${String(error.elapsedMs)} ms\`);
  } else {
    // It may have been placed. Ask before placing it again.
    throw error;
  }
}
\`\`\`

Where an error appears:

- \`request()\` rejects with a \`PooledTcpError\`, always. What a handler threw is the \`cause\` of a
  \`PTCP_HANDLER_FAILED\`.
- \`send()\` errors with what the handler threw, as it came, like every Nest client. Every other failure is a
  \`PooledTcpError\`.
- \`emit()\` errors when the event was not written. Nobody need subscribe; the error is then logged.
- \`acquire()\` and \`connect()\` reject, options throw in the constructor.

A call whose bytes have not left this process is repeated on another connection by itself, up to three times and
within its own time. A call that may have left is never repeated.

Over the stock wire \`sent\` is the same promise, with fewer reasons for \`false\`: a stock server does not say
whether it dropped a call before its handler ran.

## Codes`;

/** docs/errors.md, not formatted yet. */
export function errorsPage(): string {
  const rows = Object.entries(ERROR_CODES).map(([code, { when, remedy }]) => `| \`${code}\` | ${when} | ${remedy} |`);
  return [INTRODUCTION, ['| code | when | what to do |', '| --- | --- | --- |', ...rows].join('\n')].join('\n\n');
}
