/** Bundle parts as values: strict reading (an unknown field or member of an enumeration is a refusal). */

import type { Agent, Destination, Issuer, PartName, Problem, Result, Tool, ToolServer } from '@sallyport/model';
import { Bug } from '@sallyport/model';
import type { EnvironmentValues, Rule, Source, TestSuite } from './rule.ts';

/** What a bundle says, with `${env.x}` substituted from its own environment part. */
export interface Parts {
  readonly rules: readonly Rule[];
  readonly servers: readonly ToolServer[];
  readonly tools: readonly Tool[];
  readonly environment: EnvironmentValues;
  readonly agents: readonly Agent[];
  readonly issuers: readonly Issuer[];
  readonly destinations: readonly Destination[];
  readonly tests: readonly TestSuite[];
  /** Where each rule stood in the author's files, by rule id. */
  readonly sources: Readonly<Record<string, Source>>;
}

/** Reads all seven parts; every problem at once, its path starting with the part's name. */
export function readParts(_bytes: Readonly<Record<PartName, Uint8Array>>): Result<Parts, readonly Problem[]> {
  throw new Bug('to come');
}
