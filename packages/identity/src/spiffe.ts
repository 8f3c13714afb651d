/**
 * SPIFFE ids, read strictly (SPIFFE-ID specification, sections 2 and 3): the one spelling that can be compared byte for
 * byte, and the purposes that this system gives to paths. Certificates are read elsewhere; this file only names.
 */

import { type AgentName, type Branded, type Problem, type Result, fail, isAgentName, ok } from '@sallyport/model';

/** A whole id in its only spelling: `spiffe://prod.company.com/sidecar/support-triage/7f3a`. */
export type SpiffeId = Branded<string, 'SpiffeId'>;

/** What the bearer of an id may be. A path outside this list has no purpose here, and no peer may hold it. */
export type WorkloadPurpose =
  | { readonly kind: 'control_plane' }
  | { readonly kind: 'collector' }
  | { readonly kind: 'sidecar'; readonly agent: AgentName; readonly instance: string }
  | { readonly kind: 'admin'; readonly name: string };

/** A workload of one trust domain, for exactly one purpose. */
export interface Workload {
  readonly trustDomain: string;
  readonly purpose: WorkloadPurpose;
}

/** Which side of a sidecar a token is meant for; part of its audience, so that one leg's token is useless on the other. */
export type Leg = 'inbound' | 'outbound';

const SCHEME = 'spiffe://';
const ID_BYTES_MAX = 2048;
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
const SEGMENT = /^[A-Za-z0-9._-]{1,128}$/;

const problem = (message: string): Result<never, Problem> => fail({ path: '', message, remedy: 'spiffe://trust-domain/path' });

/** Reads an id and its purpose; refuses ports, queries, escapes, empty or dot segments, and paths without a purpose. */
export function parseSpiffeId(text: string): Result<Workload, Problem> {
  if (!text.startsWith(SCHEME) || text.length > ID_BYTES_MAX) return problem(`\`${text.slice(0, 80)}\` is not a spiffe id`);
  const [trustDomain = '', ...segments] = text.slice(SCHEME.length).split('/');
  if (!TRUST_DOMAIN.test(trustDomain)) return problem(`\`${trustDomain.slice(0, 80)}\` is not a trust domain`);
  const isPath = segments.every((segment) => SEGMENT.test(segment) && segment !== '.' && segment !== '..');
  if (!isPath) return problem(`\`${text.slice(0, 80)}\` has a segment outside letters, digits, \`.\`, \`_\` and \`-\``);
  const purpose = purposeOf(segments);
  return purpose === undefined ? problem(`\`/${segments.join('/').slice(0, 80)}\` names no known workload`) : ok({ trustDomain, purpose });
}

/** The id of a workload; `parseSpiffeId` reads it back to an equal value. */
export function formatSpiffeId(workload: Workload): SpiffeId {
  return `${SCHEME}${workload.trustDomain}/${pathOf(workload.purpose)}` as SpiffeId;
}

/** Whether the text is the only spelling of some workload's id. */
export function isSpiffeId(text: string): text is SpiffeId {
  return parseSpiffeId(text).ok;
}

/** The audience of a token meant for one side of one sidecar: `spiffe://…#outbound`. */
export function audienceOf(sidecar: SpiffeId, leg: Leg): string {
  return `${sidecar}#${leg}`;
}

function purposeOf(segments: readonly string[]): WorkloadPurpose | undefined {
  const [role = '', first = '', second = ''] = segments;
  switch (role) {
    case 'control-plane':
      return segments.length === 1 ? { kind: 'control_plane' } : undefined;
    case 'collector':
      return segments.length === 1 ? { kind: 'collector' } : undefined;
    case 'admin':
      return segments.length === 2 ? { kind: 'admin', name: first } : undefined;
    case 'sidecar':
      return segments.length === 3 && isAgentName(first) ? { kind: 'sidecar', agent: first, instance: second } : undefined;
    default:
      return undefined;
  }
}

function pathOf(purpose: WorkloadPurpose): string {
  switch (purpose.kind) {
    case 'control_plane':
      return 'control-plane';
    case 'collector':
      return 'collector';
    case 'admin':
      return `admin/${purpose.name}`;
    case 'sidecar':
      return `sidecar/${purpose.agent}/${purpose.instance}`;
  }
}
