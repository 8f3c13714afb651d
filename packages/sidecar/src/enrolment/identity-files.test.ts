import { generateKey, issueCertificate, randomBytes, signerFromPem } from '@sallyport/crypto/keys';
import { Fault } from '@sallyport/model';
import { realFileSystem, systemClock } from '@sallyport/runtime';
import { simulatedDisk, testAuthority, type TestAuthority } from '@sallyport/testkit';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { identityFiles, type IdentityFiles } from './identity-files.ts';

const OWNER = { agent: 'support', instance: 'one' };
const FOLDER = '/state/identity';

let authority: TestAuthority;
beforeAll(async () => {
  authority = await testAuthority();
});

type Chains = Parameters<IdentityFiles['keep']>[0];

/** Certificates as the control plane would make them for the keys of these files. */
async function certified(
  files: IdentityFiles,
  over: { path?: string; auditPath?: string; assertionPath?: string; tlsPem?: string; assertionPem?: string } = {},
): Promise<Chains> {
  const { tlsPem, auditPem, assertionPem } = await files.keys();
  const path = over.path ?? '/sidecar/support/one';
  const now = Math.floor(systemClock().wall() / 1_000) * 1_000;
  const leaf = (pem: string, of: string, usage: 'tls-client' | 'audit' | 'assertion'): Promise<Uint8Array> => {
    const { alg, publicRaw } = signerFromPem(pem);
    return issueCertificate({
      ca: authority.ca,
      subjectPublicKey: { alg, raw: publicRaw },
      spiffeId: `spiffe://${authority.trustDomain}${of}`,
      usage,
      serial: randomBytes(16),
      notBefore: now,
      notAfter: now + 3_600_000,
    });
  };
  const { certificate } = authority.ca;
  return {
    tlsChain: [await leaf(over.tlsPem ?? tlsPem, path, 'tls-client'), certificate],
    auditChain: [await leaf(auditPem, over.auditPath ?? path, 'audit'), certificate],
    assertionChain: [await leaf(over.assertionPem ?? assertionPem, over.assertionPath ?? path, 'assertion'), certificate],
    counter: 3,
  };
}

describe('keys of a sidecar', () => {
  it('are made once, four of them, and are the same after a restart', async () => {
    const { fs } = simulatedDisk();
    const keys = await identityFiles(fs, FOLDER, OWNER).keys();
    expect(new Set(Object.values(keys)).size).toBe(4);
    expect([keys.tlsPem, keys.assertionPem, keys.auditPem, keys.sessionPem].map((pem) => signerFromPem(pem).alg)).toEqual([
      'es256',
      'es256',
      'ed25519',
      'ed25519',
    ]);
    expect(await identityFiles(fs, FOLDER, OWNER).keys()).toEqual(keys);
  });

  it('are for their owner alone, in a folder for its owner alone', async () => {
    const root = mkdtempSync(join(tmpdir(), 'sallyport-identity-'));
    const before = process.umask(0);
    try {
      const files = identityFiles(realFileSystem(), join(root, 'identity'), OWNER);
      await files.keep(await certified(files));
      const modes = readdirSync(join(root, 'identity')).map((name) => [name, statSync(join(root, 'identity', name)).mode & 0o777]);
      expect(modes).toEqual([
        ['assertion.pem', 0o600],
        ['audit.pem', 0o600],
        ['certificates.json', 0o600],
        ['session.pem', 0o600],
        ['tls.pem', 0o600],
      ]);
      expect(statSync(join(root, 'identity')).mode & 0o777).toBe(0o700);
    } finally {
      process.umask(before);
      rmSync(root, { recursive: true, force: true });
    }
  });

  it.each<[what: string, bytes: () => Uint8Array]>([
    ['empty', () => Buffer.alloc(0)],
    ['cut short', () => Buffer.from(generateKey('es256').privatePem.slice(0, 90))],
    ['no text', () => Buffer.from([0xff, 0xfe])],
    ['a key of another kind', () => Buffer.from(generateKey('ed25519').privatePem)],
    ['longer than any key', () => Buffer.alloc(100_000, 'x')],
  ])('a file that is %s is a Fault, never another key in its place', async (_, bytes) => {
    const { fs } = simulatedDisk();
    const files = identityFiles(fs, FOLDER, OWNER);
    const file = fs.open(`${FOLDER}/tls.pem`, 'create');
    file.append(bytes());
    await file.sync();
    const held = fs.readFile(`${FOLDER}/tls.pem`, 1_000_000);
    const failure = await files.keys().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Fault);
    expect((failure as Fault).message).toContain('tls.pem');
    expect((failure as Fault).message).not.toContain('BEGIN');
    expect(fs.readFile(`${FOLDER}/tls.pem`, 1_000_000)).toEqual(held);
  });
});

describe('an identity', () => {
  it('is nothing before it was enrolled, and survives a loss of power once it was kept', async () => {
    const disk = simulatedDisk();
    const files = identityFiles(disk.fs, FOLDER, OWNER);
    expect(await files.read()).toBeUndefined();
    const kept = await files.keep(await certified(files));
    expect(kept).toMatchObject({ counter: 3, spiffeId: `spiffe://${authority.trustDomain}/sidecar/support/one` });
    disk.losePower();
    const again = identityFiles(disk.restart({ data: 'lost', names: 'undone' }), FOLDER, OWNER);
    expect(await again.read()).toMatchObject({ counter: 3, spiffeId: kept.spiffeId, tlsPem: kept.tlsPem });
  });

  it.each(['tlsPem', 'assertionPem'])('for another %s than ours is not kept', async (of) => {
    const { fs } = simulatedDisk();
    const files = identityFiles(fs, FOLDER, OWNER);
    const others = await certified(files, { [of]: generateKey('es256').privatePem });
    await expect(files.keep(others)).rejects.toMatchObject({ name: 'Fault' });
    expect(await files.read()).toBeUndefined();
  });

  it.each(['auditPath', 'assertionPath'])('of two workloads in one (%s) is not kept', async (of) => {
    const files = identityFiles(simulatedDisk().fs, FOLDER, OWNER);
    await expect(files.keep(await certified(files, { [of]: '/sidecar/support/two' }))).rejects.toMatchObject({ name: 'Fault' });
  });

  it('that an older sidecar kept, without assertions, is still one', async () => {
    const { fs } = simulatedDisk();
    const files = identityFiles(fs, FOLDER, OWNER);
    const { assertionChain, ...older } = await certified(files);
    expect(assertionChain).not.toEqual([]);
    const texts = (chain: readonly Uint8Array[]): string[] => chain.map((der) => Buffer.from(der).toString('base64'));
    const file = fs.open(`${FOLDER}/certificates.json`, 'create');
    file.append(Buffer.from(JSON.stringify({ counter: 3, tls: texts(older.tlsChain), audit: texts(older.auditChain) })));
    await file.sync();
    file.close();
    expect(await files.read()).toMatchObject({ counter: 3, assertionChain: [] });
  });

  it.each(['/sidecar/other/one', '/sidecar/support/two', '/control-plane', '/admin/support'])('of %s is not ours to have', async (path) => {
    const files = identityFiles(simulatedDisk().fs, FOLDER, OWNER);
    await expect(files.keep(await certified(files, { path }))).rejects.toThrow(`${path}\``);
    expect(await files.read()).toBeUndefined();
  });

  it('that lies there and is another’s is said, not used', async () => {
    const { fs } = simulatedDisk();
    const other = identityFiles(fs, FOLDER, { agent: 'other', instance: 'one' });
    await other.keep(await certified(other, { path: '/sidecar/other/one' }));
    await expect(identityFiles(fs, FOLDER, OWNER).read()).rejects.toThrow('other');
  });

  it.each([
    '',
    'null',
    '[]',
    '7',
    '{',
    '{"counter":"3"}',
    '{"counter":1,"counter":2,"tls":["AA=="],"audit":["AA=="]}',
    '{"counter":1,"tls":["!"],"audit":["AA=="]}',
  ])('whose file reads %j is none', async (text) => {
    const { fs } = simulatedDisk();
    const files = identityFiles(fs, FOLDER, OWNER);
    await files.keep(await certified(files));
    const file = fs.open(`${FOLDER}/certificates.json`, 'create');
    file.append(Buffer.from(text));
    file.close();
    expect(await files.read()).toBeUndefined();
  });
});

describe('another key for assertions', () => {
  const kidOf = (pem: string | undefined): string => signerFromPem(pem ?? '').keyId;

  it('is made once for a renewal, takes the place of the one before with its certificate, and is then followed by another', async () => {
    const { fs } = simulatedDisk();
    const files = identityFiles(fs, FOLDER, OWNER);
    const first = await files.keep(await certified(files));
    const next = await files.nextKeys();
    expect([(await files.nextKeys()).assertionPem === next.assertionPem, next.assertionPem === first.assertionPem]).toEqual([true, false]);
    expect([next.tlsPem, next.auditPem, next.sessionPem]).toEqual([first.tlsPem, first.auditPem, first.sessionPem]);
    // Until it is certified nothing is signed with it.
    expect(kidOf((await files.read())?.assertionPem)).toBe(kidOf(first.assertionPem));
    const kept = await files.keep(await certified(files, { assertionPem: next.assertionPem }));
    expect([kept.assertionPem, kept.assertionSigner.keyId]).toEqual([next.assertionPem, kidOf(next.assertionPem)]);
    const restarted = identityFiles(fs, FOLDER, OWNER);
    expect(kidOf((await restarted.read())?.assertionPem)).toBe(kidOf(next.assertionPem));
    expect(kidOf((await restarted.nextKeys()).assertionPem)).not.toBe(kidOf(next.assertionPem));
  });

  it('is not lost with the power, whenever that goes', async () => {
    for (const isCertified of [false, true]) {
      const { fs } = simulatedDisk();
      const files = identityFiles(fs, FOLDER, OWNER);
      const first = await files.keep(await certified(files));
      const { assertionPem } = await files.nextKeys();
      const certificates = await certified(files, { assertionPem });
      // Written, and the key not yet in its place.
      if (isCertified) {
        const failing = identityFiles({ ...fs, rename: refusing(fs.rename) }, FOLDER, OWNER);
        await failing.keep(certificates).catch(() => undefined);
      }
      const read = await identityFiles(fs, FOLDER, OWNER).read();
      expect(kidOf(read?.assertionPem)).toBe(kidOf(isCertified ? assertionPem : first.assertionPem));
    }
  });

  /** Only the certificates get to their place. */
  function refusing(rename: (from: string, to: string) => void): (from: string, to: string) => void {
    return (from, to) => {
      if (to.endsWith('assertion.pem')) throw new Error('the power is gone');
      rename(from, to);
    };
  }

  it('of somebody else is not taken for it', async () => {
    const { fs } = simulatedDisk();
    const files = identityFiles(fs, FOLDER, OWNER);
    await files.keep(await certified(files));
    await files.nextKeys();
    await expect(files.keep(await certified(files, { assertionPem: generateKey('es256').privatePem }))).rejects.toThrow(
      'not for the keys of this sidecar',
    );
  });
});
