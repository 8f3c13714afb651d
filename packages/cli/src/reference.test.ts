import { expect, test } from 'vitest';
import { describeCommands } from './reference.ts';

test('the reference page says what the commands say (npm run generate)', async () => {
  await expect(describeCommands()).toMatchFileSnapshot('../../../docs/reference/cli.md');
});
