import type { CallerRequest } from '@sallyport/credentials';
import { ok, deny, fail, type Digest, type Instant } from '@sallyport/model';
import { buildParts, parseDocuments, type CompiledPolicy } from '@sallyport/policy';
import { fakeClock, type FakeClock } from '@sallyport/testkit';
import { createHmac } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { callerDoor } from '../callers/caller-door.ts';
import { clientOperator, type Shown } from './client-caller.ts';
import type { ChosenMethod, Ports } from './ports.ts';

const SECRET = 'a-secret-of-24-characters';
const BODY = '{"type":"event_callback","team_id":"T123","event":{"type":"message","user":"U123"}}';
const policyOf = (user: string): CompiledPolicy => {
  const text = `apiVersion: sallyport.dev/v1
kind: CallerMethod
name: chat
slack: { secret: { file: chat } }
principals: [{ subject: T123/${user}, id: alice, tenant: t }]
`;
  const parsed = parseDocuments([{ path: 'p.yaml', text }]);
  const built = parsed.ok ? buildParts(parsed.value) : parsed;
  if (!built.ok) throw new Error(JSON.stringify(built.error));
  return built.value.policy;
};

let clock: FakeClock;
let ports: Ports;
let reads: number;
beforeEach(() => {
  clock = fakeClock({ wall: 1_800_000_000_000 as Instant });
  reads = 0;
  const secrets = { ready: () => undefined, secretOf: () => Buffer.from(SECRET) };
  ports = {
    agent: 'triage',
    clock,
    schemes: { inbound: 'https', outbound: 'http' },
    limits: { requestBodyBytesMax: 100_000 },
    callers: callerDoor({ clock, secrets, replaysMax: 1_000, unprovenBytesMax: 1_000_000 }),
    operatorTokens: { verify: async () => fail(deny('unauthenticated', 'no token was expected')) },
  } as unknown as Ports;
});

function shown(policy = policyOf('U123'), timestamp = Math.floor(clock.wall() / 1000), secret = SECRET): Shown {
  const mac = createHmac('sha256', secret).update(`v0:${timestamp}:${BODY}`).digest('hex');
  const headers = { 'x-slack-signature': `v0=${mac}`, 'x-slack-request-timestamp': String(timestamp), 'content-type': 'application/json' };
  return {
    leg: 'inbound',
    method: 'POST',
    target: '/agents/triage',
    rawHeaders: Object.entries(headers).flat(),
    peerChain: [],
    head: {
      method: 'POST',
      target: { host: 'gate.example', port: undefined },
      headers: { get: (name: keyof typeof headers) => headers[name] },
    },
    held: { snapshot: { policy, policyDigest: `sha256:${'0'.repeat(64)}` as Digest, issuers: [], agents: new Map() } },
    body: {
      read: async () => {
        reads += 1;
        return ok(Buffer.from(BODY));
      },
    },
  } as unknown as Shown;
}

describe('a caller whose signature was taken', () => {
  it('goes on after the window of its signature, and is taken no second time', async () => {
    const request = shown();
    const first = await clientOperator(request, undefined, ports);
    if (!first.ok) throw new Error(first.error.detail);
    await clock.advance(600_000);
    expect(await clientOperator(request, first.value, ports)).toMatchObject({ ok: true, value: { principal: { id: 'alice' } } });
    expect(await clientOperator(request, undefined, ports)).toMatchObject({ ok: false, error: { code: 'token_expired' } });
  });

  it('is who the policy says now, and nobody where it names nobody any more', async () => {
    const request = shown();
    const first = await clientOperator(request, undefined, ports);
    if (!first.ok) throw new Error(first.error.detail);
    const next = { ...request, held: { ...request.held, snapshot: { ...request.held.snapshot, policy: policyOf('U999') } } };
    expect(await clientOperator(next, first.value, ports)).toMatchObject({ ok: false, error: { code: 'no_matching_policy' } });
  });
});

describe('a request whose head nobody could judge', () => {
  const agents = new Map([['triage', { name: 'triage', callers: [{ roles: ['x'] }, { principals: ['anonymous'] }] }]]);
  const marked = (): Shown => {
    const request = shown();
    return { ...request, held: { ...request.held, snapshot: { ...request.held.snapshot, agents } } } as unknown as Shown;
  };

  it('replay: stays nobody’s when identity is back before its end, and has spent nothing by which it could be somebody’s', async () => {
    const { callers } = ports;
    const away = {
      ...ports,
      callers: callerDoor({
        clock,
        secrets: { ready: () => undefined, secretOf: () => undefined },
        replaysMax: 10,
        unprovenBytesMax: 1_000_000,
      }),
    };
    const nobody = await clientOperator(marked(), undefined, away);
    expect(nobody).toMatchObject({ ok: true, value: { principal: { kind: 'anonymous' } } });
    const earlier = nobody.ok ? nobody.value : undefined;
    expect(await clientOperator(marked(), earlier, { ...ports, callers })).toMatchObject({
      ok: true,
      value: { principal: { kind: 'anonymous' } },
    });
  });

  it('possession: nor is a bound token taken as one whose proof was looked at', async () => {
    const asked: unknown[] = [];
    const operatorTokens = {
      verify: async (_token: string, how: unknown) => (asked.push(how), fail(deny('identity_unavailable', 'no keys'))),
    };
    const headers: Record<string, string> = { authorization: 'DPoP a.b.c', dpop: 'x.y.z' };
    const request = marked();
    const bound = {
      ...request,
      rawHeaders: [],
      head: { ...request.head, headers: { get: (name: string) => headers[name] } },
    } as unknown as Shown;
    const under = { ...ports, operatorTokens } as unknown as Ports;
    const nobody = await clientOperator(bound, undefined, under);
    await clientOperator(bound, nobody.ok ? nobody.value : undefined, under);
    expect(asked).toMatchObject([{ possession: { proof: 'x.y.z' } }]);
  });

  it('is refused once the agent takes nobody any more', async () => {
    const earlier = { principal: { kind: 'anonymous' }, times: {} } as never;
    expect(await clientOperator(shown(), earlier, ports)).toMatchObject({ ok: false, error: { code: 'identity_unavailable' } });
  });
});

describe('a body', () => {
  it.each<[what: string, request: () => Shown, isRead: boolean]>([
    ['is read for a head that may be good', () => shown(), true],
    ['is not read for a head that is not', () => shown(undefined, 1), false],
  ])('%s', async (_what, request, isRead) => {
    await clientOperator(request(), undefined, ports);
    expect(reads > 0).toBe(isRead);
  });

  it('is asked for as far as senders sign, and as it came', async () => {
    const asked: unknown[] = [];
    const body = { read: async (how: unknown) => (asked.push(how), fail(deny('payload_too_large', 'long'))) };
    const refused = await clientOperator({ ...shown(), body } as unknown as Shown, undefined, ports);
    expect([asked, refused]).toMatchObject([
      [{ bytesMax: 65_536, coding: 'identity' }],
      { ok: false, error: { code: 'payload_too_large' } },
    ]);
  });
});

it('what a method is asked about is the request as it came, not as the framing read it', async () => {
  const seen: CallerRequest[] = [];
  const choose = (_policy: CompiledPolicy, request: CallerRequest): ReturnType<Ports['callers']['choose']> => {
    seen.push(request);
    return ok(undefined as ChosenMethod | undefined);
  };
  const request = { ...shown(), target: '/agents/triage/./x?a=%20b', peerChain: [Uint8Array.of(1)] };
  await clientOperator(request, undefined, { ...ports, callers: { ...ports.callers, hasAny: () => true, choose } });
  expect(seen).toMatchObject([{ target: '/agents/triage/./x?a=%20b', authority: 'gate.example', peerCertificate: [Uint8Array.of(1)] }]);
});
