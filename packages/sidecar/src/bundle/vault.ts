/**
 * What was received, kept as exact bytes so that a restart walks the same acceptance as the stream did. Trusts nothing
 * that it reads: bytes from here are candidates like any other. Layout: docs/spec/sidecar-state.md.
 */

import type { Digest } from '@sallyport/model';
import { writeFileAtomically, type FileSystem } from '@sallyport/runtime';
import {
  BUNDLE_BYTES_MAX,
  BUNDLE_FILE_BYTES_MAX,
  DIRECTORY_FILE_BYTES_MAX,
  ENVELOPE_BYTES_MAX,
  readBundleFile,
  readDirectoryFile,
  readStatements,
  writeBundleFile,
  writeDirectoryFile,
  writeStatements,
  type BundleFile,
  type DirectoryFile,
  type KeptStatement,
} from '@sallyport/trust';
import { join } from 'node:path';

/** A bundle as offered, and the digest that it is filed under. */
export interface KeptBundle extends BundleFile {
  readonly digest: Digest;
}

export interface Vault {
  highWater(): Uint8Array | undefined;
  roots(): readonly Uint8Array[];
  onlineKeys(): Uint8Array | undefined;
  bundles(): readonly BundleFile[];
  /** The release in force, and one that was about to be when the process ended; the high-water mark tells which counts. */
  releases(): readonly Uint8Array[];
  statements(): readonly KeptStatement[];
  /** The last directory that was kept, with the content that it names. */
  directory(): DirectoryFile | undefined;
  revocations(): { readonly snapshot: Uint8Array | undefined; readonly entries: readonly Uint8Array[] };

  keepHighWater(bytes: Uint8Array): Promise<void>;
  keepRoot(number: number, envelope: Uint8Array): Promise<void>;
  keepOnlineKeys(envelope: Uint8Array): Promise<void>;
  keepBundle(bundle: KeptBundle): Promise<void>;
  /** Step one of activation: on disk, not yet in force. */
  keepNextRelease(envelope: Uint8Array): Promise<void>;
  /** Step three, after the high-water mark: one rename. */
  promoteNextRelease(): Promise<void>;
  keepStatements(statements: readonly KeptStatement[]): Promise<void>;
  keepDirectory(directory: DirectoryFile): Promise<void>;
  keepRevocation(seq: number, envelope: Uint8Array): Promise<void>;
  keepRevocationSnapshot(envelope: Uint8Array): Promise<void>;
  /** Removes bundles that nothing needs any more. */
  keepOnly(digests: ReadonlySet<Digest>): Promise<void>;
}

const HIGH_WATER_BYTES_MAX = 1_048_576;
const STATEMENTS_BYTES_MAX = 1_048_576;
const ROOTS_MAX = 1_024;
/** The largest envelope of any kind; acceptance knows each kind's own bound. */
const FILE_BYTES_MAX = Math.max(...Object.values(ENVELOPE_BYTES_MAX));

/** The vault under `directory`, which it makes. */
export function openVault(disk: FileSystem, directory: string): Vault {
  const at = (...names: readonly string[]): string => join(directory, ...names);
  for (const folder of ['roots', 'bundles', 'revocations']) disk.makeDirectory(at(folder));
  const read = (path: string, bytesMax = FILE_BYTES_MAX): Uint8Array | undefined => readOrNothing(disk, path, bytesMax);
  const write = (path: string, bytes: Uint8Array): Promise<void> => writeFileAtomically(disk, path, bytes);
  return {
    highWater: () => read(at('high-water'), HIGH_WATER_BYTES_MAX),
    roots: () =>
      numbered(disk, at('roots'))
        .slice(0, ROOTS_MAX)
        .flatMap((path) => read(path) ?? []),
    onlineKeys: () => read(at('online-keys.json')),
    bundles: () => disk.list(at('bundles')).flatMap((name) => readBundleFile(read(at('bundles', name), BUNDLE_FILE_BYTES_MAX)) ?? []),
    releases: () => [read(at('release.next.json')), read(at('release.json'))].filter((bytes) => bytes !== undefined),
    statements: () => readStatements(read(at('statements.json'), STATEMENTS_BYTES_MAX)),
    directory: () => readDirectoryFile(read(at('directory.json'), DIRECTORY_FILE_BYTES_MAX)),
    revocations: () => ({
      snapshot: read(at('revocations', 'snapshot.json'), BUNDLE_BYTES_MAX),
      entries: numbered(disk, at('revocations')).flatMap((path) => read(path) ?? []),
    }),

    keepHighWater: (bytes) => write(at('high-water'), bytes),
    keepRoot: (number, envelope) => write(at('roots', numberedName(number)), envelope),
    keepOnlineKeys: (envelope) => write(at('online-keys.json'), envelope),
    keepBundle: (bundle) => write(at('bundles', `${bundle.digest.slice('sha256:'.length)}.json`), writeBundleFile(bundle)),
    keepNextRelease: (envelope) => write(at('release.next.json'), envelope),
    promoteNextRelease: async () => {
      disk.rename(at('release.next.json'), at('release.json'));
      await disk.syncDirectory(directory);
    },
    keepStatements: (statements) => write(at('statements.json'), writeStatements(statements)),
    keepDirectory: (kept) => write(at('directory.json'), writeDirectoryFile(kept)),
    keepRevocation: (seq, envelope) => write(at('revocations', numberedName(seq)), envelope),
    keepRevocationSnapshot: async (envelope) => {
      await write(at('revocations', 'snapshot.json'), envelope);
      for (const path of numbered(disk, at('revocations'))) disk.unlink(path);
    },
    keepOnly: async (digests) => {
      for (const name of disk.list(at('bundles'))) {
        if (!digests.has(`sha256:${name.replace(/\.json$/, '')}` as Digest)) disk.unlink(at('bundles', name));
      }
      await disk.syncDirectory(at('bundles'));
    },
  };
}

/** A file that cannot be read is as good as none: what it should have held is then missing, and missing things deny. */
function readOrNothing(disk: FileSystem, path: string, bytesMax: number): Uint8Array | undefined {
  try {
    return disk.readFile(path, bytesMax);
  } catch {
    // A planted link, a longer file, an I/O error: the caller goes on without, and without means deny.
    return undefined;
  }
}

const numberedName = (number: number): string => `${String(number).padStart(16, '0')}.json`;

function numbered(disk: FileSystem, folder: string): readonly string[] {
  return disk
    .list(folder)
    .filter((name) => /^\d{16}\.json$/.test(name))
    .map((name) => join(folder, name));
}
