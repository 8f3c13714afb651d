/**
 * Who may call what: one row per RPC, read before any handler runs. The type of the table is made from the services of
 * the contract, so an RPC without a row does not compile. It judges purposes alone; which records or bundles a caller may
 * see is its service's business. docs/spec/control-plane.md section 2.
 */

import { Audit, Directory, Enrolment, Fleet, PolicyPlane, Publish } from '@sallyport/contract';
import type { WorkloadPurpose } from '@sallyport/identity';
import { fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';

/** Every service that this process answers. */
export const SERVICES: {
  readonly PolicyPlane: typeof PolicyPlane;
  readonly Publish: typeof Publish;
  readonly Audit: typeof Audit;
  readonly Fleet: typeof Fleet;
  readonly Enrolment: typeof Enrolment;
  readonly Directory: typeof Directory;
} = { PolicyPlane, Publish, Audit, Fleet, Enrolment, Directory };

type Services = typeof SERVICES;
/** The purposes that may call an RPC; `unproven` admits a caller without a certificate, and only `Enrol` has it. */
export type Admitted = readonly WorkloadPurpose['kind'][] | 'unproven';

type Table = { readonly [S in keyof Services]: { readonly [M in keyof Services[S]['method']]: Admitted } };

/** The table. A purpose that is not named is refused. */
export const AUTHORIZATION: Table = {
  PolicyPlane: {
    subscribe: ['sidecar'],
    getPart: ['sidecar'],
    export: ['admin'],
    prove: ['admin'],
  },
  Publish: {
    getHeads: ['admin'],
    missingParts: ['admin'],
    putPart: ['admin'],
    submitBundle: ['admin'],
    submitRelease: ['admin'],
    revoke: ['admin'],
    listVersions: ['admin'],
    listReleased: ['admin'],
    getObject: ['admin'],
  },
  Audit: {
    // A collector reads what sidecars wrote; nobody but a sidecar writes, and nobody at all changes or deletes.
    ship: ['sidecar'],
    tail: ['collector', 'admin'],
  },
  Fleet: {
    status: ['admin'],
    watch: ['admin'],
    createJoinToken: ['admin'],
  },
  Enrolment: {
    enrol: 'unproven',
    renew: ['sidecar'],
  },
  Directory: {
    submit: ['admin'],
    getHead: ['admin'],
  },
};

/** Why a call is refused before its handler, in gRPC's words. The message is for the caller and names no other caller. */
export interface Unauthorized {
  readonly code: 'UNAUTHENTICATED' | 'PERMISSION_DENIED';
  readonly message: string;
}

/** Whether a caller with this proven purpose may call; `undefined` is a caller without a certificate of our own CA. */
export function authorize(admitted: Admitted | undefined, purpose: WorkloadPurpose | undefined): Result<undefined, Unauthorized> {
  if (admitted === 'unproven') return ok(undefined);
  if (purpose === undefined) return fail({ code: 'UNAUTHENTICATED', message: 'a client certificate of this trust domain is needed' });
  // An RPC that is not in the table is refused like a purpose that is not in its row.
  if (admitted?.includes(purpose.kind) === true) return ok(undefined);
  return fail({ code: 'PERMISSION_DENIED', message: `a certificate of purpose \`${purpose.kind}\` may not call this` });
}
