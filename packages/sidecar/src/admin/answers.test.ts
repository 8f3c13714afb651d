import { once } from 'node:events';
import { request } from 'node:http';
import { expect, it } from 'vitest';
import { serving } from '../testing/listening.ts';
import { json } from './answers.ts';

it('an answer to one who has gone is nobody’s fault', async () => {
  const answered = Promise.withResolvers<'answered'>();
  const waits = Promise.withResolvers<void>();
  const port = await serving(async (exchange) => {
    const gone = once(exchange.signal, 'abort');
    waits.resolve();
    await gone;
    await json(exchange, 200, {}).then(() => answered.resolve('answered'), answered.reject);
  });
  const sent = request({ host: '127.0.0.1', port, agent: false });
  sent.on('error', () => undefined);
  sent.end();
  await waits.promise;
  sent.destroy();
  expect(await answered.promise).toBe('answered');
});
