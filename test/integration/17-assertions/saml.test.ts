import { readFileSync } from 'node:fs';
import { recordingUpstream } from '@sallyport/testkit';
import { afterAll, expect, it } from 'vitest';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { eventually, startWorld, type World } from '../../support/world.ts';

let world: World;
afterAll(() => world?.close());

it('[R2.21] a service that needs SAML is refused when it is declared, with what there is instead, and the pages say so', async () => {
  const up = await recordingUpstream();
  world = await startWorld();
  const policy = (format: string): string =>
    ordersPolicy(up.url, READ_ORDERS, world.idp).replace('network: loopback\n', `network: loopback\nassertion_format: ${format}\n`);
  await expect(world.admin.publish(policy('saml'))).rejects.toThrow(/assertions are not issued as SAML[^]*assertions-v1\.md/);
  for (const page of ['spec/assertions-v1.md', 'reference/policy.md'])
    expect(readFileSync(new URL(`../../../docs/${page}`, import.meta.url), 'utf8')).toMatch(/SAML is not supported/);
  // The one format that there is may be written down, and is what the tool gets.
  await world.admin.publish(policy('jwt'));
  const sidecar = await world.startSidecar();
  await eventually(() => sidecar.ready(), 'readiness');
  expect((await sidecar.call('orders/get_order', { order_id: 'O-000123' }, await sidecar.session())).status).toBe(200);
  const [header = ''] = String(up.requests.at(-1)?.headers['sallyport-assertion']).split('.');
  expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toMatchObject({ typ: 'sallyport-assertion+jwt' });
  await up.close();
});
