/**
 * Several layers as one policy: each layer's names stay its own, the layers above set ceilings, and nothing below widens
 * them. What a release joins comes here as sets of parts; what an author builds, as documents beneath such sets. Spec:
 * policy-v1 section 15.
 */

import { fail, isArea, ok } from '@sallyport/model';
import type { PartName, Problem, Result } from '@sallyport/model';
import { concernedAgents } from '../check/layering.ts';
import type { Layer, LayerPlace, Layering } from '../check/layering.ts';
import { checkNames } from '../check/names.ts';
import type { Declared, Located } from '../grammar/declared.ts';
import { lookOf } from '../reader/forms.ts';
import { LIMITS } from '../reader/limits.ts';
import { Problems, quote } from '../reader/node.ts';
import type { EnvironmentValues, Source } from '../rule.ts';
import type { OwnedLayer } from './ownership-shared.ts';
import { checkOwnership } from './ownership.ts';
import { partsOf, readLayer, substituted } from './parts.ts';
import type { Parts, ReadLayer } from './parts.ts';

/** The parts of one bundle, under the name of its area. */
export interface LayerParts {
  readonly name: string;
  readonly parts: Readonly<Record<PartName, Uint8Array>>;
}

/** Where documents stand: under which name, and beneath what, the highest first. */
export interface Beneath {
  readonly name: string;
  readonly above: readonly LayerParts[];
}

/** What one layer declares, from parts or from documents. */
interface DeclaredLayer extends ReadLayer {
  readonly name: string;
}

/** What all of them declare together. */
interface Joined extends ReadLayer {
  readonly layering: Layering;
}

/** Why layers cannot be joined: some part does not read, or a layer says what it may not. */
export interface JoinRefusal {
  readonly for: 'parts' | 'layers';
  readonly problems: readonly Problem[];
}

/**
 * Reads the parts of every layer, the highest first, and joins them. What comes out compiles like the parts of one
 * bundle; a name that two layers have, and whatever a layer may not say, is a problem that tells both places.
 */
export function joinLayers(layers: readonly LayerParts[]): Result<Parts, JoinRefusal> {
  const problems = new Problems();
  const refused = (why: JoinRefusal['for']): Result<never, JoinRefusal> => fail({ for: why, problems: problems.sorted() });
  checkLayerNames(layers, problems);
  if (problems.hasErrors) return refused('layers');
  const read = readAll(layers, problems);
  if (problems.hasErrors) return refused('parts');
  const joined = join(read, problems);
  if (joined === undefined) return refused('layers');
  const { declared, layering, sources } = joined;
  checkNames(declared, problems);
  if (problems.hasErrors) return refused('parts');
  const parts = partsOf(declared, problems);
  return problems.hasErrors ? refused('parts') : ok({ ...parts, sources, layering });
}

/** What documents declare, joined with the layers above; `undefined` where there are problems. */
export function joinBeneath(
  declared: Declared,
  { name, above }: Beneath,
  problems: Problems,
): (Pick<Joined, 'declared'> & Partial<Joined>) | undefined {
  checkLayerNames([...above, { name }], problems);
  return join([...readAll(above, problems), { name, declared, sources: {} }], problems);
}

/** Each layer by itself; paths begin with its name. */
function readAll(layers: readonly LayerParts[], problems: Problems): readonly DeclaredLayer[] {
  return problems.hasErrors ? [] : layers.map(({ name, parts }) => ({ name, ...readLayer(parts, `${name}:`, problems) }));
}

/** `undefined` where there are problems. */
function join(layers: readonly DeclaredLayer[], problems: Problems): Joined | undefined {
  if (problems.hasErrors) return undefined;
  const owned = ownedLayers(layers, problems);
  checkOwnership(owned, problems);
  if (problems.hasErrors) return undefined;
  const layering = layeringOf(owned);
  const all = <T>(of: (declared: Declared) => readonly Located<T>[]): readonly Located<T>[] => owned.flatMap((layer) => of(layer.declared));
  const agents = all((one) => one.agents);
  const declared: Declared = {
    agents,
    servers: all((one) => one.servers),
    tools: all((one) => one.tools),
    issuers: all((one) => one.issuers),
    trustDomains: all((one) => one.trustDomains),
    callerMethods: all((one) => one.callerMethods),
    credentials: all((one) => one.credentials),
    environment: owned.at(-1)?.environment ?? {},
    rules: all((one) => one.rules),
    tests: all((one) => one.tests),
    observes: owned.flatMap((layer, position) => observesOf(layer, { agents, layering, position })),
  };
  const named = layers.flatMap(({ name, sources }) =>
    Object.entries(sources).map(([id, source]): [string, Source] => [id, { ...source, layer: name }]),
  );
  return { declared, layering, sources: Object.fromEntries(named) };
}

function checkLayerNames(layers: readonly { readonly name: string }[], problems: Problems): void {
  if (layers.length === 0) problems.add({ path: '' }, 'there is no layer');
  if (layers.length > LIMITS.layersMax) problems.add({ path: '' }, `there are ${layers.length} layers, more than ${LIMITS.layersMax}`);
  const looks = new Map<string, string>();
  for (const { name } of layers) {
    if (!isArea(name)) problems.add({ path: quote(name) }, `${quote(name)} is not a name of a layer`, { remedy: 'the name of its area' });
    const other = looks.get(lookOf(name));
    looks.set(lookOf(name), other ?? name);
    if (other !== undefined)
      problems.add(
        { path: quote(name) },
        other === name ? `layer ${quote(name)} stands there twice` : `layer ${quote(name)} looks like ${quote(other)}`,
        {
          remedy: 'choose a name that nobody can take for another',
        },
      );
  }
}

/** Each with the values that it may read: its own, and those of the layers above. */
function ownedLayers(layers: readonly DeclaredLayer[], problems: Problems): readonly OwnedLayer[] {
  let environment: EnvironmentValues = {};
  return layers.map(({ name, declared }) => {
    // The highest wins, so that nothing below can change what is read above; that there are two is refused.
    environment = { ...declared.environment, ...environment };
    return { name, environment, declared: substituted(declared, environment, problems) };
  });
}

function layeringOf(layers: readonly OwnedLayer[]): Layering {
  const places = <T, N extends string>(
    of: (declared: Declared) => readonly Located<T>[],
    nameOf: (item: T) => N,
  ): ReadonlyMap<N, LayerPlace> =>
    new Map(layers.flatMap(({ declared }, layer) => of(declared).map(({ value }, index) => [nameOf(value), { layer, index }] as const)));
  return {
    layers: layers.map(({ name, declared }): Layer => ({
      name,
      issuers: declared.issuers.map(({ value }) => value),
      tools: declared.tools.map(({ value }) => value),
      environment: declared.environment,
    })),
    agents: places(
      ({ agents }) => agents,
      ({ name }) => name,
    ),
    tools: places(
      ({ tools }) => tools,
      ({ name }) => name,
    ),
    rules: places(
      ({ rules }) => rules,
      ({ id }) => id,
    ),
  };
}

/** An Observe of all agents is one of those of its own layer and of the layers below. */
function observesOf(
  { declared }: OwnedLayer,
  { agents, layering, position }: { readonly agents: Declared['agents']; readonly layering: Layering; readonly position: number },
): Declared['observes'] {
  const known = agents.map(({ value }) => value);
  return declared.observes.map(({ value, node }) => ({
    node,
    value: { ...value, agents: concernedAgents(value.agents, { agents: known, layering, layer: position }).map(({ name }) => name) },
  }));
}
