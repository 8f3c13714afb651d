/**
 * Reads the body, within its bound and after authentication, and gives it one meaning: one media type, one coding, one
 * strict parse, one message of its dialect. A call that is judged anew finds the same bytes again.
 */

import {
  ambiguityOfForm,
  FORM_TYPE,
  hasQueryAlone,
  MCP_JUDGE_OPTIONS,
  noArguments,
  readAgentRequest,
  readMcp,
  readMcpHead,
  readSessionRequest,
  readToolCall,
  type AgentAsk,
  type OutboundRoute,
} from '@sallyport/dialects';
import { deny, fail, ok, type Denial, type Result } from '@sallyport/model';
import { denyJson, judge, type HeaderLookup, type Judged } from '@sallyport/strict';
import type { Ask } from '../asked.ts';
import type { Asked, HeadFacts } from '../facts.ts';
import { mappedAsk } from '../mapped-call.ts';
import { pass, refuse, type Gate, type Judgement } from '../gate.ts';
import type { Ports } from '../ports.ts';

export const content: Gate<HeadFacts, Result<Ask, Denial>, Asked, Ports> = {
  name: 'content',
  dialects: { 'http-tool': 'runs', mcp: 'runs', agent: 'runs', session: 'runs' },
  gather: async (facts, { limits }) => {
    if (facts.route.kind === 'mcp' && facts.head.method !== 'POST') return readHead(facts);
    const coding = codingOf(facts.head.headers);
    if (!coding.ok) return coding;
    const body = await facts.body.read({ bytesMax: limits.requestBodyBytesMax, coding: coding.value });
    if (!body.ok) return body;
    return body.value.length === 0 ? readEmpty(facts) : readBody(facts, body.value);
  },
  decide: decideContent,
};

/** Passes a body that asks for one thing. */
export function decideContent(ask: Result<Ask, Denial>): Judgement<Asked> {
  return ask.ok ? pass({ ask: ask.value }) : refuse(ask.error);
}

/** What an MCP client asks by the method alone; a body beside it is never read. */
function readHead({ head }: HeadFacts): Result<Ask, Denial> {
  const message = readMcpHead(head.method, head.headers);
  return message.ok ? ok({ dialect: 'mcp', message: message.value }) : message;
}

/** No body is no arguments; for MCP it is no message. */
function readEmpty(facts: HeadFacts): Result<Ask, Denial> {
  if (facts.route.kind === 'http') return ok(mappedAsk(facts.route, undefined, facts.held.snapshot.policy));
  if (facts.route.kind === 'mcp') return fail(deny('malformed_request', 'mcp: no message'));
  if (facts.route.kind === 'agent') return agentAsk(readAgentRequest(facts.route, undefined));
  return facts.route.kind === 'session'
    ? ok({ dialect: 'session', closes: facts.route.closes })
    : readAsk({ ...facts, route: facts.route }, noArguments());
}

function readBody(facts: HeadFacts, bytes: Uint8Array): Result<Ask, Denial> {
  const { route, head } = facts;
  if (route.kind === 'agent' && !route.isInvoke && isForm(head.headers.get('content-type'))) {
    const against = ambiguityOfForm(bytes);
    return against === undefined ? agentAsk(readAgentRequest(route, { type: FORM_TYPE, bytes })) : fail(against);
  }
  if (!isJson(head.headers.get('content-type'))) {
    return fail(deny('unsupported_content_type', `content type \`${head.headers.get('content-type') ?? ''}\``));
  }
  const judged = judge(bytes, route.kind === 'mcp' ? MCP_JUDGE_OPTIONS : { caseDistinctDepth: 1 });
  if (!judged.ok) return fail(denyJson(judged.error));
  // The bytes go on as they came: they have one meaning, and the agent reads more than we do.
  return route.kind === 'agent'
    ? agentAsk(readAgentRequest(route, { type: 'application/json', bytes, judged: judged.value }))
    : readAsk({ ...facts, route }, judged.value);
}

function agentAsk(read: Result<AgentAsk, Denial>): Result<Ask, Denial> {
  return read.ok ? ok({ dialect: 'agent', request: read.value }) : read;
}

function readAsk({ route, head, held }: HeadFacts & { readonly route: OutboundRoute }, judged: Judged): Result<Ask, Denial> {
  switch (route.kind) {
    case 'mcp': {
      const message = readMcp(head.headers, judged);
      return message.ok ? ok({ dialect: 'mcp', message: message.value }) : message;
    }
    case 'session': {
      const empty = readSessionRequest(judged);
      return empty.ok ? ok({ dialect: 'session', closes: route.closes }) : empty;
    }
    case 'http':
      // Some servers read the body of a GET and some do not: it would be judged for one of them.
      if (hasQueryAlone(route)) return fail(deny('malformed_request', `a ${route.method} with a body`));
      return ok(mappedAsk(route, judged, held.snapshot.policy));
    case 'tool':
    case 'invoke': {
      const call = readToolCall(route, judged);
      return call.ok ? ok({ dialect: 'http-tool', call: call.value }) : call;
    }
  }
}

/** `application/json`, and no character set but UTF-8 (RFC 8259 section 8.1). */
function isJson(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?$/i.test(contentType);
}

/** As browsers and chat platforms write it; UTF-8 is the only character set that a form has (WHATWG URL, section 5). */
function isForm(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/x-www-form-urlencoded[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?$/i.test(contentType);
}

/** One coding at most: stacked codings multiply, and what we cannot decode we cannot judge. */
function codingOf(headers: HeaderLookup): Result<'identity' | 'gzip', Denial> {
  const coding = headers.get('content-encoding')?.toLowerCase() ?? 'identity';
  if (coding === 'identity' || coding === 'gzip') return ok(coding);
  return fail(deny('unsupported_content_type', `content coding \`${coding}\``));
}
