/** `sallyport policy diff`: what a policy would answer differently from another, and what it says differently. */

import { diffPolicies } from '@sallyport/policy/lab';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { LINK_OPTIONS, withLink } from '../connect.ts';
import type { Exit } from '../io.ts';
import { diffReport } from '../lab/diff-report.ts';
import { answerReport, formatOption } from '../lab/report.ts';
import { fetchSide, readSide } from '../lab/side.ts';
import type { Side } from '../lab/side.ts';
import { text } from '../option.ts';
import { refusal } from '../output.ts';
import { areaOption, placeOf, placeProblems, ringOption } from '../places.ts';

const OPTIONS = {
  against: text('--against published', 'compare with what is in force at the control plane, and name one policy'),
  format: formatOption,
  ...LINK_OPTIONS,
  area: areaOption,
  ring: ringOption,
} as const;

type Call = Invocation<typeof OPTIONS>;

export const policyDiff: Command = command({
  name: 'policy diff',
  group: 'Policy',
  summary: 'say what one policy allows and denies that another does not',
  details: [
    'Compares what both say (rules, tools, values, by field) and what they answer: to the tests of both, and to calls made up around the boundaries of every rule that changed. Of tools whose rules, schema and values are the same it is proven that nothing changes. Each side is a folder of documents, or a bundle as policy build writes it.',
    'Exits with 0 where nothing is newly allowed and no change could allow more, with 1 where something is or could, so that CI can ask for a second person, and with 64 where a side does not build.',
  ],
  arguments: [
    { name: 'OLD', says: 'the policy that is; with --against, the one that is to be' },
    { name: 'NEW', says: 'the policy that is to be', isOptional: true },
  ],
  options: OPTIONS,
  examples: [
    { line: 'policy diff base/policy policy', says: 'before a change is merged' },
    { line: 'policy diff policy --against published', says: 'before it is published' },
    { line: 'policy diff staging-bundle prod-bundle --format markdown', says: 'for a comment: policy identical, 3 values differ' },
  ],
  async run(call) {
    const {
      arguments: [first = '', second],
      options,
      io,
      out,
    } = call;
    const wrong = placeProblems(options);
    if (wrong.length > 0) return out.refuse({ exit: 2, problems: wrong });
    if (options.against !== undefined && options.against !== 'published')
      return out.refuse(
        refusal(2, `\`--against ${options.against}\` is not understood`, 'write --against published, or name two policies'),
      );
    if ((options.against === undefined) === (second === undefined))
      return out.refuse(
        refusal(
          2,
          second === undefined ? 'one policy alone differs from nothing' : 'three policies are one too many',
          'name two policies, or one and --against published',
        ),
      );
    const [old, now] = [second === undefined ? undefined : readSide(first, io), readSide(second ?? first, io)];
    const problems = [old, now].flatMap((side) => (side === undefined || side.ok ? [] : side.error.problems));
    if (problems.length > 0 || !now.ok || old?.ok === false) return out.refuse({ exit: 64, problems });
    if (old !== undefined) return tell({ before: old.value, after: now.value }, call);
    return withLink(options, call, async (link) => {
      const published = await fetchSide(link, placeOf(options), io);
      return published.ok ? tell({ before: published.value, after: now.value }, call) : out.refuse(published.error);
    });
  },
});

async function tell(sides: { readonly before: Side; readonly after: Side }, { options, io, out }: Call): Promise<Exit> {
  return answerReport(diffReport(diffPolicies(sides.before, sides.after), sides), options.format, { out, io });
}
