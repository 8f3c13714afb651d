/** Runs the policy vectors: documents through the whole build, then one decision for each request. */

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { digestOf } from '@sallyport/crypto';
import { formatProblem } from '@sallyport/model';
import type { AgentName, Instant, Isolation, PartName, Principal, SessionId, ToolName } from '@sallyport/model';
import { buildParts, compile, decide, parseDocuments, readParts } from '@sallyport/policy';
import type { CompiledPolicy, PolicyFile, SessionFacts } from '@sallyport/policy';
import { judge } from '@sallyport/strict';

interface VectorRequest {
  readonly description: string;
  readonly agent: string;
  readonly principal: Omit<Principal, 'authenticatedAt'>;
  readonly tool: string;
  readonly arguments: string;
  readonly session: Omit<SessionFacts, 'hasCompleted' | 'id'> & { readonly id: string };
  readonly isolation?: Isolation;
  readonly decision: Readonly<Record<string, unknown>>;
}

interface Vector {
  readonly description: string;
  readonly documents: readonly PolicyFile[];
  readonly parts: Readonly<Record<string, string>>;
  readonly requests: readonly VectorRequest[];
}

const FILES = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.json') && name !== 'schema.json');

const read = (name: string): Vector => JSON.parse(readFileSync(join(import.meta.dirname, name), 'utf8')) as Vector;

/** The policy as a sidecar would hold it: built to bytes, read from bytes. */
function policyOf(vector: Vector): { policy: CompiledPolicy; parts: Readonly<Record<PartName, Uint8Array>> } {
  const source = parseDocuments(vector.documents);
  const built = source.ok ? buildParts(source.value) : source;
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
  const parts = readParts(built.value.parts);
  const policy = parts.ok ? compile(parts.value) : parts;
  if (!policy.ok) throw new Error(policy.error.map(formatProblem).join('\n'));
  return { policy: policy.value, parts: built.value.parts };
}

function answer(policy: CompiledPolicy, request: VectorRequest): Readonly<Record<string, unknown>> {
  const tool = policy.tool(request.tool as ToolName);
  const judged = judge(new TextEncoder().encode(request.arguments));
  const validated = judged.ok ? policy.argumentSchema(request.tool as ToolName)?.validate(judged.value) : undefined;
  if (tool === undefined || validated === undefined) throw new Error('the vector names no tool, or arguments that are not JSON');
  if (!validated.ok) return { decision: 'invalid', code: validated.error[0]?.code };
  const session: SessionFacts = {
    ...request.session,
    id: request.session.id as SessionId,
    hasCompleted: (name) => request.session.completed?.includes(name) === true,
  };
  const principal: Principal = { ...request.principal, authenticatedAt: 0 as Instant };
  const decision = decide(policy, {
    principal,
    agent: request.agent as AgentName,
    tool,
    args: validated.value,
    session,
    now: 0 as Instant,
    isolation: request.isolation ?? 'enforced',
  });
  if (decision.decision === 'allow') {
    const reservations = decision.reservations.map(({ kind, ruleId, key, scope, windowMs, max }) => ({
      kind,
      rule_id: ruleId,
      key,
      scope,
      ...(windowMs === undefined ? {} : { window_ms: windowMs }),
      max,
    }));
    return { decision: 'allow', rule_id: decision.ruleId, reservations };
  }
  const { code, ruleId, fields } = decision;
  return { decision: 'deny', code, rule_id: ruleId, ...(fields === undefined ? {} : { fields }) };
}

describe.each(FILES)('%s', (name) => {
  const vector = read(name);
  const { policy, parts } = policyOf(vector);

  test.each(vector.requests.map((request) => [request.description, request] as const))('%s', (_, request) => {
    expect(answer(policy, request)).toEqual(request.decision);
  });

  test('the parts have the digests written down', () => {
    const digests = Object.keys(vector.parts).map((part) => [part, digestOf(parts[part as PartName])]);
    expect(Object.fromEntries(digests)).toEqual(vector.parts);
  });
});
