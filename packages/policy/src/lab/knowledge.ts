/**
 * What a recorded decision tells of a call beyond its members, given the policy that made it: an allow, that everything
 * its rule demanded was met; a denial, what was not. Only what follows is told. Spec: policy-lab section 4.
 */

import type { ToolName } from '@sallyport/model';
import { entryOf } from '../compile/compile.ts';
import type { CompiledPolicy, CompiledRule, Entry } from '../compile/compile.ts';
import { REQUIREMENTS } from '../decide/requirements.ts';
import type { Requirement } from '../decide/requirements.ts';
import { atomsOf } from './atoms.ts';
import type { RecordedCall } from './recorded.ts';
import { ruleText } from './slice.ts';

/** Keys of atoms, of rows and of whole rules, and whether they hold; what is not here is not known. */
export interface Knowledge {
  readonly holds: ReadonlyMap<string, boolean>;
  /** Texts of the allow rules that did not grant, given the require rules of the same policy. */
  readonly withoutGrant: ReadonlySet<string>;
  /** Texts of the require rules that were among them. */
  readonly requires: ReadonlySet<string>;
  /** The arguments fitted the schema of the recorded policy, or did not; `undefined` where that was not asked. */
  readonly isFit: boolean | undefined;
  /** The attributes of the principal are known to be of the types that the recorded policy declares. */
  readonly isTyped: boolean;
  /** The credential was issued for no step, or for this tool. */
  readonly isInStep: boolean;
}

export const NOTHING_KNOWN: Knowledge = {
  holds: new Map(),
  withoutGrant: new Set(),
  requires: new Set(),
  isFit: undefined,
  isTyped: false,
  isInStep: false,
};

/** Key of a condition that was not true: it was false, or it failed, which is not the same to a denial. */
export function unmetKey(key: string): string {
  return `unmet ${key}`;
}

/** Key of a deny rule that matched, or of a require rule that applied and was not met. */
export function refusalKey(text: string): string {
  return `refuses ${text}`;
}

export function knowledgeOf(call: RecordedCall, policy: CompiledPolicy): Knowledge {
  const entry = entryOf(policy, call.agent, call.tool as ToolName);
  if (entry === undefined) return NOTHING_KNOWN;
  const learned = new Learned(entry);
  if (call.decision === 'allow') learned.allowed(call.ruleId);
  else if (call.gate === 'tool' && call.code === 'tool_not_allowed' && call.detail?.startsWith('no rule could allow') === true)
    learned.forNobody();
  else if (call.gate === 'validation') learned.isFit = false;
  else if (call.gate === 'reservation') learned.limited(call);
  else if (call.gate === 'authorization') learned.denied(call);
  return learned;
}

class Learned implements Knowledge {
  /** All six are written by the methods of this class, and `isFit` by `knowledgeOf`, before anybody reads. */
  readonly holds: Map<string, boolean> = new Map();
  readonly withoutGrant: Set<string> = new Set();
  readonly requires: Set<string> = new Set();
  isFit: boolean | undefined;
  isTyped = false;
  isInStep = false;
  readonly #entry: Entry;

  constructor(entry: Entry) {
    this.#entry = entry;
  }

  /** A grant: no denial matched, every require rule was content, and everything the rule demands was met. */
  allowed(ruleId: string): void {
    this.isFit = true;
    this.isInStep = true;
    const granting = this.#entry.allows.find(({ rule }) => rule.id === ruleId);
    // A record that names another rule was made by another policy: nothing follows.
    if (granting === undefined) return;
    this.#noDenial();
    this.#met(granting, () => true);
    for (const { rule } of this.#entry.requires) this.holds.set(refusalKey(ruleText(rule)), false);
    for (const compiled of this.#entry.requires) if (isUnguarded(compiled)) this.#met(compiled, () => true);
  }

  /** No allow rule is for this caller. */
  forNobody(): void {
    for (const { rule } of this.#entry.allows) {
      const { rows, atoms } = atomsOf(rule);
      const row = rows.get('for');
      if (row === undefined) continue;
      this.holds.set(row, false);
      const [only, ...others] = atoms.filter(({ requirement }) => requirement === 'for');
      if (only !== undefined && others.length === 0) this.holds.set(only.key, false);
    }
  }

  /** Granted by rules, and refused by a limit; which rules would have granted besides is not known. */
  limited({ ruleId, code }: RecordedCall): void {
    this.isFit = true;
    this.isInStep = true;
    this.#noDenial();
    const limited = this.#entry.allows.find(({ rule }) => rule.id === ruleId);
    if (limited !== undefined) this.#unmet(limited, code);
  }

  denied({ ruleId, code, detail, isDelegated }: RecordedCall): void {
    const { allows, denies, requires } = this.#entry;
    this.isFit = true;
    const denying = denies.find(({ rule }) => rule.id === ruleId);
    if (denying !== undefined) {
      this.holds.set(refusalKey(ruleText(denying.rule)), true);
      this.#met(denying, (row) => row === 'for');
      return;
    }
    if (ruleId === 'default-deny') {
      if (detail?.startsWith('no allow rule about') !== true) return;
      this.#noDenial();
      this.forNobody();
      return;
    }
    const answering = [...allows, ...requires].find(({ rule }) => rule.id === ruleId);
    if (answering === undefined) return;
    this.#noDenial();
    this.#noGrant();
    // A scope that was not handed on has the same code: which of the rows it was, nobody knows.
    if (isDelegated === true && code === REQUIREMENTS.delegation.code) return;
    this.#unmet(answering, code);
    if (answering.rule.verb === 'require') this.holds.set(refusalKey(ruleText(answering.rule)), true);
  }

  /** Denials are asked first: where anything else answered, none of them matched. */
  #noDenial(): void {
    this.isTyped = true;
    for (const compiled of this.#entry.denies) {
      this.holds.set(refusalKey(ruleText(compiled.rule)), false);
      const { atoms } = atomsOf(compiled.rule);
      const [only, ...others] = atoms;
      if (only !== undefined && others.length === 0) this.holds.set(only.key, false);
    }
  }

  #noGrant(): void {
    for (const { rule } of this.#entry.allows) this.withoutGrant.add(ruleText(rule));
    for (const { rule } of this.#entry.requires) this.requires.add(ruleText(rule));
  }

  #met({ rule }: CompiledRule, isAsked: (row: Requirement) => boolean): void {
    for (const { key, requirement } of atomsOf(rule).atoms) if (isAsked(requirement)) this.holds.set(key, true);
  }

  /** The code is that of the first row that was not met, so that the rows before it were. */
  #unmet({ rule }: CompiledRule, code: string): void {
    const { atoms, rows } = atomsOf(rule);
    const candidates = [...rows.keys()].filter((row) => REQUIREMENTS[row].code === code && row !== 'for');
    // A code that no row of the rule has was not given by it; of a step, no rule says anything.
    if (candidates.length === 0) return;
    const first = Math.min(...candidates.map((row) => REQUIREMENTS[row].row));
    if (first > REQUIREMENTS.step.row) this.isInStep = true;
    for (const { key, requirement } of atoms) if (REQUIREMENTS[requirement].row < first) this.holds.set(key, true);
    const [only, ...others] = candidates;
    if (only === undefined || others.length > 0) return;
    this.holds.set(rows.get(only) ?? '', false);
    const inside = atoms.filter(({ requirement }) => requirement === only);
    if (inside.length === 1 && inside[0] !== undefined) this.holds.set(unmetKey(inside[0].key), true);
  }
}

function isUnguarded({ rule }: CompiledRule): boolean {
  return rule.for === undefined && rule.when === undefined;
}
