import type { CallerMethodDocument } from '@sallyport/policy';
import { fakeClock } from '@sallyport/testkit';
import { chmodSync, mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { callerSecrets } from './caller-secrets.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-callers-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const document = {
  config: { kind: 'slack', name: 'chat', secret: 'file chat', principals: [] },
  secrets: { 'file chat': { kind: 'file', path: 'chat' } },
} as unknown as CallerMethodDocument;
const times = { refreshMs: 10_000, lastGoodMsMax: 60_000, readMsMax: 5_000 };
const lay = (value: string, mode = 0o600): void => {
  const file = join(folder, 'chat');
  writeFileSync(file, value);
  chmodSync(file, mode);
};
const text = (bytes: Uint8Array | undefined): string | undefined => (bytes === undefined ? undefined : Buffer.from(bytes).toString());

describe('a secret that callers are proven with', () => {
  it('is read when it is due, and used on while its place is away, for so long', async () => {
    const clock = fakeClock();
    const secrets = callerSecrets({ clock, folder, vault: undefined, times });
    expect(secrets.secretOf('file chat')).toBeUndefined();
    lay('first\n');
    await secrets.ready(document);
    expect(text(secrets.secretOf('file chat'))).toBe('first');
    expect(secrets.ready(document)).toBeUndefined();
    lay('second');
    await clock.advance(10_000);
    await secrets.ready(document);
    expect(text(secrets.secretOf('file chat'))).toBe('second');
    unlinkSync(join(folder, 'chat'));
    await clock.advance(60_000);
    await secrets.ready(document);
    expect(text(secrets.secretOf('file chat'))).toBe('second');
    await clock.advance(1_000);
    expect(secrets.secretOf('file chat')).toBeUndefined();
  });

  it.each<[what: string, prepare: () => void, from: string | undefined]>([
    ['others can read', () => lay('exposed', 0o644), 'folder'],
    ['nobody has laid down', () => {}, 'folder'],
    ['lies in no folder that is configured', () => lay('there'), undefined],
  ])('that %s proves nobody', async (_what, prepare, from) => {
    prepare();
    const secrets = callerSecrets({ clock: fakeClock(), folder: from === undefined ? undefined : folder, vault: undefined, times });
    await secrets.ready(document);
    expect(secrets.secretOf('file chat')).toBeUndefined();
  });
});
