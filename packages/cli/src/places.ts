/** Where policy applies, as options: an area, and a ring of it. */

import { isArea, isDigest, isRing } from '@sallyport/model';
import type { Area, Digest, Problem, Ring } from '@sallyport/model';
import { textOr } from './option.ts';

export const areaOption: ReturnType<typeof textOr> = textOr('--area AREA', 'where the bundle applies', 'default');
export const ringOption: ReturnType<typeof textOr> = textOr('--ring RING', 'stage of the rollout', 'default');

export interface Place {
  readonly area: Area;
  readonly ring: Ring;
}

/** What is not a name, each with its option; empty means that both may be taken as they are. */
export function placeProblems({ area, ring }: { readonly area: string; readonly ring?: string }): readonly Problem[] {
  const problems: Problem[] = [];
  if (!isArea(area))
    problems.push({
      path: '--area',
      message: `\`${area}\` is not an area`,
      remedy: 'lower-case words joined by `/`, such as default or acme/prod',
    });
  if (ring !== undefined && !isRing(ring))
    problems.push({ path: '--ring', message: `\`${ring}\` is not a ring`, remedy: 'a lower-case word, such as default' });
  return problems;
}

/** A place whose names were found to be names. */
export function placeOf({ area, ring }: { readonly area: string; readonly ring: string }): Place {
  return { area: area as Area, ring: ring as Ring };
}

/** Digest or commit that somebody typed, or what is wrong with it. */
export function digestProblems(option: string, value: string | undefined): readonly Problem[] {
  if (value === undefined || isDigest(value)) return [];
  return [{ path: option, message: `\`${value.slice(0, 80)}\` is not a digest`, remedy: '`sha256:` and 64 hex digits' }];
}

export function asDigest(value: string | undefined): Digest | null {
  return (value ?? null) as Digest | null;
}

export function commitProblems(value: string | undefined): readonly Problem[] {
  if (value === undefined || /^[0-9a-f]{7,64}$/.test(value)) return [];
  return [{ path: '--commit', message: `\`${value.slice(0, 80)}\` is not a commit`, remedy: '7 to 64 lower-case hex digits' }];
}
