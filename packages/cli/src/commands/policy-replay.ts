/** `sallyport policy replay`: recorded decisions against a candidate. */

import { replayer } from '@sallyport/policy/lab';
import type { KnownPolicy } from '@sallyport/policy/lab';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { dirOption, homeOf } from '../home.ts';
import { readRecordedCalls } from '../lab/recorded-calls.ts';
import { replays } from '../lab/replay-report.ts';
import { answerReport, formatOption } from '../lab/report.ts';
import { readSide } from '../lab/side.ts';
import { flag, many, required, textOr } from '../option.ts';
import { refusal } from '../output.ts';
import { readOwnTrust, rootPinOption, rootsOption } from '../trust-files.ts';

export const policyReplay: Command = command({
  name: 'policy replay',
  group: 'Policy',
  summary: 'ask a policy again what was decided: same, flipped, or undecidable because something was not recorded',
  details: [
    'A record holds no arguments, roles or scopes. Given the policy that decided, as a bundle whose digest the records name, much follows from what it decided; the rest is undecidable, and what was not recorded is named. Nothing is guessed. Each call is judged by itself, whatever would have become of the calls before it.',
    'Exits with 1 where a denied call would be allowed, and with 64 where the export or a policy cannot be read.',
  ],
  options: {
    from: required('--from FILE', 'an export: what audit tail --view records wrote'),
    policy: textOr('--policy PATH', 'the candidate: a folder of documents, or a bundle', 'policy'),
    was: many('--was BUNDLE', 'a policy that decided, as policy build wrote it (repeatable)'),
    verify: flag('--verify', 'prove the records first, and tell nothing where they are not proven'),
    format: formatOption,
    rootPin: rootPinOption,
    roots: rootsOption,
    dir: dirOption,
  },
  examples: [
    { line: 'policy replay --from export.ndjson --policy policy', says: 'what would have been answered otherwise' },
    {
      line: 'policy replay --from export.ndjson --policy policy --was bundle-7 --was bundle-8',
      says: 'with what decided then: far less is undecidable',
    },
  ],
  async run({ options, io, out }) {
    const candidate = readSide(options.policy, io);
    const known = options.was.map((shown) => readSide(shown, io));
    const problems = [candidate, ...known].flatMap((side) => (side.ok ? [] : side.error.problems));
    const trust = options.verify ? readOwnTrust(homeOf(options.dir, io), options, io) : undefined;
    if (trust?.ok === false) return out.refuse(trust.error);
    if (problems.length > 0 || !candidate.ok) return out.refuse({ exit: 64, problems });
    const policies: KnownPolicy[] = [];
    for (const side of known) {
      if (!side.ok) continue;
      const { digest, policy, shown } = side.value;
      // Records name the digest of a bundle; whether a folder is what decided nobody can tell.
      if (digest === undefined)
        return out.refuse(
          refusal(
            64,
            `\`${shown}\` is no built bundle, so that no record names it`,
            `make it one with \`sallyport policy build ${shown} --out PATH\`, revision and commit as they were`,
          ),
        );
      policies.push({ digest, policy });
    }
    const { digest, policy } = candidate.value;
    const replay = replayer({ candidate: policy, known: policies, ...(digest === undefined ? {} : { digest }) });
    const told = replays();
    const read = readRecordedCalls(options.from, { io, root: trust?.value.root, add: (call) => told.add(call, replay(call)) });
    if (!read.ok) return out.refuse(read.error);
    const digests = new Set<string>([...policies.map((one) => one.digest), ...(digest === undefined ? [] : [digest])]);
    return answerReport(told.report(read.value, { candidate: options.policy, known: digests }), options.format, { out, io });
  },
});
