/** The agent's client certificate: whom it names, under whom, until when; the handshake has proven its key. */

import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certificatePem } from '@sallyport/crypto/keys';
import type { AgentName } from '@sallyport/model';
import { realFileSystem } from '@sallyport/runtime';
import { fakeClock, foreignAuthority, type FakeClock, type ForeignAuthority, type ForeignLeaf } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentCredential } from '../pipeline/ports.ts';
import { agentCertificate, judgeCertificate } from './agent-certificate.ts';

const AGENT = 'support-triage' as AgentName;
const MINE = 'spiffe://acme.example/agent/support-triage';
const HOUR_MS = 3_600_000;

describe('the agent’s certificate', () => {
  let dir: string;
  let clock: FakeClock;
  let ours: ForeignAuthority;
  let theirs: ForeignAuthority;
  let credential: AgentCredential;
  const section = (): Parameters<typeof agentCertificate>[0] => ({
    certificate_file: join(dir, 'port.pem'),
    key_file: join(dir, 'port.key'),
    client_ca_file: join(dir, 'agents.pem'),
    subject: `uri:${MINE}`,
  });
  const believe = (...authorities: readonly ForeignAuthority[]): void =>
    writeFileSync(section().client_ca_file, authorities.map(({ certificate }) => certificatePem(certificate)).join(''));

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sallyport-certificate-'));
    clock = fakeClock();
    ours = foreignAuthority('agents of acme', clock.wall());
    theirs = foreignAuthority('agents of acme', clock.wall());
    believe(ours);
    credential = agentCertificate(section(), { agent: AGENT, disk: realFileSystem(), clock });
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const shown = (more: ForeignLeaf = {}, by = ours): readonly Uint8Array[] => [by.issue({ uris: [MINE], ...more })];
  const judged = (chain: readonly Uint8Array[], header?: string): string => {
    const verdict = credential.judge(header, chain);
    if (verdict instanceof Promise) throw new Error('a certificate needs no turn');
    return verdict.ok ? verdict.value : verdict.error.code;
  };

  it('proves this agent, each time it is asked on a connection', () => {
    const chain = shown();
    expect([judged(chain), judged(chain)]).toEqual([AGENT, AGENT]);
  });

  it.each<[attack: string, code: string, chain: () => readonly Uint8Array[]]>([
    ['none', 'unauthenticated', () => []],
    ['one of another agent', 'unauthenticated', () => shown({ uris: ['spiffe://acme.example/agent/reporting'] })],
    ['one that begins like this agent’s', 'unauthenticated', () => shown({ uris: [`${MINE}-2`] })],
    ['the name of the agent as a common name alone', 'unauthenticated', () => shown({ uris: [], commonNames: [MINE] })],
    ['the name of the agent as a DNS name', 'unauthenticated', () => shown({ uris: [], dnsNames: ['support-triage'] })],
    ['one of an authority of the same name', 'unauthenticated', () => shown({}, theirs)],
    ['one that is for servers', 'unauthenticated', () => shown({ extendedKeyUsages: ['1.3.6.1.5.5.7.3.1'] })],
    ['one whose time is over', 'token_expired', () => shown({ notAfter: clock.wall() - 1_000 })],
    ['bytes that are none', 'unauthenticated', () => [Uint8Array.of(0x30, 0)]],
  ])('%s is refused', (_attack, code, chain) => {
    expect(judged(chain())).toBe(code);
  });

  it('a key in the header is nothing beside it, and nothing in its place', () => {
    expect(judged([], 'k'.repeat(44))).toBe('unauthenticated');
    expect(judged(shown({}, theirs), 'k'.repeat(44))).toBe('unauthenticated');
  });

  it('ends at its time on a connection that goes on', async () => {
    const chain = shown({ notAfter: clock.wall() + HOUR_MS });
    expect(judged(chain)).toBe(AGENT);
    await clock.advance(HOUR_MS - 500);
    expect(judged(chain)).toBe(AGENT);
    await clock.advance(1_500);
    expect(judged(chain)).toBe('token_expired');
  });

  it('an authority that was taken out proves nobody a second later, on old connections neither', async () => {
    const chain = shown();
    expect(judged(chain)).toBe(AGENT);
    believe(theirs);
    await clock.advance(1_000);
    expect(judged(chain)).toBe('unauthenticated');
    expect(judged(shown({}, theirs))).toBe(AGENT);
  });

  it('without readable authorities nobody can be judged', async () => {
    const chain = shown();
    expect(judged(chain)).toBe(AGENT);
    unlinkSync(section().client_ca_file);
    await clock.advance(1_000);
    expect(judged(chain)).toBe('identity_unavailable');
  });

  it.each<[what: string, text: () => string | undefined]>([
    ['no file', () => undefined],
    ['no certificate in it', () => 'nothing'],
    ['a certificate of nobody who issues', () => certificatePem(ours.issue({ uris: [MINE] }))],
    ['a certificate that is cut', () => `${certificatePem(ours.certificate).slice(0, 200)}\n-----END CERTIFICATE-----\n`],
  ])('does not start on %s', (_what, text) => {
    const content = text();
    if (content === undefined) unlinkSync(section().client_ca_file);
    else writeFileSync(section().client_ca_file, content);
    expect(judgeCertificate(section(), AGENT, realFileSystem())[0]?.path).toContain('outbound.agent_certificate.client_ca_file');
  });
});
