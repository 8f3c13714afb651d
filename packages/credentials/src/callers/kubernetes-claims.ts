/** What a projected service-account token says of its workload: claims that must agree with each other. */

import type { Json, JsonObject, Result } from '@sallyport/model';
import { fail, ok } from '@sallyport/model';

export interface ClusterWorkload {
  /** `system:serviceaccount:<namespace>:<name>`. */
  readonly subject: string;
  readonly podUid: string;
}

/** RFC 1123 labels, perhaps joined by dots: no colon, which parts the subject. */
const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const NAMESPACE = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const UID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The workload of a token whose signature is proven; fails where it is not bound to one pod, or says two things. */
export function readWorkload(claims: JsonObject): Result<ClusterWorkload, string> {
  const bound = objectAt(claims, 'kubernetes.io');
  if (bound === undefined) return fail('no `kubernetes.io` claims: not a bound token');
  // Such a token outlives its own words: the cluster takes it for a year (`service-account-extend-token-expiration`).
  if (Object.hasOwn(bound, 'warnafter')) return fail('`warnafter`: the expiry of this token was extended');
  const [account, pod] = [objectAt(bound, 'serviceaccount'), objectAt(bound, 'pod')];
  const namespace = textAt(bound, 'namespace', NAMESPACE);
  const [accountName, accountUid] = [textAt(account, 'name', NAME), textAt(account, 'uid', UID)];
  const [podName, podUid] = [textAt(pod, 'name', NAME), textAt(pod, 'uid', UID)];
  if (podName === undefined || podUid === undefined) return fail('not bound to a pod');
  if (namespace === undefined || accountName === undefined || accountUid === undefined) return fail('not of a service account');
  const subject = `system:serviceaccount:${namespace}:${accountName}`;
  return own(claims, 'sub') === subject ? ok({ subject, podUid }) : fail('`sub` is not the service account of `kubernetes.io`');
}

function objectAt(parent: JsonObject, name: string): JsonObject | undefined {
  const value = own(parent, name);
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

function textAt(parent: JsonObject | undefined, name: string, form: RegExp): string | undefined {
  const value = parent === undefined ? undefined : own(parent, name);
  return typeof value === 'string' && form.test(value) ? value : undefined;
}

function own(parent: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(parent, name) ? parent[name] : undefined;
}
