/**
 * Which of the bundle's methods judges a request: the one whose credential it carries. A second credential beside it would
 * be judged by nobody, and each reader of the record would believe another one.
 */

import { type Denial, type Result, deny, fail, ok } from '@sallyport/model';
import type { CallerMethod, CallerRequest } from './caller-method.ts';

/**
 * The method to ask, `undefined` where the request carries no credential of any; `unauthenticated` where it carries two. A
 * client certificate counts only where nothing else is carried: a port may ask everybody for one.
 */
export function chooseMethod(methods: readonly CallerMethod[], request: CallerRequest): Result<CallerMethod | undefined, Denial> {
  const presented = methods.filter((method) => method.isPresented(request));
  const inHead = presented.filter(({ kind }) => kind !== 'mtls');
  const candidates = inHead.length > 0 ? inHead : presented;
  if (candidates.length <= 1) return ok(candidates[0]);
  return fail(deny('unauthenticated', `credentials of several caller methods: ${candidates.map(({ name }) => `\`${name}\``).join(', ')}`));
}
