/**
 * What people say of a tool that something else declares, such as the generated lock file of `tools import`: so that a
 * new import never overwrites their words, nor their words what the server says.
 */

import { EFFECTS } from '@sallyport/model';
import type { Effect, Tool, ToolName } from '@sallyport/model';
import { className, toolNameReader } from '../reader/forms.ts';
import { placeAt } from '../reader/locate.ts';
import type { Problems } from '../reader/node.ts';
import { didYouMean, quote } from '../reader/node.ts';
import type { Reader } from '../reader/read.ts';
import { fields, list, oneOf, text } from '../reader/read.ts';
import type { Located } from './declared.ts';

/** Every field that is given replaces the tool's; classes are added to it. */
export interface ToolOverlay {
  readonly name: ToolName;
  readonly effect: Effect | undefined;
  readonly classes: readonly string[];
  readonly description: string | undefined;
  readonly denyAs: Tool['denyAs'] | undefined;
}

/** `{ name, effect?, classes?, description?, deny_as? }`: never the schema, which a rule narrows and nobody widens. */
export const toolOverlay: Reader<ToolOverlay> = (node, problems) => {
  const declared = fields(node, problems, 'a ToolOverlay', ['name!', 'effect', 'classes', 'description', 'deny_as']);
  const name = declared?.get('name', toolNameReader);
  if (declared === undefined || name === undefined) return undefined;
  return {
    name,
    effect: declared.get('effect', oneOf('effect', EFFECTS)),
    classes: declared.get('classes', list('`classes`', className, { max: 32, key: (entry) => entry })) ?? [],
    description: declared.get('description', text('a description')),
    denyAs: declared.get('deny_as', oneOf('deny_as', ['tool_result', 'error'])),
  };
};

/** The tools as their overlays have them. An overlay of no tool, and a second one of the same, are problems. */
export function overlaid(
  tools: readonly Located<Tool>[],
  overlays: readonly Located<ToolOverlay>[],
  problems: Problems,
): readonly Located<Tool>[] {
  const byName = new Map<string, Located<ToolOverlay>>();
  const known = new Set<string>(tools.map(({ value }) => value.name));
  for (const overlay of overlays) {
    const { name } = overlay.value;
    const place = placeAt(overlay.node, 'name');
    const other = byName.get(name);
    if (other !== undefined) {
      const first = placeAt(other.node, 'name');
      problems.add(place, `tool ${quote(name)} has another overlay`, { remedy: `at ${first.file ?? ''}:${first.line ?? 1}` });
    } else if (known.has(name)) byName.set(name, overlay);
    else
      problems.add(place, `no tool ${quote(name)}`, {
        remedy: didYouMean(name, known) ?? 'declare it, or import it with `sallyport tools import`',
      });
  }
  return tools.map((tool) => {
    const overlay = byName.get(tool.value.name);
    return overlay === undefined ? tool : { node: tool.node, value: merged(tool, overlay, problems) };
  });
}

function merged({ value, node }: Located<Tool>, overlay: Located<ToolOverlay>, problems: Problems): Tool {
  const { effect = value.effect, classes, description = value.description, denyAs = value.denyAs } = overlay.value;
  const isSaid = node.kind === 'map' && node.entries.has('effect');
  if (isSaid && EFFECTS.indexOf(effect) < EFFECTS.indexOf(value.effect))
    problems.add(placeAt(overlay.node, 'effect'), `${quote(value.name)} is declared as ${value.effect}, and ${effect} is less`, {
      remedy: 'does the one who wrote this know more than the server says?',
      severity: 'warning',
    });
  return { ...value, effect, classes: [...new Set([...value.classes, ...classes])], description, denyAs };
}
