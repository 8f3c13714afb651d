import type { CarriedFile } from '@sallyport/contract';
import type { Instant } from '@sallyport/model';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gatherCarried, prepareFolder, removeOthers, writeCarried } from './carried.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const BUNDLE = `bundle-${'a'.repeat(64)}.json`;

async function* pieces(...sent: readonly (readonly [name: string, data: string | Uint8Array])[]): AsyncGenerator<CarriedFile> {
  for (const [name, data] of sent)
    yield { $typeName: 'sallyport.policy.v1.CarriedFile', name, data: typeof data === 'string' ? bytes(data) : data };
}

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-carried-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('files that a control plane sends', () => {
  it('are put together from their pieces', async () => {
    const files = await gatherCarried(pieces(['root-1.json', 'a'], [BUNDLE, 'b'], [BUNDLE, 'c'], ['release.json', 'd']));
    expect(files).toEqual({
      ok: true,
      value: [
        { name: 'root-1.json', bytes: bytes('a') },
        { name: BUNDLE, bytes: bytes('bc') },
        { name: 'release.json', bytes: bytes('d') },
      ],
    });
  });

  it.each(['../release.json', '/etc/passwd', 'release.json/../../x', '', 'root-0.json', 'bundle-x.json', 'release.json\n', '..data'])(
    'a taken control plane writes nothing else: %j is refused',
    async (name) => {
      expect((await gatherCarried(pieces(['root-1.json', 'a'], [name, 'b']))).ok).toBe(false);
    },
  );

  it('endless data is refused before it is held', async () => {
    const endless = Array.from({ length: 3 }, () => ['release.json', new Uint8Array(8_192)] as const);
    expect(await gatherCarried(pieces(...endless))).toEqual({ ok: false, error: '`release.json` is longer than such a file may be' });
  });
});

describe('the folder', () => {
  it('is made so that a sidecar of another user may read it and nobody else may write it', () => {
    const made = join(dir, 'a', 'b');
    expect(prepareFolder(made, 'b')).toBeUndefined();
    expect(statSync(made).mode & 0o777).toBe(0o755);
    writeCarried(made, [{ name: 'release.json', bytes: bytes('x') }]);
    expect(statSync(join(made, 'release.json')).mode & 0o777).toBe(0o644);
  });

  it('that others may write to is refused with what to do', () => {
    const open = join(dir, 'open');
    mkdirSync(open);
    chmodSync(open, 0o777);
    expect(prepareFolder(open, 'open')).toMatchObject({ message: expect.stringContaining('no sidecar'), remedy: '`chmod go-w open`' });
  });

  it('loses bundles that are not in force and proofs of yesterday, and nothing that is not ours', () => {
    const now = Math.floor(statSync(dir).mtimeMs) as Instant;
    const [fresh, old] = [`proof-${'1'.repeat(64)}.json`, `proof-${'2'.repeat(64)}.json`];
    const gone = `bundle-${'b'.repeat(64)}.json`;
    writeCarried(
      dir,
      [BUNDLE, gone, fresh, old, 'release.json'].map((name) => ({ name, bytes: bytes(name) })),
    );
    writeCarried(dir, [{ name: 'notes.txt', bytes: bytes('mine') }]);
    utimesSync(join(dir, old), (now - 90_000_000) / 1_000, (now - 90_000_000) / 1_000);
    removeOthers(dir, [{ name: BUNDLE, bytes: bytes('') }], now);
    expect(readdirSync(dir).toSorted()).toEqual([BUNDLE, 'notes.txt', fresh, 'release.json'].toSorted());
    expect(readFileSync(join(dir, BUNDLE), 'utf8')).toBe(BUNDLE);
  });
});
