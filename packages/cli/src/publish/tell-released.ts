/** The end of every command that releases: what was released, who was left behind, and, if asked, how it arrived. */

import type { Json } from '@sallyport/model';
import type { Link } from '../connect.ts';
import type { Exit, Io } from '../io.ts';
import type { Output } from '../output.ts';
import { placeOf } from '../places.ts';
import { converge, convergedJson, convergedText, isIncomplete } from './converge.ts';
import type { Converged } from './converge.ts';
import type { AcceptedRelease } from './submit-release.ts';

/** What was released, and how its end is wished to be told. */
export interface Released {
  readonly link: Link;
  readonly release: AcceptedRelease;
  readonly call: {
    readonly io: Io;
    readonly out: Output;
    readonly options: { readonly wait: boolean; readonly timeout: number; readonly area: string; readonly ring: string };
  };
  readonly json: Readonly<Record<string, Json>>;
  readonly text: string;
  /** Instead of the line that says so: where nothing was released now, or more is to be said. */
  readonly told?: string;
}

/** Says what was released, and with `--wait` what became of it: 1 where a connected sidecar does not enforce it in time. */
export async function tellReleased({ link, release, call, json, text: before, told }: Released): Promise<Exit> {
  const { options, out } = call;
  const { digest, releaseSeq, leftBehind } = release;
  const released: Json = { area: options.area, ring: options.ring, release_seq: releaseSeq, digest, left_behind: leftBehind };
  const lines = [
    before,
    told ?? `released ${releaseSeq} to ${options.area}, ring ${options.ring}`,
    ...leftBehind.map((name) => `  left behind: ${name}`),
  ].filter((line) => line !== '');
  let converged: Converged | undefined;
  if (options.wait) {
    const waited = await converge(link, { place: placeOf(options), release: digest, waitMsMax: options.timeout }, call);
    if (!waited.ok) return out.refuse(waited.error);
    converged = waited.value;
  }
  const active: Json = converged === undefined ? null : convergedJson(converged);
  await out.answer(
    { ...json, release: released, fleet: active },
    [...lines, ...(converged === undefined ? [] : [convergedText(converged)])].join('\n'),
  );
  return converged !== undefined && isIncomplete(converged) ? 1 : 0;
}
