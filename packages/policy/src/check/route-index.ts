/**
 * Which tool of an HTTP server a request is, and whether a call spells a request of its own tool. Read from the catalog
 * once, so that tests, explanations and gates answer alike. Spec: http-tools, sections 2 and 3.
 */

import { serverOf } from '@sallyport/model';
import type { ServerName, Tool, ToolName } from '@sallyport/model';
import { fillTemplate, routeTable, routeTemplate } from '@sallyport/strict';
import type { RouteTable, TypedArguments } from '@sallyport/strict';

export type Routes = ReadonlyMap<ServerName, RouteTable<ToolName>>;

/** The routes of each server. The check of names has refused those that one request could fit and neither is the more exact. */
export function routesOf(tools: readonly Tool[]): Routes {
  const byServer = Map.groupBy(tools, ({ name }) => serverOf(name));
  return new Map(
    [...byServer].map(([server, own]) => {
      const routes = own.flatMap(({ name, route }) => {
        const template = route === undefined ? undefined : routeTemplate(route.path);
        return route === undefined || template === undefined ? [] : [{ method: route.method, template, value: name }];
      });
      return [server, routeTable(routes)];
    }),
  );
}

/**
 * The arguments of the path that keep a call from being a request of its own tool: they fit into no segment, or the path
 * that they spell is read as the route of another. `{name}` filled with `secrets` may be the path of a tool whose own
 * rules were not asked.
 */
export function misspelledArguments(routes: Routes, { name, route }: Tool, args: TypedArguments): readonly string[] {
  const template = route === undefined ? undefined : routeTemplate(route.path);
  if (route === undefined || template === undefined) return [];
  const { segments, unfit } = fillTemplate(template, args);
  if (unfit.length > 0) return unfit;
  if (routes.get(serverOf(name))?.match(route.method, segments)?.value === name) return [];
  return template.flatMap((segment) => ('argument' in segment ? [segment.argument] : []));
}
