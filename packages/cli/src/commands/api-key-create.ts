/** `sallyport api-key create`: a key for one caller, and what a policy keeps of it, from which nobody can make the key. */

import { addMs, formatInstant } from '@sallyport/model';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at, outProblem, writeFile } from '../files.ts';
import { duration, required } from '../option.ts';

export const apiKeyCreate: Command = command({
  name: 'api-key create',
  group: 'Policy',
  summary: 'make an API key for a caller of an agent',
  details: [
    'Writes the key to a new file (mode 0600), for the caller alone: it is kept nowhere else and cannot be made again. Prints what stands for it in a policy: an entry of `api_key.keys` of a CallerMethod, whose `id` is the subject that `principals` maps to somebody.',
  ],
  options: {
    out: required('--out FILE', 'new file for the key, mode 0600'),
    ttl: duration('--ttl SPAN', 'how long it is good', { otherwise: '90d', minMs: 60_000, maxMs: 366 * 86_400_000 }),
  },
  examples: [
    { line: 'api-key create --out desk.key', says: 'good for 90 days; paste what it prints below `keys:`' },
    { line: 'api-key create --out batch.key --ttl 7d', says: 'good for a week' },
  ],
  async run({ options, io, out }) {
    const file = at(io.cwd, options.out);
    const misplaced = outProblem(file, { as: 'new', shown: options.out });
    if (misplaced !== undefined) return out.refuse({ exit: 64, problems: [misplaced] });
    const { newApiKey } = await import('@sallyport/credentials');
    const issuedAt = io.clock.wall();
    const { text, entry } = newApiKey(io.random, { issuedAt, expiresAt: addMs(issuedAt, options.ttl) });
    const written = writeFile(file, `${text}\n`, { mode: 0o600, as: 'new' });
    if (!written.ok) return out.refuse({ exit: 64, problems: [written.error] });
    const { id, salt, hash, expiresAt } = entry;
    const times = { issued_at: formatInstant(issuedAt), expires_at: formatInstant(expiresAt ?? issuedAt) };
    const kept = { id, salt, hash, ...times };
    out.progress(`${file}: the key, for its caller alone; below, what the policy keeps of it`);
    const line = Object.entries(kept).map(([name, value]) => `${name}: "${value}"`);
    await out.answer({ file, entry: kept }, `- { ${line.join(', ')} }`);
    return 0;
  },
});
