import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { recordOf } from '../../support/audit.ts';
import { codeOf, startInbound, type InboundSide } from '../../support/inbound.ts';
import { eventually } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';

describe('a stranger with a token that is good elsewhere', () => {
  let side: InboundSide;
  const open: TLSSocket[] = [];
  beforeAll(async () => {
    side = await startInbound();
  });
  afterAll(async () => {
    for (const socket of open) socket.destroy();
    await side?.close();
  });

  it('cannot fill the account of buffered bytes with bodies that trickle: none of them is read', async () => {
    const stranger = side.token({ sub: 'dave@company.com', roles: ['finance'] });
    const head = ['Host: a', `Authorization: Bearer ${stranger}`, 'Content-Type: application/json', 'Transfer-Encoding: chunked'];
    const heard: string[] = [];
    // As many as would fill it: without a length each reserves as much as a body may have.
    for (let i = 0; i < 32; i++) {
      const socket = await side.raw();
      open.push(socket);
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => (heard[i] = `${heard[i] ?? ''}${chunk.toString()}`));
      socket.write([`POST ${INVOKE} HTTP/1.1`, ...head, '', '1', '{', ''].join('\r\n'));
    }
    await eventually(() => heard.filter((text) => text.includes('"code":"no_matching_policy"')).length === 32, 'the refusals');
    expect(codeOf(await side.ask(INVOKE, { json: {} }))).toBe('200');
    const session = await side.sidecar.session();
    expect((await side.sidecar.call('orders/get_order', { order_id: 'O-000123' }, session)).status).toBe(200);
  });

  it('is refused by its right, before what it sends is looked at', async () => {
    const headers = { authorization: `Bearer ${side.token({ sub: 'dave@company.com', roles: ['finance'] })}` };
    const answer = await side.ask(INVOKE, { body: 'no json', headers });
    expect(codeOf(answer)).toBe('no_matching_policy');
    expect(await recordOf(side.world, answer)).toMatchObject({ gate: 'route', operator: 'dave@company.com', decision: 'deny' });
  });
});
