import { certificatePem } from '@sallyport/crypto/keys';
import type { AgentName, Instant } from '@sallyport/model';
import { recordingUpstream, testAuthority, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askAgent, codeOf, inboundConfig, inboundPort } from '../../support/inbound.ts';
import { issuerDocument } from '../../support/policies.ts';
import { eventually, startWorld, type HttpAnswer, type World } from '../../support/world.ts';

const AGENTS = { 'code-review-agent': 'engineering', 'reporting-agent': 'finance' } as const;
type Name = keyof typeof AGENTS;

describe('who may use which agent', () => {
  let world: World;
  let ca: string;
  const agents = {} as Record<Name, RecordingUpstream>;
  const ports = {} as Record<Name, number>;

  beforeAll(async () => {
    const authority = await testAuthority();
    ca = certificatePem(authority.ca.certificate);
    world = await startWorld();
    const documents = Object.entries(AGENTS).map(
      ([name, role]) => `kind: Agent\nname: ${name}\nowner: team\nuses: []\ncallers: [{ roles: [${role}] }]\n`,
    );
    await world.admin.publish(`apiVersion: sallyport.dev/v1\n${documents.join('---\n')}${issuerDocument(world.idp)}`);
    for (const name of Object.keys(AGENTS) as Name[]) {
      agents[name] = await recordingUpstream();
      const inbound = await inboundConfig({ world, authority }, agents[name].url);
      const sidecar = await world.startSidecar({ name, agent: name as string as AgentName, config: { inbound } });
      await eventually(() => sidecar.ready(), `readiness of ${name}`);
      ports[name] = inboundPort(sidecar);
    }
  });
  afterAll(async () => {
    await world?.close();
    for (const agent of Object.values(agents)) await agent.close();
  });

  const ask = (at: Name, named: Name, role: string): Promise<HttpAnswer> =>
    askAgent(
      {
        port: ports[at],
        ca,
        path: `/agents/${named}/invoke`,
        token: () => world.idp.mint(world.clock.wall() as Instant, { claims: { roles: [role] } }),
      },
      { json: { request: 'go' } },
    );

  it('[R3.03] engineering reaches the agent of code reviews and not the one of reports, finance the reverse', async () => {
    const seen: string[] = [];
    for (const role of ['engineering', 'finance'])
      for (const name of Object.keys(AGENTS) as Name[]) {
        const answer = await ask(name, name, role);
        seen.push(`${role} ${name} ${answer.status} ${codeOf(answer)}`);
      }
    expect(seen).toEqual([
      'engineering code-review-agent 200 200',
      'engineering reporting-agent 403 no_matching_policy',
      'finance code-review-agent 403 no_matching_policy',
      'finance reporting-agent 200 200',
    ]);
    expect(Object.values(agents).map(({ requests }) => requests.length)).toEqual([1, 1]);
  });

  it('and no sidecar leads to another’s agent, whoever asks', async () => {
    const before = Object.values(agents).map(({ requests }) => requests.length);
    expect(codeOf(await ask('code-review-agent', 'reporting-agent', 'finance'))).toBe('agent_not_registered');
    expect(codeOf(await ask('reporting-agent', 'code-review-agent', 'engineering'))).toBe('agent_not_registered');
    expect(Object.values(agents).map(({ requests }) => requests.length)).toEqual(before);
  });
});
