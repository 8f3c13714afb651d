import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certificatePem } from '@sallyport/crypto/keys';
import { readConfig, realFileSystem } from '@sallyport/runtime';
import { fakeClock, testAuthority } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agentSide } from './agent-side.ts';
import { judgeCombinations, SIDECAR_CONFIG } from './config.ts';
import type { AgentSide } from './upstream/forward-options.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-agent-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const side = (agent: Parameters<typeof agentSide>[0]['agent']): AgentSide =>
  agentSide({ agent, headers: [] }, { clock: fakeClock(), disk: realFileSystem(), tokens: {} as AgentSide['tokens'] });

describe('an agent over TLS', () => {
  it('is held to the authorities of the file, and shown the sidecar’s own certificate', async () => {
    const { ca } = await testAuthority();
    const file = join(dir, 'ca.pem');
    writeFileSync(file, certificatePem(ca.certificate));
    const { destination } = side({ url: 'https://127.0.0.1:9/a', tls: { authorities_file: file } });
    expect(destination).toMatchObject({
      scheme: 'https',
      port: 9,
      tls: { authorities: [Buffer.from(ca.certificate).toString('base64')], client: 'workload' },
    });
  });

  it.each([
    ['is not there', undefined],
    ['is empty', ''],
    ['holds no certificate', 'hello'],
    ['holds a broken one', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'],
    ['holds a certificate that is no authority’s', 'leaf'],
  ])('does not start when the file of its authorities %s', async (_, text) => {
    const file = join(dir, 'ca.pem');
    const leaf = (await (await testAuthority()).issue('/agent/x')).chain[0];
    if (text !== undefined) writeFileSync(file, text === 'leaf' && leaf !== undefined ? certificatePem(leaf) : text);
    expect(() => side({ url: 'https://127.0.0.1:9', tls: { authorities_file: file } })).toThrow('inbound.agent.tls.authorities_file');
  });
});

describe('a configuration is refused', () => {
  const AGENT = 'spiffe://a.example/agent/x';
  it.each([
    ['that names TLS over http:', 'http://127.0.0.1:9', `{ identity: ${AGENT} }`],
    ['that says https: and not whose certificate', 'https://127.0.0.1:9', undefined],
    ['in which every certificate of the workload CA would do', 'https://127.0.0.1:9', '{}'],
    ['in which a sidecar would pass for the agent', 'https://127.0.0.1:9', '{ identity: spiffe://a.example/sidecar/x/one }'],
    ['whose agent is on another machine', 'https://10.0.0.1:9', `{ identity: ${AGENT} }`],
  ])('%s', (_, url, tls) => {
    const file = join(dir, 'sidecar.yaml');
    const agent = `{ url: "${url}"${tls === undefined ? '' : `, tls: ${tls}`} }`;
    const inbound = `inbound: { certificate_file: /c, key_file: /k, agent: ${agent} }`;
    writeFileSync(file, `agent: x\nstate_dir: /s\nroot_pin_file: /p\n${inbound}\n`);
    const read = readConfig(SIDECAR_CONFIG, { file });
    const problems = read.ok ? judgeCombinations(read.value) : read.error;
    expect(JSON.stringify(problems)).toContain('inbound.agent');
  });

  it('unless it says whose', () => {
    const file = join(dir, 'sidecar.yaml');
    const inbound = `inbound: { certificate_file: /c, key_file: /k, agent: { url: "https://127.0.0.1:9", tls: { identity: ${AGENT} } } }`;
    writeFileSync(file, `agent: x\nstate_dir: /s\nroot_pin_file: /p\n${inbound}\n`);
    const read = readConfig(SIDECAR_CONFIG, { file });
    expect(read.ok ? judgeCombinations(read.value) : read.error).toEqual([]);
  });
});
