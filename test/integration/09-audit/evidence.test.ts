/** What an export proves, and what it says of one that somebody touched. */

import { verifyExport, type Report } from '@sallyport/audit';
import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { authoritiesFor, trustRoot } from '@sallyport/trust';
import type { Digest } from '@sallyport/model';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { eventually, startWorld, type World } from '../../support/world.ts';

describe('an exported log', () => {
  let world: World;
  let up: RecordingUpstream;
  let lines: readonly string[];

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    await world.admin.publish(ordersPolicy(up.url, READ_ORDERS, world.idp));
    const sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
    const session = await sidecar.session();
    for (let i = 0; i < 6; i++) await sidecar.call('orders/get_order', { order_id: `O-00000${i}` }, session);
    await sidecar.drain();
    lines = await eventually(async () => {
      const exported = await world.admin.tail('records');
      return exported.some((line) => line.includes('"CLOSE"')) ? exported : undefined;
    }, 'the closed stream in the log');
  });
  afterAll(async () => {
    await world.close();
    await up.close();
  });

  /** Offline: the pin and the Root are all that is trusted. */
  const verify = (exported: readonly string[]): Report => {
    const pin = readFileSync(join(world.dir, 'root-pin'), 'utf8').trim() as Digest;
    const root = trustRoot({ pin, chain: [readFileSync(join(world.dir, 'root', '1.json'))], allowDevelopmentRoot: true });
    if (!root.ok) throw new Error(root.error.detail);
    const roots = root.value.certificateAuthorities.map(({ certificate, prefixes }) => ({ certificate, prefixes }));
    expect(authoritiesFor(root.value, 'spiffe://demo.local/control-plane')).toHaveLength(1);
    return verifyExport(
      exported.map((line) => new TextEncoder().encode(line)),
      { roots, trustDomain: root.value.trustDomain },
    );
  };
  const atOf = (part: string): number => {
    const at = lines.findIndex((line) => line.includes('"DECISION"') && line.includes(part));
    if (at < 0) throw new Error(`no decision with ${part}`);
    return at;
  };
  const decisionOf = (at: number): string => (JSON.parse(lines[at] ?? '{}') as { decision_id: string }).decision_id;

  it('as it left the control plane proves itself', () => {
    expect(verify(lines)).toMatchObject({ isSound: true, firstBad: null });
  });

  it('edited: the record is named [R10.19]', () => {
    const at = atOf('"read-orders"');
    const edited = lines.map((line, i) => (i === at ? line.replace('alice@company.com', 'mallory@evil.com') : line));
    expect(verify(edited).firstBad).toMatchObject({ reason: 'edited', line: at + 1, decisionId: decisionOf(at) });
  });

  it('deleted: the place is named [R10.19]', () => {
    const at = atOf('"read-orders"');
    const { seq } = JSON.parse(lines[at] ?? '{}') as { seq: number };
    expect(verify(lines.filter((_, i) => i !== at)).firstBad).toMatchObject({ reason: 'deleted', seq });
  });

  it('reordered: the first record that is out of place is named [R10.19]', () => {
    const at = atOf('"read-orders"');
    const swapped = [...lines];
    [swapped[at], swapped[at + 1]] = [lines[at + 1] ?? '', lines[at] ?? ''];
    const finding = verify(swapped).firstBad;
    expect(['reordered', 'deleted']).toContain(finding?.reason);
    expect(finding?.line).toBe(at + 1);
  });

  it('truncated: the missing tail shows, with or without the closing line [R10.19]', () => {
    const last = lines.at(-1) ?? '';
    expect(verify(lines.slice(0, -2)).isSound).toBe(false);
    expect(verify([...lines.slice(0, -3), last]).firstBad).toMatchObject({ reason: 'truncated' });
  });
});
