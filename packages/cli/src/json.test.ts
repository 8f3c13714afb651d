/** Every command has an answer for programs, also where it has no good one. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from './commands.ts';
import { smallPolicy, writePolicy } from './testing/policies.ts';
import { terminal } from './testing/terminal.ts';
import type { Terminal } from './testing/terminal.ts';

/** How each command fails in a folder with nothing in it but a policy that does not build. */
const FAILURES: Readonly<Record<string, readonly [exit: number, ...argv: string[]]>> = {
  demo: [2, '--nope'],
  init: [1, '--server', 'http://127.0.0.1:1/mcp'],
  dev: [64, '--policy', 'nowhere'],
  sidecar: [64, '--config', 'nowhere.yaml'],
  'control-plane': [64, '--config', 'nowhere.yaml'],
  completion: [2, 'tcsh'],
  'policy check': [64, 'nowhere'],
  'policy test': [1, 'broken'],
  'policy diff': [64, 'broken', 'broken'],
  'policy replay': [64, '--from', 'nowhere.ndjson', '--policy', 'failing'],
  'policy suggest': [64, '--from', 'nowhere.ndjson'],
  'policy explain': [1, 'broken', '--call', 'a/b'],
  'policy publish': [64, 'failing'],
  'policy rollback': [64, '--reason', 'x'],
  'policy log': [64],
  'policy build': [1, 'broken', '--out', 'out'],
  'policy schema': [2, 'nowhere'],
  'tools import': [2, 'Not a name'],
  doctor: [1, '--sidecar-config', 'nowhere.yaml'],
  'doctor session': [64, '--inbound', 'https://localhost:1', '--agent', 'a', '--token-file', 'nowhere'],
  'fleet status': [64],
  'api-key create': [64, '--out', 'broken/x.yaml'],
  'agents join-token': [64, '--agent', 'a'],
  'identities export': [64],
  login: [1, '--issuer', 'http://127.0.0.1:9', '--client-id', 'x'],
  'operator token': [64],
  'revoke token': [64, 'x', '--reason', 'x'],
  'revoke principal': [64, 'x', '--reason', 'x'],
  'revoke credential': [64, 'x', '--reason', 'x'],
  'revoke session': [64, 'x', '--reason', 'x'],
  'revoke run': [64, 'x', '--reason', 'x'],
  'revoke account': [64, 'https://idp.test x', '--reason', 'x'],
  'revoke agent': [64, 'x', '--reason', 'x'],
  'revoke sidecar': [64, 'spiffe://x/y', '--reason', 'x'],
  'revoke tool': [64, 'a/b', '--reason', 'x'],
  'revoke bundle': [64, 'sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '--reason', 'x'],
  'revoke everything': [64, '*', '--reason', 'x'],
  'directory import': [64, 'nowhere.ndjson'],
  'directory show': [64, 'alice'],
  explain: [1, '--socket', 'nowhere'],
  'audit tail': [64],
  'audit verify': [64, 'nowhere.ndjson'],
  'audit session': [2, 'x'],
  'chaos run': [2, 'rolback'],
  'chaos list': [2, 'x'],
  'root init': [2],
  'root draft': [1, '--trust-domain', 'acme.test', '--out', 'root-1'],
  'root rotate': [64, '--out', 'root-2'],
  'root sign': [64, 'nowhere', '--key', 'nowhere', '--out', 'signed'],
  'root assemble': [64, 'nowhere'],
  'area delegate': [64, '--out', 'd'],
  'area sign': [64, 'nowhere', '--key', 'nowhere', '--out', 'signed'],
  'area assemble': [64, 'nowhere'],
  'online-keys keygen': [2, '--trust-domain', 'Not a name'],
  'online-keys draft': [64, '--out', 'o'],
  'online-keys sign': [64, 'nowhere', '--key', 'nowhere', '--out', 'signed'],
  'online-keys assemble': [64, 'nowhere'],
  'bundle keygen': [64, '--out', 'broken/x.yaml'],
  'bundle sign': [64, 'nowhere', '--key', 'nowhere'],
  'bundle submit': [64, 'nowhere'],
  'bundle verify': [64, 'nowhere'],
  'bundle export': [64, '--to', 'watched'],
  'bundle prove': [64, '--challenge', 'nowhere', '--to', 'watched'],
  'release promote': [64],
  'release fallback': [64, '--reason', 'x'],
  'release extend': [64, '--in', 'watched'],
};

let at: Terminal;
beforeAll(() => {
  at = terminal();
  writePolicy(at, 'broken', { 'x.yaml': 'apiVersion: sallyport.dev/v1\nkind: Polcy\n' });
  writePolicy(at, 'failing', smallPolicy({ expect: 'no_matching_policy' }));
});
afterAll(() => at.close());

describe('a failure under --json', () => {
  it('is thought of for every command', () => {
    expect(Object.keys(FAILURES).toSorted()).toEqual(COMMANDS.map(({ name }) => name).toSorted());
  });

  it.each(Object.entries(FAILURES))('%s: one document, of the same form as every other', async (name, [exit, ...argv]) => {
    const ran = await at.type(...name.split(' '), ...argv, '--json');
    const document = ran.json();
    // What the doctor finds is its answer, and so is what `policy check` finds.
    if (name === 'doctor') expect([ran.exit, document]).toMatchObject([exit, { ok: false, checks: expect.any(Array) }]);
    else {
      expect([ran.exit, document]).toMatchObject([exit, { exit, code: expect.stringMatching(/^[a-z_]+$/), message: expect.any(String) }]);
      expect(document).toHaveProperty('remedy');
      expect(document['problems']).toEqual(expect.arrayContaining([expect.objectContaining({ message: expect.any(String) })]));
    }
    expect(ran.out.trimEnd()).not.toContain('\n');
    expect(ran.err).not.toContain('sallyport');
  });

  it.each([
    ['no root of trust', ['policy', 'publish', 'failing'], /\.sallyport: there is no such folder$/, /sallyport root init --development/],
    ['no root of trust, and a question', ['fleet', 'status'], /\.sallyport: there is no such folder$/, /sallyport root init --development/],
    [
      'no configuration',
      ['control-plane', '--config', 'c.yaml'],
      /^c\.yaml: there is no such file \(looked for .*\/c\.yaml\)$/,
      /sallyport root init --development/,
    ],
    ['no sidecar configuration', ['sidecar', '--config', 's.yaml'], /^s\.yaml: there is no such file/, /sidecar-config\.md/],
    ['no policy', ['policy', 'check', 'nowhere'], /nowhere: /, /./],
    ['no issuer', ['operator', 'token'], /there is no development issuer/, /sallyport init/],
  ])('a first mistake says what to do: %s', async (_name, argv, message, remedy) => {
    const document = (await at.type(...argv, '--json')).json();
    expect([document['message'], document['remedy']]).toEqual([expect.stringMatching(message), expect.stringMatching(remedy)]);
    expect(document['problems']).toHaveLength(1);
  });

  it.each([
    ['policy check', 'broken'],
    ['policy test', 'failing'],
  ])('an answer that is no says why in the same members: %s', async (name, dir) => {
    const { exit, json } = await at.type(...name.split(' '), dir, '--json');
    expect([exit, json()]).toMatchObject([
      1,
      { exit: 1, code: 'answer_is_no', message: expect.stringContaining(dir), problems: expect.any(Array) },
    ]);
  });
});
