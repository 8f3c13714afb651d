/** Suggested rules as YAML to be read, narrowed and pasted by a person; every name of a record stands in quotes. */

import { formatInstant } from '@sallyport/model';
import type { AgentName, Json } from '@sallyport/model';
import { counted } from '../output.ts';
import { plain } from '../policy/decision-text.ts';
import type { Suggestion, Suggestions } from './suggest.ts';

/** No trailing newline. `notes` stand on top, as comments. */
export function suggestText({ suggestions, unsuggested }: Suggestions, notes: readonly string[]): string {
  const agents = [...new Set(suggestions.map(({ agent }) => agent))];
  return [
    ...notes.map((note) => `# ${plain(note)}`),
    ...unsuggested.map(({ tool, why, count }) => `# not suggested: ${counted(count, 'denial')} of ${plain(tool)}: ${plain(why)}`),
    ...(suggestions.length === 0 ? ['# no rule to suggest'] : ['apiVersion: sallyport.dev/v1']),
    ...agents.flatMap((agent, index) => policyLines(agent, suggestions, index)),
  ].join('\n');
}

function policyLines(agent: AgentName, suggestions: readonly Suggestion[], index: number): readonly string[] {
  return [
    ...(index === 0 ? [] : ['---']),
    'kind: Policy',
    `agent: ${JSON.stringify(agent)}`,
    'rules:',
    ...suggestions.filter((one) => one.agent === agent).flatMap(ruleLines),
  ];
}

function ruleLines({ id, tool, tenant, principals, seen, effect, others }: Suggestion): readonly string[] {
  const { count, observed, from, to, decisionIds } = seen;
  const more = count - decisionIds.length;
  const ids = `${decisionIds.map(plain).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  return [
    `  # ${counted(count, 'denial')}${observed === 0 ? '' : `, ${observed} of them observed`}, from ${formatInstant(from)} to ${formatInstant(to)}: ${ids}`,
    ...(others.length === 0 ? [] : [`  # others may call it by ${others.join(', ')}: a role may be all that is missing`]),
    ...(effect === undefined || effect === 'read' ? [] : [`  # its effect is ${effect}`]),
    '  # roles and arguments were not recorded: narrow it by `for`, `arguments`, `bind` or `when`',
    `  - id: ${id}`,
    `    allow: [${JSON.stringify(tool)}]`,
    `    for: { tenants: [${JSON.stringify(tenant)}], principals: [${principals.map((one) => JSON.stringify(one)).join(', ')}] }`,
  ];
}

export function suggestJson({ suggestions, unsuggested }: Suggestions, notes: readonly string[]): Json {
  return {
    ok: true,
    notes,
    suggestions: suggestions.map(({ id, agent, tool, tenant, principals, seen, effect, others }) => ({
      id,
      agent,
      tool,
      tenant,
      principals,
      effect: effect ?? null,
      denials: seen.count,
      observed: seen.observed,
      from: formatInstant(seen.from),
      to: formatInstant(seen.to),
      decision_ids: seen.decisionIds,
      allowed_to_others_by: others,
    })),
    not_suggested: unsuggested.map(({ tool, why, count }) => ({ tool, why, denials: count })),
  };
}
