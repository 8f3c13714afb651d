/** A command as a value: how it is called, what it says of itself, and what it does. Help and reference are made from it. */

import type { Exit, Io } from './io.ts';
import type { Option, Options, Values } from './option.ts';
import { flag } from './option.ts';
import type { Output } from './output.ts';

/** What stands behind the command's name, in order: `DIR`, or `[FILE]` for one that may be left out. */
export interface Argument {
  readonly name: string;
  readonly says: string;
  readonly isOptional?: boolean;
  /** The last one may take all that follows, as in `dev -- npm start`; what looks like an option stands behind `--`. */
  readonly isRest?: boolean;
}

export interface Example {
  /** Without `sallyport`. */
  readonly line: string;
  readonly says: string;
}

/** Headings of the overview, in this order. Signers' tools stand apart: who signs is not who operates. */
export const GROUPS = ['Run', 'Policy', 'Operate', 'Evidence', "Signers' tools"] as const;
export type Group = (typeof GROUPS)[number];

interface Spec<O extends Options> {
  /** `policy check`. */
  readonly name: string;
  readonly group: Group;
  /** One clause, no full stop. */
  readonly summary: string;
  /** Paragraphs below the usage; what is done, what is not, what the exit codes mean here. */
  readonly details?: readonly string[];
  readonly arguments?: readonly Argument[];
  readonly options: O;
  readonly examples: readonly [Example, ...Example[]];
  readonly run: (call: Invocation<O>) => Promise<Exit>;
}

/** One run of a command. */
export interface Invocation<O extends Options> {
  /** As many as were given, at least the required ones. */
  readonly arguments: readonly string[];
  readonly options: Values<O & typeof COMMON>;
  readonly io: Io;
  readonly out: Output;
}

/** What every command understands. */
export const COMMON: { readonly json: Option<boolean>; readonly verbose: Option<boolean> } = {
  json: flag('--json', 'answer with one JSON document on standard output'),
  verbose: flag('--verbose', 'show causes and stack traces of failures'),
};

/** A command whose options have been forgotten by the type, for lists. */
export interface Command extends Omit<Spec<Options>, 'run'> {
  readonly allOptions: Readonly<Record<string, Option<unknown>>>;
  readonly run: (call: Invocation<Options>) => Promise<Exit>;
}

export function command<const O extends Options>(spec: Spec<O>): Command {
  // The program reads the values with these very options, so what it hands over is what the spec asked for.
  const run = spec.run as unknown as Command['run'];
  return { ...spec, run, allOptions: { ...spec.options, ...COMMON } };
}

/** `sallyport policy check DIR [options]`; what follows `--` last. */
export function synopsisOf({ name, arguments: positions = [] }: Pick<Command, 'name' | 'arguments'>): string {
  const shown = (one: Argument): string => (one.isOptional === true ? `[${one.name}]` : one.name);
  const [rest] = positions.filter(({ isRest }) => isRest === true);
  const plain = positions.filter(({ isRest }) => isRest !== true).map(shown);
  const tail = rest === undefined ? [] : [rest.isOptional === true ? `[-- ${rest.name}...]` : `-- ${rest.name}...`];
  return ['sallyport', name, ...plain, '[options]', ...tail].join(' ');
}
