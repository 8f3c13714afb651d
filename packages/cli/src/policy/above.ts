/** The layers above a policy as folders on the author's desk, for building beneath them without a control plane. */

import { fail, isArea, ok } from '@sallyport/model';
import type { Area, Result } from '@sallyport/model';
import type { Beneath, LayerParts } from '@sallyport/policy';
import { covers } from '@sallyport/trust';
import type { Io } from '../io.ts';
import { many } from '../option.ts';
import type { Option } from '../option.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import { readPolicy } from './read-policy.ts';

export const aboveOption: Option<readonly string[]> = many(
  '--above AREA=DIR',
  'policy of an area that covers --area, which this one stands beneath (repeatable)',
);

/** Each folder is built beneath those that cover it; `undefined` where none is named. */
export function readAboveFolders(
  { above, area }: { readonly above: readonly string[]; readonly area: string },
  io: Pick<Io, 'cwd'>,
): Result<Beneath | undefined, Refusal> {
  if (above.length === 0) return ok(undefined);
  const named = above.map((text) => text.split('=', 2));
  const wrong = named.find(([of = '', dir = '']) => !isArea(of) || dir === '' || of === area || !covers(of, area as Area));
  if (wrong !== undefined)
    return fail(
      refusal(
        2,
        `\`--above ${wrong.join('=')}\` names no area that covers ${area}, and its folder`,
        'write --above acme=company --area acme/support',
      ),
    );
  const layers: LayerParts[] = [];
  // Areas of one path: the shorter name is the broader one.
  for (const [name = '', dir = ''] of named.toSorted(([a = ''], [b = '']) => a.length - b.length)) {
    const built = readPolicy(dir, io, { beneath: { name, above: layers } });
    if (!built.ok) return built;
    layers.push({ name, parts: built.value.parts });
  }
  return ok({ name: area, above: layers });
}
