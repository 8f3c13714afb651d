/**
 * What layers share without naming each other: who says who somebody is, values, words of notes, places to dial. Each has
 * one owner, and every refusal tells both places. Spec: policy-v1 section 15.2.
 */

import { parseBaseUrl } from '../check/environment.ts';
import { budgetMax } from '../demand/limit.ts';
import type { Declared, Located } from '../grammar/declared.ts';
import { placeAt } from '../reader/locate.ts';
import { quote } from '../reader/node.ts';
import type { Node, Place, Problems } from '../reader/node.ts';
import type { EnvironmentValues } from '../rule.ts';

/** One layer as it stands among the others. */
export interface OwnedLayer {
  readonly name: string;
  /** Its texts are substituted. */
  readonly declared: Declared;
  /** Its own values and those of the layers above. */
  readonly environment: EnvironmentValues;
}

/** Where a name was declared first: in the highest layer that has it. */
export interface Owner {
  readonly layer: number;
  readonly node: Located<unknown>['node'];
  readonly value: unknown;
}

export type Owners = ReadonlyMap<string, Owner>;

/** `catalog:catalog.tools[2]`, or `policy/tools.yaml:12`. */
export function show({ file, line, path }: Place): string {
  return file === undefined ? path : `${file}:${line ?? 1}`;
}

/** Whose word counts for who somebody is: one layer's alone, since any issuer can say of its people what rules above ask for. */
export function checkIssuers(layers: readonly OwnedLayer[], problems: Problems): void {
  const vouching = (declared: Declared): readonly { readonly name: string; readonly node: Node }[] => [
    ...declared.issuers.map(({ value, node }) => ({ name: value.issuer, node })),
    ...declared.callerMethods.map(({ value, node }) => ({ name: value.config.name, node })),
  ];
  const first = layers.find(({ declared }) => vouching(declared).length > 0);
  for (const { name: layer, declared } of layers) {
    if (first === undefined || layer === first.name) continue;
    for (const { name, node } of vouching(declared)) {
      problems.add(
        node.place,
        `issuers and caller methods belong to layer ${quote(first.name)}, and layer ${quote(layer)} declares ${quote(name)}`,
        { remedy: `let the owner of ${show(vouching(first.declared)[0]?.node.place ?? { path: '' })} declare it` },
      );
    }
  }
}

export function checkValues(layers: readonly OwnedLayer[], problems: Problems): void {
  const owners = new Map<string, string>();
  for (const { name: layer, declared, environment } of layers) {
    for (const name of Object.keys(declared.environment)) {
      const owner = owners.get(name);
      owners.set(name, owner ?? layer);
      if (owner !== undefined)
        problems.add(
          { path: `${layer}:environment.values.${name}` },
          `layer ${quote(layer)} declares environment value ${quote(name)} anew, which layer ${quote(owner)} owns`,
          {
            remedy: `leave it out: it stands at ${owner}:environment.values.${name}`,
          },
        );
    }
    for (const { value, node } of declared.rules)
      if (value.budget !== undefined && budgetMax(value.budget.max, environment) === undefined)
        problems.add(placeAt(node, 'budget', 'max'), `${quote(value.budget.max)} is no number of this layer or of one above`, {
          remedy: 'what a layer below declares is that layer’s to choose',
        });
  }
}

/** A tool below that noted values under a word of a layer above could put there what conditions above ask for. */
export function checkNotes(layers: readonly OwnedLayer[], problems: Problems): void {
  const owners = new Map<string, Owner>();
  for (const [layer, { declared, name: layerName }] of layers.entries()) {
    for (const { value, node } of declared.tools) {
      for (const field of ['touches', 'remember'] as const) {
        for (const word of Object.keys(value[field] ?? {})) {
          const key = `${field} ${word}`;
          const owner = owners.get(key);
          owners.set(key, owner ?? { layer, node, value });
          if (owner === undefined || owner.layer === layer) continue;
          problems.add(
            placeAt(node, field, word),
            `layer ${quote(layerName)} notes values under ${quote(word)}, which layer ${quote(layers[owner.layer]?.name ?? '')} owns`,
            {
              remedy: `choose another word: this one stands at ${show(owner.node.place)}`,
            },
          );
        }
      }
    }
  }
}

/** Else the tools of a server could be declared once more, under another server’s name and with less said of them. */
export function checkDestinations(layers: readonly OwnedLayer[], problems: Problems): void {
  const owners = new Map<string, Owner>();
  for (const [layer, { declared, name: layerName }] of layers.entries()) {
    for (const { value, node } of declared.servers) {
      const base = parseBaseUrl(value.url, node.place, problems);
      if (base === undefined) continue;
      const name = `${base.host}:${base.port}`;
      const owner = owners.get(name);
      owners.set(name, owner ?? { layer, node, value });
      if (owner === undefined || owner.layer === layer) continue;
      problems.add(
        node.place,
        `layer ${quote(layerName)} leads ${quote(value.name)} to ${quote(name)}, a destination that layer ${quote(layers[owner.layer]?.name ?? '')} owns`,
        {
          remedy: `use the tool server that stands at ${show(owner.node.place)}`,
        },
      );
    }
  }
}
