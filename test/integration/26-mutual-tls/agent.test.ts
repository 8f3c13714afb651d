/** The agent behind the gateway proves that it is the agent, also on loopback, where every neighbour can listen. */

import { readCertificate } from '@sallyport/crypto';
import { certificatePem } from '@sallyport/crypto/keys';
import { recordingUpstream, testAuthority, type RecordingTls, type RecordingUpstream, type TestAuthority } from '@sallyport/testkit';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startInbound, type InboundSide } from '../../support/inbound.ts';
import { AGENT, type HttpAnswer } from '../../support/world.ts';

let dir: string;
let company: TestAuthority;
let stranger: TestAuthority;
let agent: RecordingUpstream;
let side: InboundSide;
/** PEM; whose certificates the agent takes. */
let ca = '';

async function presenting(
  authority: TestAuthority,
  path: string,
  options: Parameters<TestAuthority['issue']>[1] = {},
): Promise<RecordingTls> {
  const { chain, privatePem } = await authority.issue(path, { usage: 'tls-server', ipAddresses: ['127.0.0.1'], ...options });
  return { cert: chain.map((der) => certificatePem(der)).join(''), key: privatePem, ca };
}
const asked = (): Promise<HttpAnswer> => side.ask(`/agents/${AGENT}/run`, { json: { task: 'x' } });

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-agent-tls-'));
  company = await testAuthority('company.example');
  stranger = await testAuthority('company.example');
  const file = join(dir, 'agent-ca.pem');
  writeFileSync(file, certificatePem(company.ca.certificate));
  ca = certificatePem(company.ca.certificate);
  agent = await recordingUpstream(undefined, await presenting(company, '/agent/triage'));
  const tls = { authorities_file: file, identity: 'spiffe://company.example/agent/triage' };
  side = await startInbound({ inbound: { url: agent.url, tls } });
  ca = readFileSync(join(side.world.dir, 'control-plane', 'workload-ca.crt'), 'utf8');
  agent.secure(await presenting(company, '/agent/triage'));
});
afterAll(async () => {
  await side?.close();
  await agent?.close();
  rmSync(dir, { recursive: true, force: true });
});

describe('an agent that is reached over TLS', () => {
  it('gets requests, and sees by a certificate that they come from its own sidecar', async () => {
    expect((await asked()).status).toBe(200);
    const shown = agent.requests.at(-1)?.shown;
    expect(shown === undefined ? undefined : readCertificate(shown)?.spiffeId).toBe(`spiffe://demo.local/sidecar/${AGENT}/one`);
  });

  it.each([
    ['another CA vouches for', () => presenting(stranger, '/agent/triage')],
    ['names another agent', () => presenting(company, '/agent/billing')],
    ['has ended', () => presenting(company, '/agent/triage', { notBefore: 0, notAfter: 86_400_000 })],
    ['is for clients', () => presenting(company, '/agent/triage', { usage: 'tls-client' })],
  ])('[R7.20] gets nothing while its certificate %s', async (_, present) => {
    expect((await asked()).status).toBe(200);
    const before = agent.requests.length;
    agent.secure(await present());
    const answer = await asked();
    expect([answer.status, answer.json()['code'], answer.json()['effect']]).toEqual([502, 'upstream_untrusted', 'none']);
    expect(agent.requests).toHaveLength(before);
    agent.secure(await presenting(company, '/agent/triage'));
  });
});
