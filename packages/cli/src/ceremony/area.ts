/** The ceremony of a delegation: two registrars say who publishes for an area. docs/spec/ceremonies.md section 6. */

import { join } from 'node:path';
import { fail, formatInstant, ok } from '@sallyport/model';
import type { Area, Result } from '@sallyport/model';
import { EMPTY_HIGH_WATER, readAreaDelegation, trustDelegation } from '@sallyport/trust';
import type { AreaDelegation } from '@sallyport/trust';
import type { Home } from '../home.ts';
import type { Refusal } from '../output.ts';
import { needRoot, rejected } from './ceremony.ts';
import { readHeld, replaceNumbered } from './held.ts';
import type { Ceremony, Place, Signed } from './ceremony.ts';

export const AREA_CEREMONY: Ceremony<AreaDelegation> = {
  kind: 'AreaDelegation',
  family: 'area',
  noun: 'a delegation',
  read: readAreaDelegation,
  signatories: (_delegation, root) =>
    root === undefined ? fail(needRoot()) : ok([{ says: `the registrar role of root ${root.number}`, role: root.role('registrar') }]),
  describe: ({ number, area, publishers, expiresAt }) => [
    `delegation ${number} of ${area}, valid to ${formatInstant(expiresAt)}`,
    `  publishers ${publishers.threshold} of ${publishers.keyIds.join(', ')}`,
  ],
  json: ({ number, area, publishers, expiresAt }) => ({
    number,
    area,
    publishers: publishers.keyIds,
    threshold: publishers.threshold,
    expires_at: formatInstant(expiresAt),
  }),
  install,
};

export function delegationFile(home: Pick<Home, 'delegations'>, area: Area): string {
  return join(home.delegations, `${area.replaceAll('/', '.')}.json`);
}

/**
 * The delegation that lies in the folder, for who drafts the next one: read, not verified, since it may have expired or
 * hang on a root of before. Nobody signs it again.
 */
export function heldDelegation(home: Home, area: Area): AreaDelegation | undefined {
  return readHeld('AreaDelegation', delegationFile(home, area), readAreaDelegation);
}

function install({ object, envelope }: Signed<AreaDelegation>, { home, root, io }: Place): Result<readonly string[], Refusal> {
  if (root === undefined) return fail(needRoot());
  const trusted = trustDelegation(envelope, { root, highWater: EMPTY_HIGH_WATER, at: io.clock.wall() });
  if (!trusted.ok) return fail(rejected(trusted.error));
  const file = delegationFile(home, object.area);
  return replaceNumbered(file, {
    kind: 'AreaDelegation',
    envelope,
    number: object.number,
    held: heldDelegation(home, object.area)?.number ?? 0,
    what: `the delegation of ${object.area}`,
  });
}
