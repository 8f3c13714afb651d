/**
 * Asks for the envelope that the tool's declaration wants: a signature by the agent over payload and head. It is judged over
 * the bytes as they came, before anything is made of the arguments. docs/spec/envelopes-v1.md.
 */

import type { Denial } from '@sallyport/model';
import type { Asked, HeadFacts, InSession, Named } from '../facts.ts';
import { pass, refuse, type Gate, type Judgement } from '../gate.ts';
import type { Ports } from '../ports.ts';

export const envelope: Gate<HeadFacts & Asked & InSession & Named, Denial | undefined, object, Ports> = {
  name: 'envelope',
  dialects: {
    'http-tool': 'runs',
    mcp: 'runs',
    agent: { notApplicable: 'its caller has proven itself by a method of its own', instead: {} },
    session: { notApplicable: 'calls no tool' },
  },
  gather: (facts, ports) => {
    const { envelope: fields } = facts.tool.tool;
    return fields === undefined ? undefined : judged(facts, fields, ports);
  },
  decide: decideEnvelope,
};

/** Passes what needs no envelope, and what came in a good one. */
export function decideEnvelope(against: Denial | undefined): Judgement<object> {
  return against === undefined ? pass({}) : refuse(against);
}

async function judged(
  { head, method, target, rawHeaders, body, held, session }: HeadFacts & InSession,
  fields: readonly string[],
  { envelopes, limits, clock }: Ports,
): Promise<Denial | undefined> {
  const read = await body.read({ bytesMax: limits.requestBodyBytesMax, coding: 'identity' });
  if (!read.ok) return read.error;
  const { host, port } = head.target;
  const authority = port === undefined ? host : `${host}:${port}`;
  const { agents, policyDigest: bundle } = held.snapshot;
  const of = { agent: agents.get(session.agent), fields, now: clock.wall(), bundle };
  return envelopes.judge({ method, target, authority, rawHeaders, body: read.value, identity: body }, of);
}
