import type { ServerName, SessionId } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { deny, fail, ok, type AgentName, type Denial, type Result } from '@sallyport/model';
import { judgeStream, strangerOf } from './mcp-answers.ts';
import type { McpStreamOf, Ports } from './ports.ts';

const EXPIRES_AT = 1_000;
const stream = { session: 's', server: 'files', mcpSession: 'm', expiresAt: EXPIRES_AT } as unknown as McpStreamOf;

interface Facts {
  readonly state?: 'fresh' | 'stale' | 'absent';
  readonly now?: number;
  readonly isOpen?: boolean;
  readonly hasMcpSession?: boolean;
  readonly isRevoked?: boolean;
  readonly agents?: readonly string[];
}

/** What is in force, as far as a stream is judged by it. */
function ports({ state = 'fresh', now = 0, isOpen = true, hasMcpSession = true, isRevoked = false, agents = ['triage'] }: Facts): Ports {
  const snapshot = {
    generation: 7,
    revocations: { denies: () => isRevoked },
    agents: new Map(agents.map((name) => [name, {}])),
    servers: new Map(),
  };
  return {
    bundle: { read: () => (state === 'absent' ? { state } : { state, snapshot }) },
    clock: { wall: () => now },
    sessions: {
      peek: (id: SessionId) => (isOpen && id === 's' ? { principal: {}, agent: 'triage', tokenId: null, origin: {} } : undefined),
      find: () => {
        throw new Error('a stream that is looked at is no use of its session');
      },
    },
    mcpSessions: { has: (id: string, { server }: { server: ServerName }) => hasMcpSession && id === 'm' && server === 'files' },
  } as unknown as Ports;
}

describe('a stream, judged by what is in force', () => {
  it('goes on, and shows nothing of a server that is not there any more', () => {
    const view = judgeStream(stream, ports({}));
    if ('code' in view) throw new Error(view.code);
    expect([view.generation, view.listing()]).toEqual([7, '[]']);
  });

  it.each<[string, Facts, string]>([
    ['the policy is stale', { state: 'stale' }, 'policy_stale'],
    ['there is no policy', { state: 'absent' }, 'policy_stale'],
    ['its credential has expired', { now: EXPIRES_AT }, 'token_expired'],
    ['its session is over', { isOpen: false }, 'session_expired'],
    ['its MCP session is over', { hasMcpSession: false }, 'session_expired'],
    ['it is revoked', { isRevoked: true }, 'token_revoked'],
    ['its agent was taken out of the bundle', { agents: [] }, 'agent_not_registered'],
  ])('ends where %s', (_, facts, code) => {
    expect(judgeStream(stream, ports(facts))).toMatchObject({ code });
  });
});

describe('a stream of an agent that must prove itself', () => {
  const shown = { head: { headers: new Map([['sallyport-agent', 'key']]) }, peerChain: [] } as unknown as Parameters<typeof strangerOf>[0];
  const withdrawn = fail(deny('unauthenticated', 'withdrawn'));
  const proven: Result<AgentName, Denial> = ok('triage' as AgentName);

  it('ends when its credential is withdrawn, and not before', () => {
    let answer: Result<AgentName, Denial> = proven;
    const { stranger } = strangerOf(shown, { agentCredential: { isAsked: true, judge: (key) => (key === 'key' ? answer : withdrawn) } });
    expect(judgeStream({ ...stream, stranger: stranger! }, ports({}))).not.toHaveProperty('code');
    answer = withdrawn;
    expect(judgeStream({ ...stream, stranger: stranger! }, ports({}))).toMatchObject({ code: 'unauthenticated' });
  });

  it.each([
    ['is no longer verified', () => Promise.resolve(withdrawn), 'unauthenticated'],
    ['cannot be verified for a defect', () => Promise.reject(new Error('x')), 'internal'],
  ] as const)('ends at the look after its token %s', async (_what, judge, code) => {
    const { stranger } = strangerOf(shown, { agentCredential: { isAsked: true, judge } });
    judgeStream({ ...stream, stranger: stranger! }, ports({}));
    await new Promise((resolve) => setImmediate(resolve));
    expect(judgeStream({ ...stream, stranger: stranger! }, ports({}))).toMatchObject({ code });
  });

  it('is not asked where agents prove nothing', () => {
    expect(strangerOf(shown, { agentCredential: { isAsked: false, judge: () => proven } })).toEqual({});
  });
});
