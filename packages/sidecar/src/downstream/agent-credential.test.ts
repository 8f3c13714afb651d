import { chmodSync, mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realFileSystem } from '@sallyport/runtime';
import { fakeClock, type FakeClock } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentName } from '@sallyport/model';
import type { AgentCredential } from '../pipeline/ports.ts';
import { agentCredential, readAgentCredentials } from './agent-credential.ts';

const AGENT = 'support-triage' as AgentName;
const [OLD, NEW] = ['o'.repeat(43), 'n'.repeat(43)];

describe('the agent’s credential', () => {
  let dir: string;
  let path: string;
  let clock: FakeClock;
  let credential: AgentCredential;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sallyport-credential-'));
    path = join(dir, 'credential');
    writeFileSync(path, `${OLD}\n`, { mode: 0o600 });
    clock = fakeClock();
    credential = agentCredential({ path, agent: AGENT, disk: realFileSystem(), clock });
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const judged = (shown: string | undefined): unknown => {
    const verdict = credential.judge(shown, []);
    if (verdict instanceof Promise) throw new Error('a key needs no turn');
    return verdict.ok ? verdict.value : verdict.error.code;
  };
  const replace = (text: string): void => {
    writeFileSync(`${path}.next`, text, { mode: 0o600 });
    renameSync(`${path}.next`, path);
  };

  it.each<[attack: string, shown: string | undefined]>([
    ['nothing', undefined],
    ['an empty one', ''],
    ['another', NEW],
    ['a part of it', OLD.slice(0, -1)],
    ['more than it', `${OLD}x`],
    ['it with white space', `${OLD} `],
    ['it twice, as two headers would be joined', `${OLD}, ${OLD}`],
    ['all that the file holds', `${OLD}\n`],
  ])('a neighbour that shows %s is nobody', (_attack, shown) => {
    expect(judged(shown)).toBe('unauthenticated');
    expect(judged(OLD)).toBe(AGENT);
  });

  it('is exchanged without a refused call: both are good while the file holds both, and the old one ends with it', async () => {
    expect(judged(OLD)).toBe(AGENT);
    replace(`${NEW}\n${OLD}\n`);
    await clock.advance(1_000);
    expect([judged(OLD), judged(NEW)]).toEqual([AGENT, AGENT]);
    replace(`${NEW}\n`);
    await clock.advance(1_000);
    expect(judged(NEW)).toBe(AGENT);
    expect(judged(OLD)).toBe('unauthenticated');
  });

  it('a file that was taken away or damaged proves nobody', async () => {
    expect(judged(OLD)).toBe(AGENT);
    unlinkSync(path);
    await clock.advance(1_000);
    expect(judged(OLD)).toBe('unauthenticated');
    replace('short\n');
    await clock.advance(1_000);
    expect([judged(OLD), judged('short')]).toEqual(['unauthenticated', 'unauthenticated']);
  });

  it.each([
    [0o600, true],
    [0o440, true],
    [0o640, true],
    [0o644, false],
    [0o604, false],
    [0o602, false],
  ])('a file of mode %o proves the agent: %s', (mode, isProof) => {
    chmodSync(path, mode);
    expect(judged(OLD) === AGENT).toBe(isProof);
    expect(readAgentCredentials(path, realFileSystem()).ok).toBe(isProof);
  });

  it('what is shown is in no detail of a refusal', () => {
    expect(JSON.stringify(credential.judge(NEW, []))).not.toContain(NEW);
    expect(JSON.stringify(credential.judge(`${OLD}x`, []))).not.toContain(OLD);
  });

  it.each<[what: string, text: string | undefined]>([
    ['no file', undefined],
    ['an empty file', ''],
    ['only line feeds', '\n\n'],
    ['a short credential beside a good one', `${OLD}\nshort\n`],
    ['three credentials', `${OLD}\n${NEW}\n${'x'.repeat(32)}\n`],
    ['white space in it', `${OLD} ${NEW}\n`],
    ['bytes that are no UTF-8 text', undefined],
    ['a line that is too long', 'x'.repeat(257)],
    ['more than a file of credentials is', 'x'.repeat(2_000)],
  ])('does not start on %s, and says how to make one', (what, text) => {
    if (text === undefined) unlinkSync(path);
    else writeFileSync(path, text, { mode: 0o600 });
    if (what.startsWith('bytes')) writeFileSync(path, Buffer.from([0xff, 0xfe, 0x80, 0x81]), { mode: 0o600 });
    const read = readAgentCredentials(path, realFileSystem());
    expect(read).toMatchObject({
      ok: false,
      error: [{ path: 'outbound.agent_credential_file', remedy: expect.stringContaining('urandom') }],
    });
  });
});
