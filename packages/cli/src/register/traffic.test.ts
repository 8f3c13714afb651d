/** What the record tells of agents, also where somebody writes names into it. */

import { readRecord } from '@sallyport/audit';
import type { RecordBody } from '@sallyport/audit';
import { utf8 } from '@sallyport/crypto';
import type { AgentName } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { decided, exportOf } from '../testing/records.ts';
import { traffic } from './traffic.ts';
import type { Traffic } from './traffic.ts';

function read(bodies: readonly RecordBody[]): Traffic {
  const seen = traffic();
  for (const line of exportOf(bodies).trimEnd().split('\n')) {
    const record = readRecord(utf8(line));
    if (record.ok) seen.add(record.value);
  }
  return seen;
}
const seenAs = (bodies: readonly RecordBody[]): Record<string, readonly string[]> =>
  Object.fromEntries(
    read(bodies)
      .agents()
      .map(({ agent, seen_as: as }) => [agent, as]),
  );
const toAgent = (name: string, more: Parameters<typeof decided>[1] = {}): RecordBody =>
  decided(name, {
    leg: 'inbound',
    decision: 'deny',
    code: 'agent_not_registered',
    gate: 'route',
    tool: '-',
    action: `POST /agents/${name}/invoke`,
    rule_id: 'gate:route',
    ...more,
  });

describe('agents in the record', () => {
  it('are those that called, were called, and handed a task on', () => {
    const hops = [{ agent: 'planner' as AgentName, sidecar: 'spiffe://acme.example/sidecar/planner/one', authority: 'retained' as const }];
    expect(
      seenAs([decided('1', { agent_id: 'desk' }), toAgent('ghost', { agent_id: 'desk' }), decided('2', { agent_id: 'desk', hops })]),
    ).toEqual({
      desk: ['called', 'caller'],
      ghost: ['called'],
      planner: ['delegating'],
    });
  });

  it('are told once each, with the first and the last time', () => {
    const [one] = read([decided('1'), decided('2'), decided('3')]).agents();
    expect(one).toMatchObject({ agent: 'support-triage', records: 3 });
    expect(Date.parse(one?.last_seen ?? '') - Date.parse(one?.first_seen ?? '')).toBe(2_000);
  });

  it.each([
    ['nobody: the neighbour of an agent', decided('1', { agent_id: '-' })],
    ['a name that is none', toAgent('..%2Fetc', { agent_id: '-' })],
    ['a path that names a call of another kind', toAgent('x', { agent_id: '-', code: 'malformed_request' })],
  ])('are not made of %s', (_what, body) => {
    expect(seenAs([body])).toEqual({});
  });

  it('a caller who makes names up fills no memory, and it is told that somebody did', () => {
    const seen = read(Array.from({ length: 5_003 }, (_, i) => toAgent(`made-up-${i}`, { agent_id: '-' })));
    expect([seen.agents().length, seen.leftOut]).toEqual([5_000, 3]);
  });

  it('a credential is stale since a sidecar last said so', () => {
    const alert = {
      kind: 'ALERT',
      code: 'CREDENTIAL_STALE',
      subject: null,
      detail: 'credential `orders-key` is older than its `max_age`',
    } as const;
    const seen = read([decided('1'), alert]);
    expect([seen.staleSince('orders-key'), seen.staleSince('other')]).toEqual(['2026-11-20T12:00:01.000Z', null]);
  });
});
