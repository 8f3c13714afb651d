/** `sallyport policy suggest`: recorded denials to the narrowest rules that would allow them, for a person to judge. */

import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { dirOption, homeOf } from '../home.ts';
import { readRecordedCalls } from '../lab/recorded-calls.ts';
import { readSide } from '../lab/side.ts';
import { suggester } from '../lab/suggest.ts';
import { suggestJson, suggestText } from '../lab/suggest-text.ts';
import { flag, required, text } from '../option.ts';
import { readOwnTrust, rootPinOption, rootsOption } from '../trust-files.ts';

export const policySuggest: Command = command({
  name: 'policy suggest',
  group: 'Policy',
  summary: 'propose the narrowest allow rules for what was denied for want of a rule',
  details: [
    'Prints YAML and edits nothing. A rule names the agent, the tool, the tenant and the people who were denied, and nothing broader; a comment says which decisions it is made from. Roles and arguments are not recorded, so narrowing further is yours. What a rule of yours refused is listed and not proposed: whoever wrote the rule meant it.',
    'A denial may be an attack that worked as intended. Read each before you paste it, and then ask policy diff.',
  ],
  options: {
    from: required('--from FILE', 'an export: what audit tail --view records wrote'),
    policy: text('--policy PATH', 'leave out what the policy has no tool or agent for, and say what it knows'),
    verify: flag('--verify', 'prove the records first, and propose nothing where they are not proven'),
    rootPin: rootPinOption,
    roots: rootsOption,
    dir: dirOption,
  },
  examples: [{ line: 'policy suggest --from export.ndjson --policy policy', says: 'after a week of an agent that is observed' }],
  async run({ options, io, out }) {
    const side = options.policy === undefined ? undefined : readSide(options.policy, io);
    if (side?.ok === false) return out.refuse(side.error);
    const trust = options.verify ? readOwnTrust(homeOf(options.dir, io), options, io) : undefined;
    if (trust?.ok === false) return out.refuse(trust.error);
    const suggesting = suggester(side?.value.policy);
    const read = readRecordedCalls(options.from, { io, root: trust?.value.root, add: (call) => suggesting.add(call) });
    if (!read.ok) return out.refuse(read.error);
    const found = suggesting.end();
    const notes = [
      `from ${options.from}: ${read.value.decisions} decisions`,
      read.value.proven === null ? 'not certain: nothing here is proven; --verify proves it first' : `proven: ${read.value.proven}`,
    ];
    await out.answer(suggestJson(found, notes), suggestText(found, notes));
    return 0;
  },
});
