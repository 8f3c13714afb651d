/** One of the policies that are compared: a folder of documents, a bundle as `policy build` writes it, or what is in force. */

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PART_NAMES, fail, ok } from '@sallyport/model';
import type { Digest, Problem, Result } from '@sallyport/model';
import { compile, readParts } from '@sallyport/policy';
import type { Source } from '@sallyport/policy';
import type { DiffSide } from '@sallyport/policy/lab';
import { describeParts, digestOfPayload, readBundle } from '@sallyport/trust';
import { readBundleFiles } from '../bundle/bundle-files.ts';
import type { Link } from '../connect.ts';
import { at } from '../files.ts';
import type { Io } from '../io.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import { locatedFile, readPolicy } from '../policy/read-policy.ts';
import { fetchBundle, fetchParts } from '../publish/objects.ts';
import type { Place } from '../places.ts';
import { readVersions } from '../publish/versions.ts';

export interface Side extends DiffSide {
  /** As it was typed. */
  readonly shown: string;
  /** Of a bundle, the digest that records name; a folder has none before it is built. */
  readonly digest: Digest | undefined;
  /** A rule's or case's file as it can be opened from here. */
  readonly placed: (source: Source) => Source;
}

/** A folder with a manifest, or a file, is a bundle; any other folder holds documents. What does not hold is 64. */
export function readSide(shown: string, io: Pick<Io, 'cwd'>): Result<Side, Refusal> {
  const path = at(io.cwd, shown);
  const isBundle = statSync(path, { throwIfNoEntry: false })?.isFile() === true || existsSync(join(path, 'manifest.json'));
  return isBundle ? readBundleSide(path, shown) : readFolderSide(shown, io);
}

function readFolderSide(shown: string, io: Pick<Io, 'cwd'>): Result<Side, Refusal> {
  const built = readPolicy(shown, io);
  // That one side does not build is no answer about the difference.
  if (!built.ok) return fail({ ...built.error, exit: 64 });
  const { parts, policy } = built.value;
  return ok({ parts, policy, shown, digest: undefined, placed: ({ file, line }) => ({ file: locatedFile(shown, file), line }) });
}

function readBundleSide(path: string, shown: string): Result<Side, Refusal> {
  const files = readBundleFiles(path, shown);
  if (!files.ok) return fail({ exit: 64, problems: files.error });
  const { manifest, parts } = files.value;
  const bundle = readBundle(manifest);
  if (!bundle.ok) return fail(refusal(64, `\`${shown}\` holds no manifest of a bundle`, 'make one with `sallyport policy build`'));
  const held = describeParts(parts);
  const bent = PART_NAMES.filter((name) => held[name].digest !== bundle.value.parts[name].digest);
  if (bent.length > 0)
    return fail(
      refusal(64, `\`${shown}\`: the manifest names another ${bent.join(' and ')} part`, 'build it anew with `sallyport policy build`'),
    );
  return compiled({ parts, shown, digest: digestOfPayload(manifest) });
}

function compiled({ parts, shown, digest }: Pick<Side, 'parts' | 'shown' | 'digest'>): Result<Side, Refusal> {
  const located = (problems: readonly Problem[]): Refusal => ({
    exit: 64,
    problems: problems.map((problem) => ({ ...problem, file: shown })),
  });
  const read = readParts(parts);
  if (!read.ok) return fail(located(read.error));
  const policy = compile(read.value);
  return policy.ok ? ok({ parts, policy: policy.value, shown, digest, placed: (source) => source }) : fail(located(policy.error));
}

/**
 * What is in force at a place, as the control plane holds it: every byte is what the digest of the release names. Who
 * signed it is not judged here; a sidecar does, and so does `bundle verify`.
 */
export async function fetchSide(link: Link, place: Place, io: Io): Promise<Result<Side, Refusal>> {
  const versions = await readVersions(link, place, io);
  if (!versions.ok) return versions;
  const inForce = versions.value.releases[0]?.bundles ?? [];
  // A release may name bundles of other areas as well.
  const digest = inForce.find((one) => versions.value.bundles.some((bundle) => bundle.digest === one)) ?? inForce[0];
  if (digest === undefined)
    return fail(refusal(64, `nothing is in force in area ${place.area}, ring ${place.ring}`, 'see `sallyport policy log`'));
  const bundle = await fetchBundle(link, digest, io);
  const parts = bundle === undefined ? undefined : await fetchParts(link, bundle, io);
  if (parts === undefined) return fail(refusal(64, `the control plane does not give out what is in force: ${digest}`));
  return compiled({ parts, shown: 'published', digest });
}
