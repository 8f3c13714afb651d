/**
 * Where a refused rule stands in its author's files. Parts are addressed by place in the part; whoever has to mend the
 * rule has the file. The bundle carries that knowledge beside its tests, and a refusal is the moment to use it.
 */

import type { PartName, Problem } from '@sallyport/model';
import { judge } from '@sallyport/strict';

const RULE = /^(?:([^:]{1,256}):)?policy\.rules\[([0-9]{1,6})\]/;
const SOURCE = /^(.{1,1024}):([1-9][0-9]{0,6})$/su;

/**
 * The problems, those about a rule with its file and line where the bundle says them. Of several layers paths begin with
 * the name of one: the bundle knows the places of its own.
 */
export function placed(problems: readonly Problem[], parts: Readonly<Record<PartName, Uint8Array>>, own: string): readonly Problem[] {
  const [policy, tests] = [judge(parts.policy), judge(parts.tests)];
  if (!policy.ok || !tests.ok) return problems;
  return problems.map((problem) => {
    const [, layer = own, found] = (problem.file === undefined ? RULE.exec(problem.path) : null) ?? [];
    const index = layer === own ? found : undefined;
    const id = index === undefined ? undefined : policy.value.at('rules', Number(index), 'id')?.tree;
    const source = typeof id === 'string' ? tests.value.at('sources', id)?.tree : undefined;
    const [, file, line] = (typeof source === 'string' ? SOURCE.exec(source) : null) ?? [];
    return file === undefined ? problem : { ...problem, file, line: Number(line) };
  });
}
