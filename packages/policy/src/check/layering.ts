/**
 * Which layer declared what, where several sets of parts are joined into one policy. Layers stand in order, the highest
 * (the organisation's) first, the one with the agent itself last. Spec: policy-v1 section 15.
 */

import type { Agent, AgentName, Issuer, RuleId, Tool, ToolName } from '@sallyport/model';
import type { EnvironmentValues, Rule } from '../rule.ts';

/** What one layer declares of the things that conditions read and rules are about. */
export interface LayerView {
  readonly issuers: readonly Issuer[];
  readonly environment: EnvironmentValues;
  readonly tools: readonly Tool[];
}

export interface Layer extends LayerView {
  readonly name: string;
}

/** Where something stands: in which layer, at which place of its list there. */
export interface LayerPlace {
  readonly layer: number;
  readonly index: number;
}

export interface Layering {
  /** The highest first. */
  readonly layers: readonly Layer[];
  readonly agents: ReadonlyMap<AgentName, LayerPlace>;
  readonly tools: ReadonlyMap<ToolName, LayerPlace>;
  readonly rules: ReadonlyMap<RuleId, LayerPlace>;
}

/** The position of a rule's layer; 0 where there is but one. */
export function layerOfRule(layering: Layering | undefined, { id }: Pick<Rule, 'id'>): number {
  return layering?.rules.get(id)?.layer ?? 0;
}

export function layerOfAgent(layering: Layering | undefined, name: AgentName): number {
  return layering?.agents.get(name)?.layer ?? 0;
}

/** Whether the rule stands in the layer of the agent that it is about: across agents, whether there are layers at all. */
export function isAtHome(layering: Layering | undefined, rule: Rule): boolean {
  if (layering === undefined) return true;
  return rule.agent !== undefined && layerOfAgent(layering, rule.agent) === layerOfRule(layering, rule);
}

/** The agents that `"*"` or a list means in a layer: of that layer and of those below, never of one above. */
export function concernedAgents(
  named: '*' | readonly AgentName[],
  { agents, layering, layer }: { readonly agents: readonly Agent[]; readonly layering?: Layering | undefined; readonly layer: number },
): readonly Agent[] {
  return agents.filter(({ name }) => layerOfAgent(layering, name) >= layer && (named === '*' || named.includes(name)));
}

/**
 * What the conditions of each layer may read: what it and the layers above it declare. What a layer below declares is
 * that layer's to choose, so that a condition above which read it would be theirs to turn about.
 */
export function viewsOf(layering: Layering | undefined, whole: LayerView): readonly LayerView[] {
  if (layering === undefined) return [whole];
  return layering.layers.map((_, position) => {
    const above = layering.layers.slice(0, position + 1);
    return {
      issuers: above.flatMap(({ issuers }) => issuers),
      tools: above.flatMap(({ tools }) => tools),
      environment: Object.assign({}, ...above.map(({ environment }) => environment)) as EnvironmentValues,
    };
  });
}
