/**
 * A layer's change for everybody whom it concerns: each release of its area and of the areas below it, made anew with that
 * one bundle in the place of the one before. What else they join stays as it is in force.
 */

import { ListReleasedRequestSchema, create } from '@sallyport/contract';
import type { Released } from '@sallyport/contract';
import type { Signer } from '@sallyport/crypto/keys';
import { fail, ok } from '@sallyport/model';
import type { Area, Digest, Json, Problem, Result, Revision, Ring } from '@sallyport/model';
import type { ReleasedBundle } from '@sallyport/trust';
import { CALL_MS, refusedBy } from '../connect.ts';
import type { Link } from '../connect.ts';
import type { Exit, Io } from '../io.ts';
import { counted, refusal } from '../output.ts';
import type { Output, Refusal } from '../output.ts';
import type { Place } from '../places.ts';
import { converge, convergedJson, convergedText, isIncomplete } from './converge.ts';
import { signJoined, submitRelease } from './submit-release.ts';
import type { AcceptedRelease } from './submit-release.ts';

export interface BelowWish {
  readonly place: Place;
  /** The layer's own bundle. */
  readonly bundle: ReleasedBundle;
  readonly signers: readonly Signer[];
  readonly rollbackReason?: string | undefined;
  readonly leaveBehind: boolean;
  /** How long to wait for each to converge; `undefined` does not. */
  readonly waitMsMax: number | undefined;
}

interface Done {
  readonly place: Place;
  readonly release: AcceptedRelease;
}

/** Every place at once answered: what could not be released anywhere is told with all that was, and is exit 1. */
export async function promoteBelow(link: Link, wish: BelowWish, call: { readonly io: Io; readonly out: Output }): Promise<Exit> {
  const { io, out } = call;
  const found = await readReleased(link, wish.place, io);
  if (!found.ok) return out.refuse(found.error);
  const lagging = found.value.filter(({ bundles }) => !bundles.some(({ digest }) => digest === wish.bundle.digest));
  const { area, revision, digest } = wish.bundle;
  if (found.value.length === 0) return out.refuse(refusal(1, `nothing is released at ${area} or below it in ring ${wish.place.ring}`));
  if (lagging.length === 0)
    return out.refuse(refusal(1, `revision ${revision} of ${area} is in force already wherever there is a release`));
  const [done, problems]: [Done[], Problem[]] = [[], []];
  for (const held of lagging) {
    out.progress(`releasing to ${held.area}`);
    const release = await releaseAnew(link, held, wish, io);
    if (release.ok) done.push({ place: placeOf(held), release: release.value });
    else
      problems.push(
        ...release.error.problems.map((problem) => ({ ...problem, path: held.area, message: `${problem.path} ${problem.message}` })),
      );
  }
  const fleet = await waitFor(link, done, wish.waitMsMax, call);
  if (!fleet.ok) return out.refuse(fleet.error);
  const released = done.map(({ place, release }): Json => ({
    ...place,
    release_seq: release.releaseSeq,
    digest: release.digest,
    left_behind: release.leftBehind,
  }));
  const text = [
    `revision ${revision} of ${area} released to ${counted(done.length, 'area')}`,
    ...done.map(({ place, release }) => `  ${place.area}: release ${release.releaseSeq}`),
    ...fleet.value.text,
  ];
  if (problems.length > 0) return out.refuse({ exit: 1, problems: [...problems, { path: '', message: text.join('\n') }] });
  await out.answer(
    { bundle: { area, revision, digest }, released, unchanged: found.value.length - lagging.length, fleet: fleet.value.json },
    text.join('\n'),
  );
  return fleet.value.isIncomplete ? 1 : 0;
}

/** What is in force at an area and below it. */
async function readReleased(link: Link, { area, ring }: Place, io: Io): Promise<Result<readonly Released[], Refusal>> {
  const all: Released[] = [];
  for (;;) {
    const request = create(ListReleasedRequestSchema, { area, ring, after: all.at(-1)?.area ?? '' });
    const answer = await link.publish.listReleased(request, { deadlineMs: CALL_MS, signal: io.signal });
    if (!answer.ok) return fail(refusedBy('asking what is released', answer.error, link));
    all.push(...answer.value.released);
    if (!answer.value.more || answer.value.released.length === 0) return ok(all);
  }
}

async function releaseAnew(link: Link, held: Released, wish: BelowWish, io: Io): Promise<Result<AcceptedRelease, Refusal>> {
  const others = held.bundles
    .filter(({ area }) => area !== wish.bundle.area)
    .map(({ area, revision, digest }): ReleasedBundle => ({
      area: area as Area,
      revision: Number(revision) as Revision,
      digest: digest as Digest,
    }));
  const envelope = await signJoined(
    {
      place: placeOf(held),
      releaseSeq: Number(held.releaseSeq) + 1,
      // Areas of one path: the shorter name is the broader one.
      bundles: [...others, wish.bundle].toSorted((a, b) => a.area.length - b.area.length),
      freshnessTtlMsMax: link.trust.root.freshnessTtlMsMax,
      ...(wish.rollbackReason === undefined ? {} : { rollbackReason: wish.rollbackReason }),
      fallbacks: [],
      now: io.clock.wall(),
    },
    wish.signers,
  );
  return submitRelease(link, envelope, { io, leaveBehind: wish.leaveBehind, isRollback: wish.rollbackReason !== undefined });
}

interface Waited {
  readonly json: Json;
  readonly text: readonly string[];
  readonly isIncomplete: boolean;
}

async function waitFor(
  link: Link,
  done: readonly Done[],
  waitMsMax: number | undefined,
  call: { readonly io: Io; readonly out: Output },
): Promise<Result<Waited, Refusal>> {
  if (waitMsMax === undefined) return ok({ json: null, text: [], isIncomplete: false });
  const rows: Json[] = [];
  const text: string[] = [];
  let incomplete = false;
  for (const { place, release } of done) {
    const waited = await converge(link, { place, release: release.digest, waitMsMax }, call);
    if (!waited.ok) return waited;
    rows.push({ ...place, ...(convergedJson(waited.value) as Readonly<Record<string, Json>>) });
    text.push(`${place.area}: ${convergedText(waited.value)}`);
    incomplete ||= isIncomplete(waited.value);
  }
  return ok({ json: rows, text, isIncomplete: incomplete });
}

function placeOf({ area, ring }: Pick<Released, 'area' | 'ring'>): Place {
  return { area: area as Area, ring: ring as Ring };
}
