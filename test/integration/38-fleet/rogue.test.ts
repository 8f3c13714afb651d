/** Scenario A.39: a process that is no agent of the inventory, whatever it holds, neither joins the fleet nor gets traffic. */

import { createClient } from '@sallyport/net';
import { digestOf } from '@sallyport/crypto';
import { certificatePem, randomBytes } from '@sallyport/crypto/keys';
import { Fleet, StatusRequestSchema, create } from '@sallyport/contract';
import type { Digest } from '@sallyport/model';
import { realFileSystem } from '@sallyport/runtime';
import { parseJoinToken } from '@sallyport/trust';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enrol } from '../../../packages/sidecar/src/enrolment/enroller.ts';
import { identityFiles } from '../../../packages/sidecar/src/enrolment/identity-files.ts';
import { callAgent, posedSidecar, startAgents, type Agents, type AgentSide, type PosedSidecar } from '../../support/agents.ts';
import { recordOf } from '../../support/audit.ts';
import { delegationPolicy } from '../../support/delegation-policy.ts';
import { askAgent, codeOf } from '../../support/inbound.ts';
import { strangersCa, workload, workloadCa } from '../../support/workload-ca.ts';
import { refusedSubscription, workloadChannel } from '../../support/workload-channel.ts';
import type { HttpAnswer } from '../../support/world.ts';

const ROGUE = 'reporting-agent';

describe('a rogue agent', () => {
  let agents: Agents;
  let billing: AgentSide;
  let desk: PosedSidecar;
  let unlisted: PosedSidecar;
  beforeAll(async () => {
    agents = await startAgents(['billing'], ({ world, ...about }) => delegationPolicy({ ...about, idp: world.idp }));
    billing = agents.sides['billing'] as AgentSide;
    desk = await posedSidecar(agents.domain, 'front-desk', agents.world.clock);
    unlisted = await posedSidecar(agents.domain, ROGUE, agents.world.clock);
  });
  afterAll(async () => agents?.close());

  const reached = (): number => billing.stub.requests.length;
  const identities = async (): Promise<readonly string[]> => (await agents.world.admin.status()).sidecars.map((one) => one.spiffeId);
  /** A process of its own that enrols as the agent; its answer. */
  const enrolAs = async (agent: string, instance: string, secret: Uint8Array): Promise<string> => {
    const files = identityFiles(realFileSystem(), join(agents.world.dir, `rogue-${instance}`), { agent, instance });
    const proof = { trustDomain: 'demo.local', caDigest: digestOf(agents.domain.ca.certificate) as Digest, secret };
    const address = agents.world.controlPlane.addresses().enrolment;
    return enrol(proof, { files, instance, address, clock: agents.world.clock }).then(
      ({ spiffeId }) => spiffeId,
      (error: unknown) => String(error),
    );
  };
  const secretOf = (token: string): Uint8Array => {
    const parsed = parseJoinToken(token);
    if (!parsed.ok) throw new Error('a fresh token can be read');
    return parsed.value.secret;
  };

  it('A.39.1, [R9.17]: one that claims to be an agent registers with no valid identity, and is refused', async () => {
    const { world } = agents;
    const spent = secretOf(await world.admin.joinToken('stock'));
    expect(await enrolAs('stock', 'first', spent)).toBe('spiffe://demo.local/sidecar/stock/first');
    const refused: readonly [what: string, secret: Uint8Array, said: RegExp][] = [
      ['nothing', new Uint8Array(), /join token is unknown, spent or expired/],
      ['a secret that it made up', randomBytes(32), /join token is unknown, spent or expired/],
      ['a secret that was used before', spent, /join token is unknown, spent or expired/],
      // An administrator's slip: the token is good, the agent is in no inventory.
      ['a good token for an agent that nobody registered', secretOf(await world.admin.joinToken(ROGUE)), /not registered/],
    ];
    for (const [index, [what, secret, said]] of refused.entries()) expect(await enrolAs(ROGUE, `r${index}`, secret), what).toMatch(said);
    // With a certificate that it made itself it gets as little.
    const forged = workloadChannel(world, await workload(world, await strangersCa(world), certificateOf(ROGUE)));
    const { code, messages } = await refusedSubscription(forged);
    forged.close();
    expect([['unavailable', 'unauthenticated'].includes(code), messages]).toEqual([true, 0]);
    expect((await identities()).filter((id) => id.includes(ROGUE))).toEqual([]);
  });

  it('A.39.1: one without a certificate that names an agent in its headers gets no handshake, and no answer', async () => {
    const before = reached();
    const claims = { 'sallyport-agent': 'front-desk', 'x-agent-id': 'front-desk', 'x-forwarded-client-cert': `URI=${desk.id}` };
    const answer = await callAgent(agents, billing, { headers: claims }).then(codeOf, String);
    expect(answer).toMatch(/alert|ECONNRESET|socket hang up/i);
    // Nor does the certificate of one agent carry the claim to be another.
    const posing = await callAgent(agents, billing, {
      as: unlisted,
      hops: [await desk.hop([], { audience: billing.id })],
      headers: claims,
    });
    expect([posing.status, codeOf(posing), reached()]).toEqual([401, 'unauthenticated', before]);
  });

  it('A.39.2: one with a valid certificate that is in no inventory moves nothing: no call, no policy, no look at the fleet', async () => {
    const { world } = agents;
    const call = async (by: PosedSidecar): Promise<HttpAnswer> =>
      callAgent(agents, billing, { as: by, hops: [await by.hop([], { audience: billing.id })] });
    // The same, by an agent of the inventory.
    expect((await call(desk)).status).toBe(200);
    const before = reached();
    const answer = await call(unlisted);
    expect([answer.status, codeOf(answer), reached()]).toEqual([403, 'delegation_not_allowed', before]);
    expect(await recordOf(world, answer)).toMatchObject({ decision: 'deny', code: 'delegation_not_allowed', leg: 'inbound' });
    const channel = workloadChannel(world, await workload(world, workloadCa(world), certificateOf(ROGUE)));
    expect(await refusedSubscription(channel)).toEqual({ code: 'unauthenticated', messages: 0 });
    const fleet = await createClient(Fleet, channel).status(create(StatusRequestSchema, {}), { deadlineMs: 20_000 });
    expect(fleet).toMatchObject({ ok: false, error: { code: 'permission_denied' } });
    channel.close();
    expect((await identities()).filter((id) => id.includes(ROGUE))).toEqual([]);
  });

  it('[R9.17] what is sent to an agent that is not registered is answered with 403 and reaches nobody', async () => {
    const before = reached();
    const { world, domain } = agents;
    const target = {
      port: billing.port,
      ca: certificatePem(domain.ca.certificate),
      path: `/agents/${ROGUE}/invoke`,
      token: () => world.idp.mint(world.clock.wall()),
    };
    const answer = await askAgent(target, {
      json: { question: 'which order?' },
      connection: { ...desk.connection, checkServerIdentity: () => undefined },
    });
    expect([answer.status, codeOf(answer), reached()]).toEqual([403, 'agent_not_registered', before]);
    expect(await recordOf(world, answer)).toMatchObject({ decision: 'deny', code: 'agent_not_registered', leg: 'inbound' });
  });
});

const certificateOf = (agent: string): { path: string; usage: 'tls-client' } => ({ path: `/sidecar/${agent}/one`, usage: 'tls-client' });
