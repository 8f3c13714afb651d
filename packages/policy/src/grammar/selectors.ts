/** Which tools a rule is about: selectors, resolved against the tools of the rule's own agent. */

import { serverOf } from '@sallyport/model';
import type { Agent, ServerName, Tool } from '@sallyport/model';
import type { Selector } from '../rule.ts';

/** Whether a selector is about a tool. */
export function selects(selector: Selector, tool: Tool): boolean {
  if ('tool' in selector) {
    return selector.tool.endsWith('*') ? tool.name.startsWith(selector.tool.slice(0, -1)) : tool.name === selector.tool;
  }
  return (
    (selector.server === undefined || serverOf(tool.name) === selector.server) &&
    (selector.effect === undefined || tool.effect === selector.effect) &&
    (selector.class === undefined || tool.classes.includes(selector.class)) &&
    (selector.method === undefined || tool.route?.method === selector.method)
  );
}

/** Resolves selectors for the tools that an agent uses. Each distinct selector is walked once. */
export class ToolIndex {
  readonly #byName: ReadonlyMap<string, Tool>;
  readonly #byServer = new Map<ServerName, Tool[]>();
  /** Written by `#resolve` alone: agent and selector as text, to the tools. */
  readonly #resolved = new Map<string, readonly Tool[]>();

  constructor(tools: readonly Tool[]) {
    this.#byName = new Map(tools.map((tool) => [tool.name, tool]));
    for (const tool of tools.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const server = serverOf(tool.name);
      const list = this.#byServer.get(server);
      if (list === undefined) this.#byServer.set(server, [tool]);
      else list.push(tool);
    }
  }

  tool(name: string): Tool | undefined {
    return this.#byName.get(name);
  }

  /** Every tool of the servers that the agent uses, by name. */
  usedBy(agent: Agent): readonly Tool[] {
    return agent.uses.toSorted().flatMap((server) => this.#byServer.get(server) ?? []);
  }

  /** The tools of one selector that the agent uses. */
  select(agent: Agent, selector: Selector): readonly Tool[] {
    if ('tool' in selector && !selector.tool.endsWith('*')) {
      const tool = this.#byName.get(selector.tool);
      return tool !== undefined && agent.uses.includes(serverOf(tool.name)) ? [tool] : [];
    }
    const key = `${agent.name} ${JSON.stringify(selector)}`;
    const known = this.#resolved.get(key);
    if (known !== undefined) return known;
    const tools = this.usedBy(agent).filter((tool) => selects(selector, tool));
    this.#resolved.set(key, tools);
    return tools;
  }

  /** The tools of a rule, each once, by name. */
  selectAll(agent: Agent, selectors: readonly Selector[]): readonly Tool[] {
    const [only] = selectors;
    if (selectors.length === 1 && only !== undefined) return this.select(agent, only);
    return [...new Set(selectors.flatMap((selector) => this.select(agent, selector)))].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }
}
