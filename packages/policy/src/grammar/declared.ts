/** What documents or parts declare, each thing beside the node it was read from, so that later checks know its place. */

import type { Agent, Issuer, Tool, TrustDomain } from '@sallyport/model';
import type { Node } from '../reader/node.ts';
import type { EnvironmentValues, Rule, TestSuite } from '../rule.ts';
import type { DeclaredServer } from './catalog.ts';
import type { CallerMethodDocument } from './caller-method.ts';
import type { Credential } from './credential.ts';
import type { Observe } from './observe.ts';

export interface Located<T> {
  readonly value: T;
  readonly node: Node;
  /** Of a rule in a document: the `agent` or `agents` of the document. */
  readonly whose?: Node;
}

export interface Declared {
  readonly agents: readonly Located<Agent>[];
  readonly servers: readonly Located<DeclaredServer>[];
  readonly tools: readonly Located<Tool>[];
  readonly issuers: readonly Located<Issuer>[];
  readonly trustDomains: readonly Located<TrustDomain>[];
  readonly callerMethods: readonly Located<CallerMethodDocument>[];
  readonly credentials: readonly Located<Credential>[];
  readonly environment: EnvironmentValues;
  readonly rules: readonly Located<Rule>[];
  readonly tests: readonly Located<TestSuite>[];
  readonly observes: readonly Located<Observe>[];
}

/** What is not known because something could not be read, so that what follows from it need not be said as well. */
export interface Doubts {
  /** Names that a declaration which could not be read gives. */
  readonly names: ReadonlySet<string>;
  /** Agents that use what nobody declares, or that have a rule which could not be read. */
  readonly agents: ReadonlySet<string>;
}

export const NO_DOUBTS: Doubts = { names: new Set(), agents: new Set() };
