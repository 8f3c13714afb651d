import { expect, it } from 'vitest';
import { startTogether } from './start-together.ts';

it('closes what has started where something else has not, however late it came, and says why', async () => {
  const closed: string[] = [];
  const one = (name: string): { close: () => Promise<void> } => ({
    close: async () => {
      closed.push(name);
    },
  });
  const late = Promise.withResolvers<ReturnType<typeof one>>();
  const starting = startTogether([Promise.resolve(one('early')), Promise.reject(new Error('not installed')), late.promise]);
  late.resolve(one('late'));
  await expect(starting).rejects.toThrow('not installed');
  expect(closed).toEqual(['early', 'late']);
});

it('gives them back in order', async () => {
  const [a, b] = [{ close: async () => undefined }, { close: async () => undefined }];
  expect(await startTogether([Promise.resolve(a), Promise.resolve(b)])).toEqual([a, b]);
});
