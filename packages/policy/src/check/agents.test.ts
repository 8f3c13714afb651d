import { formatProblem, type Agent } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { buildParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import { readParts } from '../compile/parts.ts';

const parse = (sessions: string): ReturnType<typeof parseDocuments> =>
  parseDocuments([
    { path: 'a.yaml', text: `apiVersion: sallyport.dev/v1\nkind: Agent\nname: desk\nowner: t\nuses: []\nsessions: ${sessions}\n` },
  ]);
const problems = (sessions: string): readonly string[] => {
  const parsed = parse(sessions);
  return parsed.ok ? [] : parsed.error.map(formatProblem);
};
const NIGHTLY = '{ name: nightly, root: schedule, as: { principal: svc, tenant: acme, scopes: [b, a] } }';

describe('jobs that open sessions', () => {
  it('come out of their part as they went in, with every default, and need a sidecar that knows them', () => {
    const parsed = parse(`{ roots: [schedule, event], jobs: [${NIGHTLY}, { name: alert, root: event, max: { count: 5, within: 1m } }] }`);
    const built = parsed.ok ? buildParts(parsed.value) : parsed;
    if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
    const read = readParts(built.value.parts);
    const agent: Agent | undefined = read.ok ? read.value.agents[0] : undefined;
    expect(agent?.sessions.jobs).toEqual([
      { name: 'alert', root: 'event', max: { count: 5, withinMs: 60_000 } },
      {
        name: 'nightly',
        root: 'schedule',
        as: { principal: 'svc', tenant: 'acme', roles: [], scopes: ['a', 'b'] },
        max: { count: 60, withinMs: 3_600_000 },
      },
    ]);
    expect(built.value.features).toContain('agent.jobs');
  });

  it.each([
    ['of a root that the agent has not', `{ jobs: [${NIGHTLY}] }`, 'has no root `schedule`'],
    ['of a schedule that is nobody', '{ roots: [schedule], jobs: [{ name: a, root: schedule }] }', 'nobody is there'],
    [
      'that are whoever proved nothing',
      '{ roots: [event], jobs: [{ name: a, root: event, as: { principal: anonymous, tenant: t } }] }',
      '`anonymous`',
    ],
    ['of an operator', '{ jobs: [{ name: a, root: operator }] }', 'is not a root of a job'],
    ['without a tenant', '{ roots: [event], jobs: [{ name: a, root: event, as: { principal: a } }] }', 'tenant'],
    ['two of one name', `{ roots: [schedule], jobs: [${NIGHTLY}, ${NIGHTLY}] }`, 'nightly'],
    ['none at all', '{ jobs: [] }', 'must not be empty'],
    ['without a bound', '{ roots: [event], jobs: [{ name: a, root: event, max: { count: 0, within: 1h } }] }', 'count'],
    ['with a bound of no span', '{ roots: [event], jobs: [{ name: a, root: event, max: { count: 1 } }] }', 'within'],
    [
      'with a scope for everything',
      '{ roots: [event], jobs: [{ name: a, root: event, as: { principal: a, tenant: t, scopes: [all] } }] }',
      'all',
    ],
  ])('are a problem %s', (_, sessions, said) => {
    expect(problems(sessions).join('\n')).toContain(said);
  });
});
