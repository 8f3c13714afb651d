import { systemClock } from '@sallyport/runtime';
import type { Instant } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { decisionBody, outcomeBody } from '../testing/audit-side.ts';
import { READY, ask, serving } from '../testing/listening.ts';
import { adminExchange } from './admin-exchange.ts';
import { lastDecisions } from './decisions.ts';

const AT = { at: Date.parse('2026-11-20T08:00:00.000Z') as Instant };

describe('the admin socket', () => {
  const decisions = lastDecisions();
  const why = { source: { file: 'rules.yaml', line: 12 }, fields: ['n'], unmet: [], change: ['let args.n be at most 5'] };
  decisions.see(decisionBody('D1', { detail: 'who fell short of what' }), { ...AT, why });
  decisions.see(outcomeBody('D1'), AT);
  let drains = 0;
  const admin = (): Promise<number> =>
    serving(adminExchange({ readiness: () => READY, decisions, credentials: () => [], clock: systemClock(), drain: () => drains++ }));

  it('gives one decision with its outcome, and what stood behind it', async () => {
    const found = await ask(await admin(), '/decisions/D1');
    expect([found.status, JSON.parse(found.text)]).toMatchObject([
      200,
      {
        at: '2026-11-20T08:00:00.000Z',
        decision: { decision_id: 'D1', detail: 'who fell short of what' },
        outcome: { result: 'ok' },
        why,
      },
    ]);
    expect((await ask(await admin(), '/decisions/D2')).status).toBe(404);
    expect((await ask(await admin(), '/decisions/..%2f..%2fetc')).status).toBe(404);
  });

  it('drains on POST alone, after it has answered', async () => {
    const port = await admin();
    expect((await ask(port, '/drain')).status).toBe(404);
    expect(drains).toBe(0);
    expect((await ask(port, '/drain', { method: 'POST' })).status).toBe(202);
    await expect.poll(() => drains).toBe(1);
  });

  it('lists the newest first, and no more than a hundred', async () => {
    for (let i = 0; i < 150; i++) decisions.see(decisionBody(`L${i}`), AT);
    const { decisions: listed } = JSON.parse((await ask(await admin(), '/decisions')).text) as {
      decisions: { decision: { decision_id: string } }[];
    };
    expect([listed.length, listed[0]?.decision.decision_id]).toEqual([100, 'L149']);
    expect(JSON.parse((await ask(await admin(), '/status')).text)).toEqual(READY);
  });

  interface Listed {
    readonly decisions: readonly { readonly decision: { readonly decision_id: string; readonly session_id: string } }[];
    readonly next: number;
    readonly gap?: boolean;
  }
  const asked = async (port: number, query: string): Promise<Listed> => JSON.parse((await ask(port, `/decisions?${query}`)).text) as Listed;

  it('narrows a list to a session, and to a number', async () => {
    const port = await admin();
    decisions.see(decisionBody('S1', { session_id: 'other.session' }), AT);
    expect((await asked(port, 'session=other.session')).decisions).toMatchObject([{ decision: { decision_id: 'S1' } }]);
    expect((await asked(port, 'limit=2')).decisions).toHaveLength(2);
  });

  it('answers a reader that waits as soon as something happens, and one for whom nothing did when the wait is over', async () => {
    const port = await admin();
    const { next } = await asked(port, 'limit=1');
    const waiting = asked(port, `after=${next}&wait_ms=30000`);
    // Whether it waits already or finds it there: it hears of it.
    decisions.see(decisionBody('W1'), AT);
    expect((await waiting).decisions).toMatchObject([{ decision: { decision_id: 'W1' } }]);
    const { next: place } = await asked(port, 'limit=1');
    expect(await asked(port, `after=${place}&wait_ms=1`)).toEqual({ decisions: [], next: place, gap: false });
  });

  it.each(['limit=0', 'limit=1001', 'limit=1e2', 'wait_ms=30001', 'after=-1', 'after=1&after=2', 'since=3', 'session=a&session=b'])(
    'refuses a query that it does not understand: %s',
    async (query) => {
      expect((await ask(await admin(), `/decisions?${query}`)).status).toBe(400);
    },
  );
});
