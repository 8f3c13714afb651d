import type { Agent, CallerGrant, Principal } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { buildParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import { judgeCaller } from './callers.ts';

const alice = {
  id: 'alice@acme.example',
  kind: 'person',
  tenant: 'acme',
  roles: ['engineering', 'on-call'],
  scopes: ['agent.use', 'profile'],
} as unknown as Principal;
const nobody = { ...alice, id: 'anonymous', kind: 'anonymous' } as unknown as Principal;

const judged = (callers: readonly CallerGrant[] | undefined, principal = alice): string => {
  const verdict = judgeCaller({ name: 'triage', ...(callers === undefined ? {} : { callers }) } as unknown as Agent, principal);
  return verdict.verdict === 'granted' ? verdict.ruleId : verdict.verdict;
};

describe('whom an agent may act for', () => {
  it.each<[string, readonly CallerGrant[] | undefined, string]>([
    ['an agent that does not say', undefined, 'undeclared'],
    ['an agent that names nobody', [], 'refused'],
    ['one of several roles', [{ roles: ['sales', 'on-call'] }], 'caller:1'],
    ['none of the roles', [{ roles: ['sales', 'finance'] }], 'refused'],
    ['a role whose name only begins alike', [{ roles: ['engineer'] }], 'refused'],
    ['its tenant', [{ tenants: ['acme'] }], 'caller:1'],
    ['another tenant', [{ tenants: ['evil'] }], 'refused'],
    ['the right role in another tenant', [{ roles: ['engineering'], tenants: ['evil'] }], 'refused'],
    ['its id', [{ principals: ['alice@acme.example'] }], 'caller:1'],
    ['its id in other letters', [{ principals: ['Alice@acme.example'] }], 'refused'],
    ['every scope', [{ scopes: ['agent.use', 'profile'] }], 'caller:1'],
    ['one scope of two', [{ scopes: ['agent.use', 'admin'] }], 'refused'],
    ['a role where an id is meant', [{ principals: ['engineering'] }], 'refused'],
    ['the second grant', [{ roles: ['sales'] }, { roles: ['on-call'] }], 'caller:2'],
    [
      'two grants that each hold by half',
      [
        { roles: ['sales'], tenants: ['acme'] },
        { roles: ['on-call'], tenants: ['evil'] },
      ],
      'refused',
    ],
  ])('%s', (_name, callers, expected) => {
    expect(judged(callers)).toBe(expected);
  });

  it.each<[string, readonly CallerGrant[], string]>([
    ['roles that somebody gave it', [{ roles: ['engineering'] }], 'refused'],
    ['its tenant', [{ tenants: ['acme'] }], 'refused'],
    ['its own name', [{ principals: ['anonymous'] }], 'caller:1'],
    ['its own name with a role that it lacks', [{ principals: ['anonymous'], roles: ['sales'] }], 'refused'],
  ])('whoever proved nothing is granted by %s: %s', (_name, callers, expected) => {
    expect(judged(callers, nobody)).toBe(expected);
  });
});

const documents = (callers: string): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: triage
owner: team
uses: []
${callers}
`;
const problemsOf = (callers: string): string => {
  const parsed = parseDocuments([{ path: 'a.yaml', text: documents(callers) }]);
  return parsed.ok ? 'none' : parsed.error.map(({ message }) => message).join('; ');
};

describe('callers in a document', () => {
  it('reach the sidecar as written, in their order, and the bundle names the feature', () => {
    const parsed = parseDocuments([{ path: 'a.yaml', text: documents('callers: [{ scopes: [b, a], roles: [x] }, { principals: [p] }]') }]);
    const built = parsed.ok ? buildParts(parsed.value) : undefined;
    expect(built?.ok === true && built.value.features).toContain('agent.callers');
    const agent = built?.ok === true ? built.value.policy.parts.agents[0] : undefined;
    expect(agent?.callers).toEqual([{ roles: ['x'], scopes: ['a', 'b'] }, { principals: ['p'] }]);
  });

  it('an empty list stays one: it is not the same as none', () => {
    const parsed = parseDocuments([{ path: 'a.yaml', text: documents('callers: []') }]);
    const built = parsed.ok ? buildParts(parsed.value) : undefined;
    expect(built?.ok === true && built.value.policy.parts.agents[0]?.callers).toEqual([]);
  });

  it.each([
    ['callers: [{}]', 'a caller names nobody'],
    ['callers: [{ roles: [] }]', 'must not be empty'],
    ['callers: [{ role: [x] }]', 'role'],
    ['callers: [{ roles: ["${env.who}"] }]', 'is not substituted here'],
    ['callers: [{ roles: [x, x] }]', 'twice'],
    ['callers: everybody', 'must be a list'],
  ])('%s is refused', (text, why) => {
    expect(problemsOf(text)).toContain(why);
  });
});
