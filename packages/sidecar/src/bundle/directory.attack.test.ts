import type { AgentName, DirectoryEntry, Instant, Principal, PrincipalId, SessionId, TenantId, ToolName } from '@sallyport/model';
import {
  flipBit,
  simulatedDisk,
  trustSimulator,
  type PublishedDirectory,
  type SimulatedDisk,
  type TrustSimulator,
} from '@sallyport/testkit';
import { keyRecordOf } from '@sallyport/trust';
import { beforeEach, describe, expect, it } from 'vitest';
import { authorization } from '../pipeline/gates/authorization.ts';
import { FOLDER, feed, nextBoot, publishPolicy, startBundleSide, type BundleSide } from '../testing/bundle-side.ts';

const POLICY = `apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [orders]
---
kind: ToolServer
name: orders
http: { url: "http://127.0.0.1:9" }
network: loopback
---
kind: Tool
name: orders/get_order
route: { method: GET, path: "/orders" }
effect: read
---
kind: Tool
name: orders/list_orders
route: { method: GET, path: "/list" }
effect: read
---
kind: Issuer
issuer: https://idp.test
audience: sallyport
keys: [{ kid: k1, kty: EC, crv: P-256, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0 }]
directory: { groups: { type: strings, values: [support], max_age: 5m } }
---
kind: Policy
agent: support-triage
rules:
  - { id: read, allow: [orders/get_order], when: '"support" in principal.attributes.groups' }
  - { id: list, allow: [orders/list_orders] }
`;

const ALICE: Principal = {
  id: 'alice' as PrincipalId,
  kind: 'person',
  tenant: 'acme' as TenantId,
  issuer: 'https://idp.test',
  roles: [],
  scopes: [],
  attributes: {},
  authenticatedAt: 0 as Instant,
};
const row = (groups: readonly string[]): DirectoryEntry => ({
  issuer: 'https://idp.test',
  tenant: 'acme',
  principal: 'alice',
  attributes: { groups },
});
const IN = [row(['support'])];

describe('attacks on what the directory says', () => {
  let sim: TrustSimulator;
  let disk: SimulatedDisk;
  let side: BundleSide;
  beforeEach(async () => {
    sim = await trustSimulator({ directoryAttributes: ['groups', 'level'] });
    disk = simulatedDisk();
    side = await startBundleSide({ simulator: sim, fs: disk.fs });
    const bundle = await publishPolicy(sim, { files: [{ path: 'policy.yaml', text: POLICY }] });
    await feed(side, sim, { bundle, release: await sim.publishRelease(bundle) });
    expect(side.serves()).toBe('release 1');
  });
  const publish = (entries: readonly DirectoryEntry[], bend = {}): Promise<PublishedDirectory> =>
    sim.publishDirectory(side.clock.wall(), entries, bend);

  /** What the gate answers to Alice, in a session that she has had open all along. */
  function asked(tool = 'orders/get_order', of: BundleSide = side, principal = ALICE): string {
    const held = of.holder.read();
    if (held.state !== 'fresh') return held.state;
    const pinned = held.snapshot.tools.get(tool as ToolName);
    const facts = { id: 's' as SessionId, root: 'operator', attempted: [], completed: [], failed: [], denied: [], classes: [] };
    const session = { principal, agent: 'support-triage' as AgentName, facts: () => facts };
    const gathered = authorization.gather(
      { ask: { dialect: 'mcp' }, serving: { begin: () => {} }, held, session, tool: pinned, args: {} } as never,
      { clock: of.clock, isolation: { of: () => undefined } } as never,
    );
    const { decision } = gathered as Exclude<typeof gathered, Promise<unknown>>;
    return decision.decision === 'allow' ? 'allow' : `${decision.code}: ${decision.detail}`;
  }
  /** Keeps the release fresh while time passes. */
  async function run(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 60_000) {
      await side.run(Math.min(left, 60_000));
      await side.hear(sim);
    }
  }

  it('removed while a session is open: the next call is refused, and what was under way is judged anew', async () => {
    expect(asked()).toMatch(/groups is the directory's to say/);
    expect(await side.offerDirectory(await publish(IN))).toEqual({ ok: true, value: 'taken' });
    expect(asked()).toBe('allow');
    const before = side.holder.read();
    await side.offerDirectory(await publish([]));
    expect(asked()).toMatch(/^no_matching_policy/);
    const after = side.holder.read();
    expect(before.state === 'fresh' && after.state === 'fresh' && after.snapshot.generation > before.snapshot.generation).toBe(true);
    expect(side.activator.position.directorySeq).toBe(2);
  });

  it('a replayed older directory gives nobody back what was taken', async () => {
    const old = await publish(IN);
    await side.offerDirectory(old);
    await side.offerDirectory(await publish([]));
    expect(await side.offerDirectory(old)).toMatchObject({ error: { code: 'ROLLBACK' } });
    expect(side.refusals).toContain('directory ROLLBACK');
    expect(asked()).toMatch(/^no_matching_policy/);
  });

  it('nor does a restart, with the older file put back on disk', async () => {
    await side.offerDirectory(await publish(IN));
    const older = disk.peek(`${FOLDER}/directory.json`)!;
    await side.offerDirectory(await publish([]));
    disk.plant(`${FOLDER}/directory.json`, older);
    const again = await startBundleSide({ simulator: sim, fs: disk.restart('killed'), clock: nextBoot(side.clock) });
    expect(again.refusals).toContain('directory ROLLBACK');
    expect(asked('orders/get_order', again)).toMatch(/groups is the directory's to say/);
    expect(asked('orders/list_orders', again)).toBe('allow');
  });

  it('is read again after a restart, and no younger', async () => {
    await side.offerDirectory(await publish(IN));
    await run(240_000);
    const clock = nextBoot(side.clock, { awayMs: 30_000 });
    const again = await startBundleSide({ simulator: sim, fs: disk.restart('killed'), clock });
    expect(again.refusals).toEqual([]);
    await again.prove(sim);
    expect(asked('orders/get_order', again)).toBe('allow');
    await again.run(31_000);
    await again.hear(sim);
    expect(asked('orders/get_order', again)).toMatch(/groups is the directory's to say/);
  });

  it('two directories under one seq: the second is refused, and the first stays', async () => {
    const one = await publish([]);
    await side.offerDirectory(one);
    const two = await publish(IN, { edit: (honest: PublishedDirectory['payload']) => ({ ...honest, seq: one.payload.seq }) });
    expect(await side.offerDirectory(two)).toMatchObject({ error: { code: 'EQUIVOCATION' } });
    expect(asked()).toMatch(/^no_matching_policy/);
  });

  it.each(['revocation-1', 'freshness-1', 'release-1', 'stranger'])('signed by %s, it says nothing', async (name) => {
    expect(await side.offerDirectory(await publish(IN, { signers: [name] }))).toMatchObject({ error: { code: 'SIGNATURE' } });
    expect(asked()).toMatch(/groups is the directory's to say/);
  });

  it('other content than the signed one, none, or one beyond the bound, leaves what was said', async () => {
    await side.offerDirectory(await publish([]));
    const next = await publish(IN);
    expect(await side.offerDirectory(next, flipBit(next.content, 40))).toMatchObject({ error: { code: 'DIGEST' } });
    expect(await side.activator.offer({ kind: 'directory', envelope: next.envelope, fetch: async () => undefined })).toMatchObject({
      error: { code: 'DIGEST' },
    });
    const huge = await publish(IN, {
      edit: (honest: PublishedDirectory['payload']) => ({ ...honest, content: { ...honest.content, bytes: 1e9 } }),
    });
    let fetches = 0;
    const fetch = async (): Promise<undefined> => void fetches++;
    expect(await side.activator.offer({ kind: 'directory', envelope: huge.envelope, fetch })).toMatchObject({ error: { code: 'SIZE' } });
    expect([fetches, asked().split(':')[0]]).toEqual([0, 'no_matching_policy']);
  });

  it('an attribute beyond the ceiling of Root refuses the whole directory', async () => {
    const said = [{ ...row(['support']), attributes: { groups: ['support'], admin: true } }];
    expect(await side.offerDirectory(await publish(said))).toMatchObject({ error: { code: 'ROOT' } });
    expect(asked()).toMatch(/groups is the directory's to say/);
  });

  it('a stolen key says only what the bundle declares: another value gets the principal refused, another name is nothing', async () => {
    await side.offerDirectory(await publish([row(['support', 'root'])]));
    expect([asked(), asked('orders/list_orders')]).toEqual([
      expect.stringMatching(/is not what was declared/),
      expect.stringMatching(/is not what was declared/),
    ]);
    await side.offerDirectory(await publish([{ ...row(['support']), attributes: { groups: ['support'], level: 9 } }]));
    expect(asked()).toBe('allow');
  });

  it('a claim, or what a session was opened with, is no word of the directory', async () => {
    await side.offerDirectory(await publish([]));
    expect(asked('orders/get_order', side, { ...ALICE, attributes: { groups: ['support'] } })).toMatch(/^no_matching_policy/);
  });

  it('a control plane that withholds it: older than its bound nothing is known, and whatever reads none goes on', async () => {
    await side.offerDirectory(await publish(IN));
    await run(300_000);
    expect(asked()).toBe('allow');
    const held = side.holder.read();
    await run(1_000);
    expect(asked()).toMatch(/groups is the directory's to say/);
    expect(asked('orders/list_orders')).toBe('allow');
    // What is under way hears of it too: it is another generation.
    const now = side.holder.read();
    expect(held.state === 'fresh' && now.state === 'fresh' && now.snapshot.generation > held.snapshot.generation).toBe(true);
  });

  it('a rewound wall clock makes it no younger', async () => {
    await side.offerDirectory(await publish(IN));
    side.clock.setWall((side.clock.wall() - 3_600_000) as Instant);
    await side.run(299_000);
    await side.activator.offer({ kind: 'freshness', offer: (await sim.stateFreshness((side.clock.wall() + 3_600_000) as Instant)).offer });
    await side.run(2_000);
    expect(asked()).toMatch(/groups is the directory's to say/);
  });

  it('the same that is signed again is younger, moves no content, and judges nothing anew', async () => {
    await side.offerDirectory(await publish(IN));
    await run(200_000);
    const before = side.holder.read();
    const again = await publish(IN);
    let fetches = 0;
    const fetch = async (): Promise<undefined> => void fetches++;
    expect(await side.activator.offer({ kind: 'directory', envelope: again.envelope, fetch })).toEqual({ ok: true, value: 'taken' });
    expect(await side.activator.offer({ kind: 'directory', envelope: again.envelope, fetch })).toEqual({ ok: true, value: 'already' });
    expect(fetches).toBe(0);
    await run(200_000);
    expect(asked()).toBe('allow');
    const after = side.holder.read();
    expect(before.state === 'fresh' && after.state === 'fresh' && after.snapshot === before.snapshot).toBe(true);
  });

  it('a root that takes the role away ends what was said', async () => {
    await side.offerDirectory(await publish(IN));
    const root = await sim.publishRoot({
      edit: ({ roles: { directory, ...roles }, ceilings: { freshnessTtlMsMax }, keys, ...honest }) => ({
        ...honest,
        roles,
        ceilings: { freshnessTtlMsMax },
        keys: keys.filter((key) => key.keyId !== keyRecordOf(sim.signer('directory-1').publicRaw).keyId && directory !== undefined),
      }),
    });
    expect(await side.offer({ kind: 'root', envelope: root.envelope })).toEqual({ ok: true, value: 'taken' });
    await side.hear(sim);
    expect(asked()).toMatch(/groups is the directory's to say/);
    expect(await side.offerDirectory(await publish(IN))).toMatchObject({ error: { code: 'ROOT' } });
  });
});
