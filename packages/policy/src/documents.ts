/** Reads an author's YAML documents into a PolicySource, or says everything that is wrong with them. */

import type { Agent, Issuer, Problem, Result, Tool, ToolServer } from '@sallyport/model';
import { Bug } from '@sallyport/model';
import type { EnvironmentValues, Rule, Source, TestSuite } from './rule.ts';

/** One file of an author's directory; `path` is as the author knows it and appears in problems and explanations. */
export interface PolicyFile {
  readonly path: string;
  readonly text: string;
}

/** Everything the documents say, references resolved and checked, `${env.x}` not yet substituted. */
export interface PolicySource {
  readonly agents: readonly Agent[];
  readonly servers: readonly (ToolServer & { readonly network: 'public' | 'private' | 'loopback' })[];
  readonly tools: readonly Tool[];
  readonly issuers: readonly Issuer[];
  readonly environment: EnvironmentValues;
  readonly rules: readonly Rule[];
  readonly tests: readonly TestSuite[];
  /** Where each rule stands, by rule id. */
  readonly sources: Readonly<Record<string, Source>>;
  /** Warnings only: untested tools and the like. */
  readonly warnings: readonly Problem[];
}

/** All problems at once, each with file, line, column, path and, where one is known, a remedy. */
export function parseDocuments(_files: readonly PolicyFile[]): Result<PolicySource, readonly Problem[]> {
  throw new Bug('to come');
}
