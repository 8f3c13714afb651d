/**
 * Calls of HTTP tools by the paths of their API: which tool a request is, and the typed arguments of any call. A path is
 * built from arguments and read back before it counts, so that no argument can spell the path of another tool.
 * docs/spec/http-tools.md sections 2 and 3.
 */

import { mappedArguments, unfitForQuery, type MappedRoute } from '@sallyport/dialects';
import { fail, localNameOf, ok, type Result } from '@sallyport/model';
import { shapeArguments, type CompiledPolicy, type ShapedArguments } from '@sallyport/policy';
import type { Judged, Violation } from '@sallyport/strict';
import { askedCall, type Ask } from './asked.ts';
import type { Asked, HeadFacts, Named } from './facts.ts';
import type { PinnedTool } from './ports.ts';

/** What a mapped request asks for under the active bundle; without a tool where no route fits. */
export function mappedAsk(route: MappedRoute, body: Judged | undefined, policy: CompiledPolicy): Extract<Ask, { mapped: unknown }> {
  const { server, method, segments, query } = route;
  const found = policy.toolAt(server, method, segments);
  const tool = found === undefined ? undefined : localNameOf(found.value);
  return { dialect: 'http-tool', mapped: { server, tool, texts: found?.texts ?? new Map(), query, body } };
}

/** The arguments of a call, typed by the pinned schema, and fit for the pinned route. */
export function typedArguments({ ask, tool, held }: HeadFacts & Asked & Named): Result<ShapedArguments, readonly Violation[]> {
  const raw = rawArguments(ask, tool);
  const typed = raw.ok ? shapeArguments(tool, raw.value) : raw;
  if (!typed.ok || tool.tool.route === undefined) return typed;
  const { args } = typed.value;
  const unfit = [...held.snapshot.policy.misspelled(tool.tool, args), ...unfitForQuery(tool.tool.route, args)];
  return unfit.length === 0 ? typed : fail(unfit.map(violation));
}

function rawArguments(ask: Ask, { tool, schema }: PinnedTool): Result<Judged, readonly Violation[]> {
  if (!('mapped' in ask)) return ok(askedCall(ask).arguments);
  return tool.route === undefined ? fail([violation('')]) : mappedArguments(ask.mapped, tool.route, schema.type);
}

function violation(path: string): Violation {
  return { code: 'schema_violation', path, message: 'does not fit into the route' };
}
