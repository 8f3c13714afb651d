/**
 * What differs between two policies: in what they say, and in what they answer to the tests of both and to calls made up
 * around the boundaries of whatever changed. The same two policies give the same difference. Spec: policy-lab section 3.
 */

import { fromUtf8 } from '@sallyport/crypto';
import type { AgentName, DenialCode, ToolName } from '@sallyport/model';
import { entriesOf, entryOf } from '../compile/compile.ts';
import type { CompiledPolicy } from '../compile/compile.ts';
import { compareText } from '../reader/node.ts';
import type { Source, TestCase, TestGiven, TestSuite } from '../rule.ts';
import { runTests } from '../suites/run-tests.ts';
import type { TestOutcome } from '../suites/run-tests.ts';
import { probesOf } from './probes.ts';
import type { Probed } from './probes.ts';
import { readsValue, sliceOf } from './slice.ts';
import { changesBetween } from './structure.ts';
import type { ItemChange, PartBytes } from './structure.ts';
import { couldAllowMore } from './widening.ts';

/** One of the policies: its parts as they would be signed, and what they compile to. */
export interface DiffSide {
  readonly parts: PartBytes;
  readonly policy: CompiledPolicy;
}

/** A call that the two answer differently. */
export interface CallChange {
  readonly agent: AgentName;
  readonly tool: ToolName;
  /** JSON text. */
  readonly args: string;
  readonly given: TestGiven;
  /** From 1: which step of a session it is; absent where it stands by itself. */
  readonly step?: number;
  readonly before: 'allow' | DenialCode;
  readonly after: 'allow' | DenialCode;
  /** The rule that answered, where one did. */
  readonly ruleBefore?: string;
  readonly ruleAfter?: string;
  /** Of a case of a test; a call that was made up has none. */
  readonly source?: Source;
}

export interface PolicyDiff {
  /** Everything that is said differently, each with whether it could allow more. */
  readonly changes: readonly (ItemChange & { readonly couldAllowMore: boolean })[];
  readonly newlyAllowed: readonly CallChange[];
  readonly newlyDenied: readonly CallChange[];
  readonly codeChanged: readonly CallChange[];
  /** Agents and tools whose calls could be answered differently; all others are proven to be answered alike. */
  readonly touched: readonly Probed[];
  /** How many pairs of agent and tool are proven to be answered alike. */
  readonly untouched: number;
  readonly tried: number;
  /** There were more calls to try than are tried. */
  readonly isCut: boolean;
}

/** Calls that are made up: of all tools, and of one. What is tried for one leaves room for the others. */
const PROBES_MAX = 20_000;
const PROBES_OF_TOOL_MAX = 400;

export function diffPolicies(before: DiffSide, after: DiffSide): PolicyDiff {
  const policies = [before.policy, after.policy] as const;
  const around = surroundingsOf(after);
  const changes = changesBetween(before.parts, after.parts).map((change) => ({
    ...change,
    couldAllowMore: couldAllowMore(change, around),
  }));
  const pairs = pairsOf(policies);
  const touched = pairs.filter(({ agent, tool }) => sliceOf(before.policy, agent, tool) !== sliceOf(after.policy, agent, tool));
  const ofTool = Math.max(1, Math.min(PROBES_OF_TOOL_MAX, Math.floor(PROBES_MAX / Math.max(1, touched.length))));
  const probed = touched.slice(0, PROBES_MAX);
  const probes = probed.map((pair) => probesOf(policies, pair, ofTool));
  const tried = [...testsOf(policies), ...probes.flat()];
  const found = tried.flatMap((suite) => changesIn(suite, policies));
  return {
    changes,
    newlyAllowed: found.filter((one) => one.before !== 'allow' && one.after === 'allow'),
    newlyDenied: found.filter((one) => one.before === 'allow' && one.after !== 'allow'),
    codeChanged: found.filter((one) => one.before !== 'allow' && one.after !== 'allow'),
    touched,
    untouched: pairs.length - touched.length,
    tried: tried.reduce((sum, { cases, steps }) => sum + cases.length + steps.length, 0),
    isCut: probed.length < touched.length || probes.some(({ length }) => length >= ofTool),
  };
}

/** Whether somebody has to agree: a call is newly allowed, or could be. */
export function allowsMore({ newlyAllowed, changes }: PolicyDiff): boolean {
  return newlyAllowed.length > 0 || changes.some((change) => change.couldAllowMore);
}

type Both = readonly [before: CompiledPolicy, after: CompiledPolicy];

function surroundingsOf({ policy, parts }: DiffSide): Parameters<typeof couldAllowMore>[1] {
  const texts = (['policy', 'catalog', 'identity', 'egress'] as const).map((name) => fromUtf8(parts[name]) ?? '');
  return {
    isOpen: (tool) => policy.parts.agents.some(({ name }) => (entryOf(policy, name, tool as ToolName)?.allows.length ?? 0) > 0),
    isRead: (value) => texts.some((text) => readsValue(text, value)),
  };
}

/** Every agent with every tool that some rule is about on either side. */
function pairsOf(policies: Both): readonly Probed[] {
  const found = new Map<string, Probed>();
  for (const policy of policies)
    for (const { name: agent } of policy.parts.agents)
      for (const { tool } of entriesOf(policy, agent)) found.set(`${agent} ${tool.name}`, { agent, tool: tool.name });
  return [...found].toSorted(([a], [b]) => compareText(a, b)).map(([, pair]) => pair);
}

/** The tests of both, those of the newer first; what both have is tried once. */
function testsOf([before, after]: Both): readonly TestSuite[] {
  const known = new Map<string, TestSuite>();
  for (const suite of [...after.parts.tests, ...before.parts.tests]) {
    const bare = ({ call, argsJson }: TestCase): readonly string[] => [call, argsJson];
    const key = JSON.stringify([suite.agent, suite.given, suite.cases.map(bare), suite.steps.map(bare)]);
    if (!known.has(key)) known.set(key, suite);
  }
  return [...known.values()];
}

function changesIn(suite: TestSuite, [before, after]: Both): readonly CallChange[] {
  const [old, now] = [runTests(before, [suite]).outcomes, runTests(after, [suite]).outcomes];
  const tries = [...suite.cases, ...suite.steps];
  return tries.flatMap((one, index) => {
    const [was, is] = [old[index], now[index]];
    if (was === undefined || is === undefined || was.seen === is.seen) return [];
    const step = index - suite.cases.length + 1;
    const [ruleBefore, ruleAfter] = [ruleOf(was), ruleOf(is)];
    return [
      {
        agent: suite.agent,
        tool: one.call,
        args: one.argsJson,
        given: suite.given,
        ...(step > 0 ? { step } : {}),
        before: was.seen,
        after: is.seen,
        ...(ruleBefore === undefined ? {} : { ruleBefore }),
        ...(ruleAfter === undefined ? {} : { ruleAfter }),
        ...(one.source.line === 0 ? {} : { source: one.source }),
      },
    ];
  });
}

function ruleOf({ limit, explanation }: TestOutcome): string | undefined {
  return limit?.ruleId ?? explanation?.decision.ruleId;
}
