/** The life of an agent's identity up to its end: what it held is worth nothing within the bound, and what it did stays on record. */

import { Enrolment, GetPartRequestSchema, PolicyPlane, RenewRequestSchema, create } from '@sallyport/contract';
import { createCsr, generateKey } from '@sallyport/crypto/keys';
import { createClient } from '@sallyport/net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callAgent, posedSidecar, startAgents, type Agents, type AgentSide, type PosedSidecar } from '../../support/agents.ts';
import { allCalls, sessionIdOf } from '../../support/audit.ts';
import { delegationPolicy } from '../../support/delegation-policy.ts';
import { codeOf } from '../../support/inbound.ts';
import { refusedSubscription, stolenIdentity, tlsOf, workloadChannel } from '../../support/workload-channel.ts';
import { eventually, type HttpAnswer } from '../../support/world.ts';

const ORDER = { order_id: 'O-000123' };
const CLAIMS = { scope: 'orders:read orders:write', tenant_id: 'acme' };
/** Of the world; a stream of a revoked identity ends by the next statement, three of which are in it. */
const TTL_MS = 60_000;

describe('an agent that is retired', () => {
  let agents: Agents;
  let billing: AgentSide;
  let desk: AgentSide;
  let posed: PosedSidecar;
  beforeAll(async () => {
    agents = await startAgents(['front-desk', 'billing'], ({ world, ...about }) => delegationPolicy({ ...about, idp: world.idp }));
    billing = agents.sides['billing'] as AgentSide;
    desk = agents.sides['front-desk'] as AgentSide;
    posed = await posedSidecar(agents.domain, 'front-desk', agents.world.clock);
  });
  afterAll(async () => agents?.close());

  /** Without its documents; whoever takes them out of the folder may overlook that billing takes tasks from it. */
  const without = (): string => {
    const whole = delegationPolicy({ sides: agents.sides, tool: agents.tool.url, idp: agents.world.idp, partner: agents.partner });
    const documents = whole.split('---\n').filter((one) => !/^kind: Agent\nname: front-desk$|^kind: Policy\nagent: front-desk$/m.test(one));
    return `apiVersion: sallyport.dev/v1\n${documents.join('---\n')}`;
  };
  const handOn = async (): Promise<HttpAnswer> =>
    callAgent(agents, billing, { as: posed, hops: [await posed.hop([], { audience: billing.id })] });

  it('its sessions, its hops, its sidecar and its certificate are refused; its record stays', async () => {
    const { world } = agents;
    const identity = await stolenIdentity(desk.sidecar, { agent: 'front-desk', instance: 'front-desk' });
    const channel = workloadChannel(world, tlsOf(identity));
    const renewed = async (): Promise<string> => {
      const keys = {
        tlsCsr: createCsr(identity.tlsPem),
        auditCsr: createCsr(identity.auditPem),
        assertionCsr: createCsr(generateKey('es256').privatePem),
      };
      const request = create(RenewRequestSchema, { counter: BigInt(identity.counter), ...keys });
      const answer = await createClient(Enrolment, channel).renew(request, { deadlineMs: 20_000 });
      return answer.ok ? 'ok' : `${answer.error.code}: ${answer.error.message}`;
    };
    const part = async (): Promise<string> => {
      const digest = `sha256:${'0'.repeat(64)}`;
      const call = createClient(PolicyPlane, channel).getPart(create(GetPartRequestSchema, { digest, offset: 0n }), {
        signal: new AbortController().signal,
      });
      for await (const _ of call) expect.unreachable('no such part');
      return (await call.status).code;
    };

    // In service.
    const session = await desk.sidecar.session(CLAIMS);
    const read = (): Promise<HttpAnswer> => desk.sidecar.call('orders/get_order', ORDER, session);
    expect([codeOf(await read()), codeOf(await handOn()), await part()]).toEqual(['200', '200', 'not_found']);

    // Deregistered: taken out of the policy, and its name revoked.
    await world.admin.publish(without());
    await eventually(async () => codeOf(await read()) === 'agent_not_registered', 'the release at its sidecar');
    expect(await renewed()).toMatch(/^failed_precondition: agent `front-desk` is not registered/);
    await world.admin.revoke('agent', 'front-desk');
    const from = world.clock.boot();
    // Others may still name it in their policy: their sidecars hear it too.
    await eventually(async () => codeOf(await handOn()) === 'token_revoked', 'the revocation at billing');
    const served = agents.tool.requests.length + billing.stub.requests.length;
    // Whoever holds a copy of its identity, also on a stream that was open before.
    expect([await renewed(), await part()]).toEqual(['permission_denied: this identity is revoked', 'permission_denied']);
    expect(await refusedSubscription(channel)).toEqual({ code: 'permission_denied', messages: 0 });
    const sidecarOf = async (name: string): Promise<boolean | undefined> =>
      (await world.admin.status()).sidecars.find(({ agent }) => agent === name)?.connected;
    await eventually(async () => (await sidecarOf('front-desk')) === false, 'the end of its stream');
    expect(world.clock.boot() - from).toBeLessThan(TTL_MS);
    expect(await sidecarOf('billing')).toBe(true);
    expect(codeOf(await handOn())).toBe('token_revoked');
    expect([401, 403, 503]).toContain((await read()).status);
    channel.close();

    // What it did, what it was refused since, and who ended it.
    const calls = await eventually(async () => {
      const own = (await allCalls(world)).filter((call) => call.session_id === sessionIdOf(session));
      return own.some(({ code }) => code === 'agent_not_registered') ? own : undefined;
    }, 'its refusals on record');
    expect(calls.find(({ decision }) => decision === 'allow')).toMatchObject({ agent_id: 'front-desk', tool: 'orders/get_order' });
    const acts = (await world.admin.tail()).map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(acts.find((one) => one['act'] === 'revoke')).toMatchObject({ object: 'agent front-desk' });
    expect(agents.tool.requests.length + billing.stub.requests.length).toBe(served);
  });
});
