/**
 * The caller methods of the policy in force, ready to be asked. They are made anew with each policy; what they have spent and
 * the secrets that they were told are not, so that a new bundle forgets neither. docs/spec/callers.md.
 */

import { callerMethod, chooseMethod, replayMemory, type CallerMethod, type CallerRequest, type ReplayMemory } from '@sallyport/credentials';
import { deny, fail, invariant, ok, type Clock, type Denial, type Instant, type Problem, type Result } from '@sallyport/model';
import type { CallerMethodDocument, CompiledPolicy } from '@sallyport/policy';
import { bytesAccount } from '@sallyport/runtime';
import type { CallerMethods } from '../pipeline/ports.ts';
import type { CallerSecrets } from './caller-secrets.ts';

export interface CallerDoorOptions {
  readonly clock: Clock;
  readonly secrets: CallerSecrets;
  /** What was spent, as many as are remembered at once. */
  readonly replaysMax: number;
  /** Of bodies that are being read of callers who are not proven yet, together. */
  readonly unprovenBytesMax: number;
}

/** A method and the document that it was made from. */
interface Made {
  readonly method: CallerMethod;
  readonly document: CallerMethodDocument;
}

export function callerDoor({ clock, secrets, replaysMax, unprovenBytesMax }: CallerDoorOptions): CallerMethods {
  const replay = replayMemory({ startedAt: clock.wall(), entriesMax: replaysMax });
  // Owner: this door. Methods live as long as their policy.
  const made = new WeakMap<CompiledPolicy, readonly Made[]>();
  const methodsOf = (policy: CompiledPolicy): readonly Made[] => {
    const known = made.get(policy);
    if (known !== undefined) return known;
    const documents = policy.parts.callerMethods ?? [];
    const methods = documents.map((document) => make(document, { secrets, replay }));
    made.set(policy, methods);
    return methods;
  };
  return {
    unproven: bytesAccount(unprovenBytesMax),
    hasAny: (policy) => (policy.parts.callerMethods?.length ?? 0) > 0,
    choose(policy, request) {
      const chosen = chosenOf(methodsOf(policy), request);
      if (!chosen.ok) return chosen;
      if (chosen.value === undefined) return ok(undefined);
      const { method, document } = chosen.value;
      return ok({
        needsBody: method.needsBody,
        ready: () => secrets.ready(document),
        judgeHead: (context) => method.judgeHead(request, context),
        verify: (body, context) => method.verify({ ...request, body }, context),
      });
    },
  };
}

function make(
  document: CallerMethodDocument,
  { secrets, replay }: { readonly secrets: CallerSecrets; readonly replay: ReplayMemory },
): Made {
  const method = callerMethod(document.config, { secretOf: (name) => secrets.secretOf(name), replay });
  invariant(method.ok, 'a bundle whose methods cannot be made is not activated');
  return { method: method.value, document };
}

/**
 * The method whose credential the request carries; none where it carries a token of an issuer, or nothing. A token beside a
 * method's credential is a second one; a certificate beside either is the connection's and counts as none.
 */
function chosenOf(methods: readonly Made[], request: CallerRequest): Result<Made | undefined, Denial> {
  const chosen = chooseMethod(
    methods.map(({ method }) => method),
    request,
  );
  if (!chosen.ok) return chosen;
  const { value } = chosen;
  if (value === undefined) return ok(undefined);
  const isToken = carriesToken(value, request);
  if (value.kind === 'mtls') return isToken ? ok(undefined) : ok(methods.find(({ method }) => method === value));
  return isToken
    ? fail(deny('unauthenticated', `credentials of caller method \`${value.name}\` and of an issuer`))
    : ok(methods.find(({ method }) => method === value));
}

/** Whether `Authorization` holds what is not this method's own, or a proof of possession stands there. */
function carriesToken(method: CallerMethod, request: CallerRequest): boolean {
  const without = request.rawHeaders.filter((_, at, all) => {
    const name = all[at - (at % 2)] ?? '';
    return name.length !== AUTHORIZATION.length || name.toLowerCase() !== AUTHORIZATION;
  });
  const hasAuthorization = without.length < request.rawHeaders.length;
  const hasProof = without.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'dpop');
  // The method has its credential elsewhere: what stands in the header is not its own.
  return hasProof || (hasAuthorization && (method.kind === 'mtls' || method.isPresented({ ...request, rawHeaders: without })));
}

const AUTHORIZATION = 'authorization';

/** What cannot be made of the methods that a bundle declares; for whoever activates it. */
export function callerProblems(documents: readonly CallerMethodDocument[]): readonly Problem[] {
  const ports = { secretOf: () => undefined, replay: replayMemory({ startedAt: 0 as Instant, entriesMax: 1 }) };
  return documents.flatMap(({ config }, at) => {
    const method = callerMethod(config, ports);
    return method.ok ? [] : method.error.map((problem) => ({ ...problem, path: `identity.caller_methods[${at}].${problem.path}` }));
  });
}
