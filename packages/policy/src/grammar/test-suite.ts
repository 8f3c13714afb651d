/** Tests: read from documents and parts alike. Only the place of a case and its arguments are spelled differently in parts. */

import { DENIAL_CODES } from '@sallyport/model';
import type { AgentName, DenialCode, Json } from '@sallyport/model';
import { agentName, toolNameReader } from '../reader/forms.ts';
import { LIMITS } from '../reader/limits.ts';
import type { Node, Problems } from '../reader/node.ts';
import { didYouMean, jsonTextOfNode, quote } from '../reader/node.ts';
import type { Reader } from '../reader/read.ts';
import { fields, list, text } from '../reader/read.ts';
import type { Source, TestCase, TestSuite } from '../rule.ts';
import { NOTHING_GIVEN, encodeGiven, testGiven } from './given.ts';

/** A suite of a document; without `agent` it is about the only agent there is, which is known where all were read. */
export function testOf(onlyAgent: AgentName | undefined, areAllRead = true): Reader<TestSuite> {
  return (node, problems) => {
    const declared = fields(node, problems, 'a Test', ['name', 'agent', 'given', 'cases', 'steps']);
    if (declared === undefined) return undefined;
    const name = declared.get('name', text('a name'));
    const agent = declared.has('agent') ? declared.get('agent', agentName) : onlyAgent;
    if (agent === undefined && !declared.has('agent') && areAllRead)
      problems.add(node.place, 'a Test lacks `agent`', { remedy: 'there is not exactly one agent' });
    if (!declared.has('cases') && !declared.has('steps')) problems.add(node.place, 'a Test has neither `cases` nor `steps`');
    const given = declared.get('given', testGiven) ?? NOTHING_GIVEN;
    const cases = declared.get('cases', list('`cases`', documentCase, { min: 1, max: LIMITS.casesMax })) ?? [];
    const steps = declared.get('steps', list('`steps`', documentCase, { min: 1, max: LIMITS.casesMax })) ?? [];
    return agent === undefined ? undefined : { ...(name === undefined ? {} : { name }), agent, given, cases, steps };
  };
}

/** A suite of a part, where everything is written out. */
export const suite: Reader<TestSuite> = (node, problems) => {
  const declared = fields(node, problems, 'a test', ['name', 'agent!', 'given!', 'cases!', 'steps!']);
  const name = declared?.get('name', text('a name'));
  const agent = declared?.get('agent', agentName);
  const given = declared?.get('given', testGiven);
  const cases = declared?.get('cases', list('`cases`', partCase, { max: LIMITS.casesMax }));
  const steps = declared?.get('steps', list('`steps`', partCase, { max: LIMITS.casesMax }));
  if (agent === undefined || given === undefined || cases === undefined || steps === undefined) return undefined;
  return { ...(name === undefined ? {} : { name }), agent, given, cases, steps };
};

const EXPECTATIONS = ['allow', ...DENIAL_CODES] as const;

/** What rules mostly answer: of fifty codes, those that an author is likely to look for. */
const LIKELY: readonly DenialCode[] = [
  'no_matching_policy',
  'tool_not_allowed',
  'insufficient_scope',
  'resource_binding_mismatch',
  'session_precondition_failed',
  'parameter_not_allowed',
  'call_limit_exceeded',
];

const expectation: Reader<(typeof EXPECTATIONS)[number]> = (node, problems) => {
  const given = node.kind === 'scalar' ? node.text : '';
  const found = EXPECTATIONS.find((code) => node.kind === 'scalar' && code === node.value);
  return (
    found ??
    problems.add(node.place, `${quote(given)} is not a denial code`, {
      remedy: didYouMean(given, EXPECTATIONS) ?? `allow, or the code of the denial: mostly ${LIKELY.join(', ')}`,
    })
  );
};

const documentCase: Reader<TestCase> = (node, problems) => {
  const declared = fields(node, problems, 'a case', ['call!', 'args', 'expect!']);
  const call = declared?.get('call', toolNameReader);
  const expect = declared?.get('expect', expectation);
  const argsJson = declared?.has('args') === true ? declared.get('args', argumentText) : '{}';
  const source = { file: node.place.file ?? '', line: node.place.line ?? 1 };
  return call === undefined || expect === undefined || argsJson === undefined ? undefined : { call, argsJson, expect, source };
};

const argumentText = (node: Node, problems: Problems): string | undefined =>
  node.kind === 'map' ? jsonTextOfNode(node) : problems.add(node.place, '`args` must be a map', { remedy: 'write args: { name: … }' });

const partCase: Reader<TestCase> = (node, problems) => {
  const declared = fields(node, problems, 'a case', ['call!', 'args!', 'expect!', 'source!']);
  const call = declared?.get('call', toolNameReader);
  const expect = declared?.get('expect', expectation);
  const argsJson = declared?.get('args', text('`args`', undefined, LIMITS.fileCharsMax));
  const source = declared?.get('source', sourceText);
  return call === undefined || expect === undefined || argsJson === undefined || source === undefined
    ? undefined
    : { call, argsJson, expect, source };
};

/** `policy/refunds.yaml:12` */
export const sourceText: Reader<Source> = (node, problems) => {
  const match = node.kind === 'scalar' ? /^(.{1,1024}):([1-9][0-9]{0,6})$/su.exec(node.text) : null;
  return match === null ? problems.add(node.place, 'a source is file:line') : { file: match[1] ?? '', line: Number(match[2]) };
};

export function formatSource({ file, line, layer }: Source): string {
  return `${layer === undefined ? '' : `${layer}:`}${file}:${line}`;
}

export function encodeSuite({ name, agent, given, cases, steps }: TestSuite): Json {
  const encodeCase = ({ call, argsJson, expect, source }: TestCase): Json => ({
    call,
    args: argsJson,
    expect,
    source: formatSource(source),
  });
  return {
    ...(name === undefined ? {} : { name }),
    agent,
    given: encodeGiven(given),
    cases: cases.map(encodeCase),
    steps: steps.map(encodeCase),
  };
}
