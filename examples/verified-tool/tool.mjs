/**
 * A tool that answers only calls which a sidecar of its platform let out, and says whom it answered.
 *
 *   node tool.mjs workload-ca.crt prod.company.com [port]
 */

import { assertionGuard } from '@sallyport/verifier';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [authorityFile, trustDomain, port = '8088'] = process.argv.slice(2);
if (authorityFile === undefined || trustDomain === undefined) {
  process.stderr.write('usage: node tool.mjs <workload-ca.crt> <trust domain> [port]\n');
  process.exit(2);
}

/** Which tool a request calls, as the catalog names it; nothing else is served. */
const TOOLS = new Map([
  ['GET /greeting', 'desk/greeting'],
  ['POST /farewell', 'desk/farewell'],
]);

const guard = assertionGuard({
  trustDomain,
  authorities: readFileSync(authorityFile, 'utf8'),
  audience: `sallyport:${trustDomain}:server:desk`,
  tool: ({ method, url }) => TOOLS.get(`${method} ${url}`),
  // The caller hears the code; why exactly is for this log alone.
  onRefused: (code, detail) => process.stderr.write(`refused: ${code}: ${detail}\n`),
});

const server = createServer((request, response) => {
  const assertion = guard(request, response);
  if (assertion === undefined) return; // It has been answered: 401, or 403 for another tool.
  const { operator, agent, tool, tenant } = assertion;
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify({ tool, said_to: operator, by: agent, tenant })}\n`);
});

server.listen(Number(port), '127.0.0.1', () => process.stdout.write(`listening on http://127.0.0.1:${server.address().port}\n`));
