/**
 * Calls of HTTP tools by the paths of their API: which tool a request is, and the typed arguments of any call. A path is
 * built from arguments and read back before it counts, so that no argument can spell the path of another tool.
 * docs/spec/http-tools.md sections 2 and 3.
 */

import { mappedArguments, pathArguments, placeArguments, type MappedRoute } from '@sallyport/dialects';
import { fail, ok, type Result, type ServerName, type Tool, type ToolName } from '@sallyport/model';
import { localNameOf } from '@sallyport/model';
import type { Judged, RouteTable, TypedArguments, Violation } from '@sallyport/strict';
import { askedCall, type Ask } from './asked.ts';
import type { Asked, HeadFacts, Named } from './facts.ts';
import type { PinnedTool } from './ports.ts';

/** Routes by server. */
export type Routes = ReadonlyMap<ServerName, RouteTable<ToolName>>;

/** What a mapped request asks for under the active bundle; without a tool where no route fits. */
export function mappedAsk(route: MappedRoute, body: Judged | undefined, routes: Routes): Extract<Ask, { mapped: unknown }> {
  const { server, method, segments, query } = route;
  const found = routes.get(server)?.match(method, segments);
  const tool = found === undefined ? undefined : localNameOf(found.value);
  return { dialect: 'http-tool', mapped: { server, tool, texts: found?.texts ?? new Map(), query, body } };
}

/** The arguments of a call, typed by the pinned schema, and fit for the pinned route. */
export function typedArguments({ ask, tool, held, server }: HeadFacts & Asked & Named): Result<TypedArguments, readonly Violation[]> {
  const raw = rawArguments(ask, tool);
  const typed = raw.ok ? tool.schema.validate(raw.value) : raw;
  if (!typed.ok || tool.tool.route === undefined) return typed;
  const violations = misspelled(tool.tool, typed.value, held.snapshot.routes.get(server.name));
  return violations.length === 0 ? typed : fail(violations);
}

function rawArguments(ask: Ask, { tool, schema }: PinnedTool): Result<Judged, readonly Violation[]> {
  if (!('mapped' in ask)) return ok(askedCall(ask).arguments);
  return tool.route === undefined ? fail([violation('')]) : mappedArguments(ask.mapped, tool.route, schema.type);
}

/**
 * What keeps these arguments from spelling a request of this tool: `{id}` filled with `delete` may be the path of another
 * tool, whose own rules were not asked.
 */
function misspelled(tool: Tool, args: TypedArguments, routes: RouteTable<ToolName> | undefined): readonly Violation[] {
  const { method, segments, unfit } = placeArguments(tool, args);
  if (unfit.length > 0) return unfit.map(violation);
  const isItself = routes?.match(method, segments)?.value === tool.name;
  return isItself ? [] : pathArguments(tool.route ?? { path: '' }).map(violation);
}

function violation(path: string): Violation {
  return { code: 'schema_violation', path, message: 'does not fit into the route' };
}
