/** Somebody has everything that one sidecar's disk holds of its identity. What is another's stays another's, and so does what is an administrator's. */

import {
  Audit,
  BatchSchema,
  CreateJoinTokenRequestSchema,
  Directory,
  ExportRequestSchema,
  Fleet,
  GetHeadRequestSchema,
  GetHeadsRequestSchema,
  GetObjectRequestSchema,
  GetPartRequestSchema,
  ListReleasedRequestSchema,
  ListVersionsRequestSchema,
  MissingPartsRequestSchema,
  PolicyPlane,
  ProveRequestSchema,
  Publish,
  PutPartRequestSchema,
  ResumeSchema,
  RevokeRequestSchema,
  ShipMessageSchema,
  StatusRequestSchema,
  SubmitBundleRequestSchema,
  SubmitReleaseRequestSchema,
  SubmitRequestSchema,
  TailRequestSchema,
  create,
  type ShipMessage,
} from '@sallyport/contract';
import { digestOf, sha256, utf8 } from '@sallyport/crypto';
import { randomBytes } from '@sallyport/crypto/keys';
import type { AgentName } from '@sallyport/model';
import { createClient, type Channel } from '@sallyport/net';
import { policyStream, recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { areasOf, type PublishedLayer } from '../../support/areas.ts';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { stolenIdentity, tlsOf, workloadChannel } from '../../support/workload-channel.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const ORDER = { order_id: 'O-000123' };
const SOON = { deadlineMs: 20_000 };
const TEAMS = ['alpha', 'beta'] as const;
type Team = (typeof TEAMS)[number];

describe('with the stolen credentials of one sidecar', () => {
  let world: World;
  let up: RecordingUpstream;
  let thief: Channel;
  const layers = {} as Record<Team, PublishedLayer>;
  const sidecars = {} as Record<Team, RunningSidecar>;
  const streams = {} as Record<Team, string>;

  const policyOf = (team: Team): string =>
    ordersPolicy(up.url, READ_ORDERS, world.idp).replaceAll('support-triage', `${team}-agent`).replaceAll('read-orders', `${team}-reads`);
  const records = async (): Promise<readonly Record<string, unknown>[]> =>
    (await world.admin.tail()).map((line) => JSON.parse(line) as Record<string, unknown>);
  const readAt = async (team: Team): Promise<number> =>
    (await sidecars[team].call('orders/get_order', ORDER, await sidecars[team].session())).status;

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld({ areas: TEAMS });
    const areas = areasOf(world);
    for (const team of TEAMS) {
      layers[team] = await areas.publish(team, policyOf(team));
      await areas.release(team);
      sidecars[team] = await world.startSidecar({ name: team, agent: `${team}-agent` as AgentName, area: team });
    }
    for (const team of TEAMS) {
      await eventually(() => sidecars[team].ready(), `readiness of ${team}`);
      expect(await readAt(team)).toBe(200);
      streams[team] = await eventually(
        async () =>
          (await records()).find((one) => one['kind'] === 'DECISION' && one['agent_id'] === `${team}-agent`)?.['stream'] as string,
        `the stream of ${team}`,
      );
    }
    thief = workloadChannel(world, tlsOf(await stolenIdentity(sidecars.alpha, { agent: 'alpha-agent', instance: 'alpha' })));
  });
  afterAll(async () => {
    thief?.close();
    await world?.close();
    await up?.close();
  });

  /** Ships one message; the code that the call ends with, or what is answered. */
  async function ship(message: ShipMessage['message']): Promise<string> {
    const over = new AbortController();
    const { out, incoming } = createClient(Audit, thief).ship({ signal: over.signal });
    out.write(create(ShipMessageSchema, { message }), { priority: true });
    for await (const { answer } of incoming) {
      over.abort();
      return String(answer.case);
    }
    return (await incoming.status).code;
  }

  it('[R13.12] the other’s bundle is refused, by its digest and on the stream', async () => {
    const part = async (team: Team): Promise<string> => {
      const request = create(GetPartRequestSchema, { digest: digestOf(layers[team].layer.parts.policy), offset: 0n });
      const call = createClient(PolicyPlane, thief).getPart(request, { signal: new AbortController().signal });
      let bytes = 0;
      for await (const { data } of call) bytes += data.byteLength;
      return `${(await call.status).code} ${bytes > 0 ? 'bytes' : 'nothing'}`;
    };
    // The stolen identity is worth what it was: the refusal is not for want of a connection.
    expect([await part('alpha'), await part('beta')]).toEqual(['ok bytes', 'permission_denied nothing']);
    const stream = policyStream(thief);
    stream.hello();
    const offered = await stream.next('bundle');
    stream.close();
    expect(JSON.stringify(offered, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))).not.toContain(
      layers.beta.digest,
    );
    const told = stream.received.flatMap(({ message }) => (message.case === 'bundle' ? [Buffer.from(message.value.envelope)] : []));
    expect(told.map((envelope) => envelope.equals(Buffer.from(layers.alpha.envelope)))).toEqual([true]);
  });

  it('[R13.12] the other’s audit stream is not taken up, written to or read, and stays whole', async () => {
    const held = (await records()).filter((one) => one['stream'] === streams.beta).length;
    const forged = utf8('{"kind":"DECISION"}');
    const stream = streams.beta;
    expect([
      await ship({ case: 'resume', value: create(ResumeSchema, { stream, firstUnackedSeq: BigInt(held + 1) }) }),
      await ship({ case: 'batch', value: create(BatchSchema, { stream, firstSeq: BigInt(held + 1), records: [forged] }) }),
      await ship({ case: 'batch', value: create(BatchSchema, { stream, firstSeq: 1n, records: [forged] }) }),
    ]).toEqual(['permission_denied', 'permission_denied', 'permission_denied']);
    const tail = createClient(Audit, thief).tail(create(TailRequestSchema, {}), { signal: new AbortController().signal });
    let lines = 0;
    for await (const batch of tail) lines += batch.lines.length;
    expect([(await tail.status).code, lines]).toEqual(['permission_denied', 0]);
    // Beta goes on under the same stream, and nothing of it is in doubt.
    expect(await readAt('beta')).toBe(200);
    const later = await eventually(async () => {
      const own = (await records()).filter((one) => one['stream'] === stream);
      return own.length > held ? own : undefined;
    }, 'the next record of beta');
    expect(later.map((one) => one['seq'])).toEqual(later.map((_, index) => index + 1));
  });

  it('[R13.12] nothing of an administrator’s is done or shown', async () => {
    const before = await world.admin.status();
    const [publish, fleet, directory, plane] = [
      createClient(Publish, thief),
      createClient(Fleet, thief),
      createClient(Directory, thief),
      createClient(PolicyPlane, thief),
    ];
    const place = { area: 'beta', ring: 'default' };
    const secretHash = sha256(randomBytes(32));
    const expiresAtMs = BigInt(world.clock.wall() + 600_000);
    const object = create(GetObjectRequestSchema, { digest: layers.beta.digest });
    const put = publish.putPart(SOON);
    put.out.write(create(PutPartRequestSchema, { digest: digestOf(utf8('{}')), data: utf8('{}') }), { priority: true });
    put.out.end();
    const streamed = async (call: { readonly status: Promise<{ readonly code: string }> } & AsyncIterable<unknown>): Promise<string> => {
      let messages = 0;
      for await (const _ of call) messages += 1;
      return `${(await call.status).code}${messages === 0 ? '' : ' and told something'}`;
    };
    const { signal } = new AbortController();
    const asked = {
      getHeads: publish.getHeads(create(GetHeadsRequestSchema, place), SOON),
      missingParts: publish.missingParts(create(MissingPartsRequestSchema, {}), SOON),
      putPart: put.response,
      submitBundle: publish.submitBundle(create(SubmitBundleRequestSchema, { envelope: layers.beta.envelope }), SOON),
      submitRelease: publish.submitRelease(create(SubmitReleaseRequestSchema, { envelope: layers.beta.envelope }), SOON),
      revoke: publish.revoke(create(RevokeRequestSchema, { selector: 'agent', value: 'beta-agent', reason: 'theft' }), SOON),
      listVersions: publish.listVersions(create(ListVersionsRequestSchema, { ...place, limit: 10 }), SOON),
      listReleased: publish.listReleased(create(ListReleasedRequestSchema, {}), SOON),
      status: fleet.status(create(StatusRequestSchema, {}), SOON),
      createJoinToken: fleet.createJoinToken(
        create(CreateJoinTokenRequestSchema, { ...place, secretHash, agent: 'beta-agent', expiresAtMs }),
        SOON,
      ),
      submitDirectory: directory.submit(create(SubmitRequestSchema, { digest: digestOf(utf8('{}')) }), SOON),
      getDirectoryHead: directory.getHead(create(GetHeadRequestSchema, {}), SOON),
      prove: plane.prove(create(ProveRequestSchema, {}), SOON),
    };
    const answers: string[] = [];
    for (const [method, answer] of Object.entries(asked)) {
      const came = await answer;
      answers.push(`${method} ${came.ok ? 'ok' : came.error.code}`);
    }
    answers.push(`getObject ${await streamed(publish.getObject(object, { signal }))}`);
    answers.push(`watch ${await streamed(fleet.watch(create(StatusRequestSchema, {}), { signal }))}`);
    answers.push(`export ${await streamed(plane.export(create(ExportRequestSchema, {}), { signal }))}`);
    expect(answers.filter((answer) => !answer.endsWith(' permission_denied'))).toEqual([]);
    expect(answers).toHaveLength(16);
    const after = await world.admin.status();
    expect([after.releaseSeq, after.revocationSeq]).toEqual([before.releaseSeq, before.revocationSeq]);
    expect(await readAt('beta')).toBe(200);
  });
});
