/** The act in which a rule is changed while the agent works: first against its tests, then with them. */

import { join } from 'node:path';
import { publishedText } from '../begin.ts';
import { editFile } from '../example.ts';
import { POLICY_DIR } from '../stage.ts';
import { act } from '../telling.ts';
import type { Telling } from '../telling.ts';
import { answerOf } from '../typed.ts';
import { ALICE, AMOUNT, fileReport, readReceipt } from './calls.ts';
import type { Desk } from './desk.ts';

export async function changeRule(telling: Telling, desk: Desk): Promise<void> {
  const { stage, steps, screen, io } = telling;
  await act(telling, {
    name: 'changed',
    title: 'A rule is changed while the agent works',
    says: ['The filing limit in policy/rules.yaml becomes smaller:'],
  });
  screen.print('     - approval: { when: args.amount > 500, …', '     + approval: { when: args.amount > 100, …', '');
  const session = await desk.open(ALICE);
  await desk.call(readReceipt, session);
  editFile(join(stage.policyDir, 'rules.yaml'), (text) => text.replace('args.amount > 500', 'args.amount > 100'));
  const refused = answerOf(await stage.type(['policy', 'publish', POLICY_DIR, '--json']));
  const { problems = [] } = refused as { readonly problems?: readonly { readonly file?: string; readonly line?: number }[] };
  const [first] = problems;
  steps.take(
    {
      name: 'policy publish, while tests.yaml says otherwise',
      expected: 'refused at policy/tests.yaml',
      seen: first?.file === undefined ? JSON.stringify(refused) : `refused at ${first.file}`,
    },
    {
      mark: 'ok',
      title: 'policy publish  refuses it: tests.yaml says otherwise',
      details: [`${first?.file}:${first?.line}, and ${problems.length - 1} more; nothing was sent`],
    },
  );
  editFile(join(stage.policyDir, 'tests.yaml'), (text) => text.replaceAll('127.50', '27.50').replaceAll('amount: 500,', 'amount: 100,'));
  const begun = io.clock.boot();
  const published = answerOf(await stage.type(['policy', 'publish', POLICY_DIR, '--wait', '--json']));
  const took = `${((io.clock.boot() - begun) / 1_000).toFixed(1)} s from the command to the last sidecar`;
  steps.take(
    { name: 'policy publish', expected: 'release 2, in force at 1 sidecar', seen: publishedText(published) },
    { mark: 'ok', title: 'policy publish  with the tests changed too: in force', details: [took] },
  );
  desk.rereadRules();
  const call = fileReport(AMOUNT);
  const title = 'the next call, in an open session: $127.50';
  await desk.tell({ ...call, title, told: '403 requires_approval', rule: 'file-report' }, session);
}
