/** Recorded decisions against a candidate, counted and told. Holds as much as it tells, however many there were. */

import { formatInstant } from '@sallyport/model';
import type { Json } from '@sallyport/model';
import type { RecordedCall, Replayed } from '@sallyport/policy/lab';
import { formatProblem } from '@sallyport/model';
import { counted } from '../output.ts';
import { plain } from '../policy/decision-text.ts';
import type { Finding, Report } from './finding.ts';
import type { ReadExport } from './recorded-calls.ts';

/** Flips that are told one by one, and groups of what cannot be decided; beyond, they are counted. */
const TOLD_MAX = 200;
const DIGESTS_MAX = 8;

export interface Counts {
  readonly same: number;
  readonly flippedToAllow: number;
  readonly flippedToDeny: number;
  readonly undecidable: number;
  /** Of these, the ones that were denied: they could be allowed now. */
  readonly undecidableDenied: number;
  readonly elsewhere: number;
}

export interface Replays {
  add(call: RecordedCall, replayed: Replayed): void;
  report(read: ReadExport, about: { readonly candidate: string; readonly known: ReadonlySet<string> }): Report;
}

interface Group {
  readonly tool: string;
  readonly missing: readonly string[];
  count: number;
  denied: number;
  readonly first: string;
}

export function replays(): Replays {
  // Owner: this value.
  const counts = { same: 0, flippedToAllow: 0, flippedToDeny: 0, undecidable: 0, undecidableDenied: 0, elsewhere: 0 };
  const flips: { readonly call: RecordedCall; readonly now: 'allow' | 'deny' }[] = [];
  const groups = new Map<string, Group>();
  const digests = new Map<string, number>();
  return {
    add(call, { verdict, now, missing }) {
      if (verdict === 'flipped' && now !== undefined) {
        counts[now === 'allow' ? 'flippedToAllow' : 'flippedToDeny'] += 1;
        // A flip to allow is never crowded out by the others.
        if (now === 'allow' ? counts.flippedToAllow <= TOLD_MAX : counts.flippedToDeny <= TOLD_MAX) flips.push({ call, now });
        return;
      }
      if (verdict === 'undecidable') {
        counts.undecidable += 1;
        if (call.decision === 'deny') counts.undecidableDenied += 1;
        group(groups, call, missing);
        if (call.policyDigest !== null && (digests.size < 1_000 || digests.has(call.policyDigest)))
          digests.set(call.policyDigest, (digests.get(call.policyDigest) ?? 0) + 1);
        return;
      }
      counts[verdict === 'elsewhere' ? 'elsewhere' : 'same'] += 1;
    },
    report: (read, { candidate, known }) => {
      const strangers = [...digests].filter(([digest]) => !known.has(digest));
      const findings = [...flips.map(flipFinding), ...[...groups.values()].map(groupFinding)];
      const isGood = counts.flippedToAllow === 0;
      const verdict = `${isGood ? 'ok: ' : ''}${verdictOf(counts, read)}`;
      const notes = notesOf(read, strangers);
      return {
        command: 'policy replay',
        isGood,
        verdict,
        findings,
        cases: [],
        json: jsonOf({ verdict, counts, flips, groups, notes, candidate, read, isGood }),
        text: [...findings.map(({ problem }) => formatProblem(problem)), ...notes, verdict].join('\n'),
      };
    },
  };
}

function group(groups: Map<string, Group>, { tool, decision, decisionId }: RecordedCall, missing: readonly string[]): void {
  const key = groups.size < TOLD_MAX ? JSON.stringify([tool, missing]) : '';
  const known = groups.get(JSON.stringify([tool, missing])) ??
    groups.get(key) ?? { tool: key === '' ? 'other tools' : tool, missing, count: 0, denied: 0, first: decisionId };
  known.count += 1;
  if (decision === 'deny') known.denied += 1;
  if (!groups.has(JSON.stringify([tool, missing]))) groups.set(key, known);
}

function verdictOf(
  { same, flippedToAllow, flippedToDeny, undecidable, undecidableDenied, elsewhere }: Counts,
  { decisions }: ReadExport,
): string {
  const open = undecidable === 0 ? '0 undecidable' : `${undecidable} undecidable (${undecidableDenied} of them denied until now)`;
  return `${counted(decisions, 'decision')}: ${same} same, ${flippedToAllow} flipped to allow, ${flippedToDeny} flipped to deny, ${open}, ${elsewhere} not by policy`;
}

function notesOf({ proven, uninterpreted }: ReadExport, strangers: readonly (readonly [string, number])[]): readonly string[] {
  const shown = strangers.slice(0, DIGESTS_MAX).map(([digest, count]) => `${plain(digest)} (${count})`);
  return [
    ...(strangers.length === 0
      ? []
      : [
          `undecidable for want of the policy that decided, ${counted(strangers.length, 'policy')}: name each with --was: ${shown.join(', ')}`.replace(
            'policys',
            'policies',
          ),
        ]),
    ...(uninterpreted === 0 ? [] : [`${counted(uninterpreted, 'record')} of kinds that this version does not know`]),
    proven === null ? 'not certain: nothing here is proven; --verify proves it first' : `proven: ${proven}`,
  ];
}

function flipFinding({ call, now }: { readonly call: RecordedCall; readonly now: 'allow' | 'deny' }): Finding {
  const { decisionId, at, tool, agent, principal, code, ruleId, decision } = call;
  const was = decision === 'allow' ? `allow by rule ${plain(ruleId)}` : `deny ${plain(code)} by ${plain(ruleId)}`;
  const message = `${plain(decisionId)} ${formatInstant(at)}: ${plain(tool)} of agent ${plain(agent)} for ${plain(principal ?? '-')}: ${was} -> ${now}`;
  return now === 'allow'
    ? { id: 'newly-allowed', level: 'error', problem: { path: '', message } }
    : { id: 'newly-denied', level: 'note', problem: { path: '', message } };
}

function groupFinding({ tool, missing, count, denied, first }: Group): Finding {
  const message = `undecidable: ${counted(count, 'call')} of ${plain(tool)}, ${denied} of them denied until now, such as ${plain(first)}: not recorded: ${missing.join(', ')}`;
  return { id: 'undecidable', level: 'note', problem: { path: '', message } };
}

interface Told {
  readonly verdict: string;
  readonly counts: Counts;
  readonly flips: readonly { readonly call: RecordedCall; readonly now: 'allow' | 'deny' }[];
  readonly groups: ReadonlyMap<string, Group>;
  readonly notes: readonly string[];
  readonly candidate: string;
  readonly read: ReadExport;
  readonly isGood: boolean;
}

function jsonOf({ verdict, counts, flips, groups, notes, candidate, read, isGood }: Told): Json {
  return {
    ok: isGood,
    verdict,
    candidate,
    decisions: read.decisions,
    same: counts.same,
    flipped_to_allow: counts.flippedToAllow,
    flipped_to_deny: counts.flippedToDeny,
    undecidable: counts.undecidable,
    undecidable_denied: counts.undecidableDenied,
    not_by_policy: counts.elsewhere,
    verified: read.proven !== null,
    notes,
    flips: flips.map(({ call, now }) => ({
      decision_id: call.decisionId,
      at: formatInstant(call.at),
      agent: call.agent,
      tool: call.tool,
      operator: call.principal ?? '-',
      was: call.decision,
      code: call.code,
      rule_id: call.ruleId,
      policy_digest: call.policyDigest,
      now,
    })),
    undecided: [...groups.values()].map(({ tool, missing, count, denied, first }) => ({
      tool,
      missing,
      count,
      denied,
      first_decision_id: first,
    })),
  };
}
