/** Layers at the control plane: published by different publishers, tried together before a release of them is accepted. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GetPartRequestSchema, PolicyPlane, create } from '@sallyport/contract';
import { digestOf } from '@sallyport/crypto';
import { formatProblem } from '@sallyport/model';
import { createClient } from '@sallyport/net';
import type { Channel } from '@sallyport/net';
import { buildParts, parseDocuments } from '@sallyport/policy';
import { controlPlaneHarness, policyStream } from '@sallyport/testkit';
import type { Bend, ControlPlaneHarness, PolicyStream, PublishedBundle } from '@sallyport/testkit';
import type { Bundle, Release } from '@sallyport/trust';

const COMPANY = 'company';
const SUPPORT = 'company/support';
const SALES = 'company/sales';

const companyText = (rule = 'deny: [{ class: money }], when: args.amount > 500'): string => `apiVersion: sallyport.dev/v1
kind: ToolServer
name: orders
http: { url: "http://127.0.0.1:9" }
network: loopback
---
kind: Tool
name: orders/refund
route: { method: POST, path: /refunds }
effect: write
classes: [money]
arguments: { required: [amount], properties: { amount: { type: integer } } }
---
kind: Policy
agents: "*"
rules:
  - { id: ceiling, ${rule} }
`;

const teamText = (rule = 'team'): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [orders]
---
kind: Policy
agent: support-triage
rules:
  - { id: ${rule}, allow: [orders/refund], for: { roles: [support-rep] } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: orders/refund, args: { amount: 20 }, expect: allow }
`;

let harness: ControlPlaneHarness;
const streams: PolicyStream[] = [];
beforeEach(async () => {
  harness = await controlPlaneHarness({ area: SUPPORT, layers: [COMPANY, SALES] });
});
afterEach(async () => {
  for (const stream of streams.splice(0)) stream.close();
  await harness.close();
});

/** Signs a layer that was built beneath these; nothing is submitted. */
async function layer(
  area: string,
  text: string,
  above: readonly PublishedBundle[] = [],
  bend: Bend<Bundle> = {},
): Promise<PublishedBundle> {
  const beneath = { name: area, above: above.map(({ payload, parts }) => ({ name: payload.area, parts })) };
  const source = parseDocuments([{ path: 'policy.yaml', text }], beneath);
  const built = source.ok ? buildParts(source.value, beneath) : source;
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
  const { parts, features } = built.value;
  const of = { ...bend, parts, edit: (honest: Bundle): Bundle => ({ ...honest, features }) };
  return area === SUPPORT ? harness.simulator.publishBundle(of) : harness.simulator.publishLayer(area, of);
}

async function published(area: string, text: string, above: readonly PublishedBundle[] = []): Promise<PublishedBundle> {
  const made = await layer(area, text, above);
  expect((await harness.submit(made)).problems).toEqual([]);
  return made;
}

async function connected(instance: string): Promise<{ readonly stream: PolicyStream; readonly channel: Channel }> {
  const { channel } = await harness.enrol({ instance });
  const stream = policyStream(channel);
  streams.push(stream);
  stream.hello();
  await stream.next('liveProof');
  return { stream, channel };
}

async function partOf(channel: Channel, bytes: Uint8Array): Promise<string> {
  const request = create(GetPartRequestSchema, { digest: digestOf(bytes), offset: 0n });
  const call = createClient(PolicyPlane, channel).getPart(request, { signal: new AbortController().signal });
  for await (const _ of call) void _;
  return (await call.status).code;
}

const both: Bend<Release> = { signers: ['release-1', 'release-2'], edit: (honest) => ({ ...honest, rollback: true, reason: 'why not' }) };

describe('publishing a layer', () => {
  test('each by its own publishers, beneath what is published above it', async () => {
    const company = await published(COMPANY, companyText());
    const team = await published(SUPPORT, teamText(), [company]);
    expect((await harness.acts()).map((act) => act['object'])).toEqual(['bundle company 1', `bundle ${SUPPORT} 1`]);
    expect((await harness.release([company, team])).answer).toMatchObject({ refusal: '', releaseSeq: 1n });
  });

  test('what does not fit beneath it is refused, with the author’s own file and line', async () => {
    const other = await layer(COMPANY, companyText().replace('ceiling', 'another'));
    await published(COMPANY, companyText());
    const forged = await layer(SUPPORT, teamText('ceiling'), [other]);
    const { problems } = await harness.submit(forged);
    expect(problems).toMatchObject([
      { message: expect.stringContaining('declares rule `ceiling` anew') as string, file: 'policy.yaml', line: 10 },
    ]);
  });

  test.each([
    ['the publishers of the team for the company', COMPANY, ['publisher-1', 'publisher-2']],
    ['the publisher of the company for the team', SUPPORT, ['publisher of company']],
    ['the publisher of another team', SUPPORT, ['publisher of company/sales']],
  ])('a layer signed by %s is refused', async (_who, area, signers) => {
    const company = await published(COMPANY, companyText());
    const forged = await layer(area, area === COMPANY ? companyText() : teamText(), area === COMPANY ? [] : [company], { signers });
    expect((await harness.submit(forged)).problems[0]?.message).toMatch(/REJECTED\((SIGNATURE|AREA)\)/);
  });

  test('an agent enrols where the layer that registers it is, or one below', async () => {
    await published(COMPANY, `${companyText()}---\nkind: Agent\nname: company-clerk\nowner: it\nuses: [orders]\n`);
    await expect(harness.enrol({ agent: 'company-clerk', instance: 'clerk' })).resolves.toMatchObject({ counter: 1n });
    await expect(harness.enrol({ agent: 'nobody', instance: 'none' })).rejects.toThrow();
  });
});

describe('releasing layers', () => {
  let company: PublishedBundle;
  let team: PublishedBundle;
  beforeEach(async () => {
    company = await published(COMPANY, companyText());
    team = await published(SUPPORT, teamText(), [company]);
  });

  test('they are tried together before anybody is offered them: what does not fit is refused', async () => {
    const stricter = await published(COMPANY, companyText('deny: [{ class: money }]'));
    expect((await harness.release([stricter, team])).answer).toMatchObject({
      refusal: 'release_rejected',
      detail: expect.stringContaining('REJECTED(SELFTEST)') as string,
    });
    const renamed = await published(COMPANY, companyText().replace('ceiling', 'team'));
    const clash = { edit: (honest: Release): Release => ({ ...honest, releaseSeq: 1 as never }) };
    expect((await harness.release([renamed, team], clash)).answer).toMatchObject({
      refusal: 'release_rejected',
      detail: expect.stringContaining('REJECTED(LAYER)') as string,
    });
    expect((await harness.release([company, team], clash)).answer).toMatchObject({ refusal: '' });
  });

  test.each<[string, () => readonly PublishedBundle[], string]>([
    ['above what covers it', () => [team, company], 'REJECTED(LAYER)'],
    ['twice', () => [company, team, team], 'REJECTED(AREA)'],
  ])('a layer named %s is refused', async (_how, order, code) => {
    expect((await harness.release(order())).answer).toMatchObject({
      refusal: 'release_rejected',
      detail: expect.stringContaining(code) as string,
    });
  });

  test('a layer of an area that does not cover the release’s is refused', async () => {
    const sales = await published(SALES, 'apiVersion: sallyport.dev/v1\nkind: Agent\nname: seller\nowner: sales\nuses: [orders]\n', [
      company,
    ]);
    expect((await harness.release([company, sales])).answer).toMatchObject({
      refusal: 'release_rejected',
      detail: expect.stringContaining('REJECTED(AREA)') as string,
    });
  });

  test('a layer left out is a return: one key does not, two and a reason do, and it need be said once', async () => {
    const alone = await published(
      SUPPORT,
      teamText()
        .replace('uses: [orders]', 'uses: []')
        .replace(/---\nkind: Policy[\s\S]*/, ''),
    );
    await harness.release([company, team]);
    expect((await harness.release([alone])).answer.refusal).toBe('bundle_rollback_refused');
    const seq = (releaseSeq: number, bend: Bend<Release> = {}): Bend<Release> => ({
      ...bend,
      edit: (honest) => ({ ...(bend.edit?.(honest) ?? honest), releaseSeq: releaseSeq as never }),
    });
    expect((await harness.release([alone], seq(2, both))).answer).toMatchObject({ refusal: '', releaseSeq: 2n });
    expect((await harness.release([alone], seq(3))).answer).toMatchObject({ refusal: '', releaseSeq: 3n });
  });

  test('a sidecar is offered what a release joins before it is in force, the broadest first, and parts of nothing else', async () => {
    const { stream, channel } = await connected('one');
    // Its own newest bundle is staged; the company's is nobody's business before a release wants it.
    expect(Buffer.from(team.envelope).equals((await stream.next('bundle')).envelope)).toBe(true);
    stream.answer('STAGED');
    expect(await partOf(channel, team.parts.identity)).toBe('ok');
    expect(await partOf(channel, company.parts.policy)).toBe('permission_denied');
    const releasing = harness.release([company, team]);
    expect(Buffer.from(company.envelope).equals((await stream.next('bundle')).envelope)).toBe(true);
    expect(await partOf(channel, company.parts.policy)).toBe('ok');
    stream.answer('STAGED');
    expect((await releasing).answer).toMatchObject({ refusal: '', notStaged: [] });
    stream.obey();
    await stream.next('release');
    const newer = await published(COMPANY, companyText('deny: [{ class: money }], when: args.amount > 400'));
    const other = await published(SALES, 'apiVersion: sallyport.dev/v1\nkind: Agent\nname: seller\nowner: sales\nuses: [orders]\n', [
      company,
    ]);
    // The company's catalog is the same in both; its rules are not.
    expect(await partOf(channel, newer.parts.policy)).toBe('permission_denied');
    expect(await partOf(channel, other.parts.identity)).toBe('permission_denied');
    expect(await partOf(channel, company.parts.policy)).toBe('ok');
  });
});
