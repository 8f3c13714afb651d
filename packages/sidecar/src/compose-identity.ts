/** Part of the composition root: everything that acts under this sidecar's identity towards others, and follows its renewals. */

import type { Clock, Random } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import { secretTimes } from './compose-ports.ts';
import type { SidecarConfig } from './config.ts';
import { delegationRoom, type DelegationRoom } from './delegation/delegations.ts';
import type { Identity } from './enrolment/identity-files.ts';
import { statementOf } from './delegation/statement-file.ts';
import { serverTlsRoom, type ServerTlsRoom } from './secrets/server-tls.ts';
import { assertions, type Assertions } from './upstream/assertions.ts';

export interface UnderIdentity {
  readonly assertions: Assertions;
  readonly serverTls: ServerTlsRoom;
  readonly delegations: DelegationRoom;
  /** From now on, until the next. */
  use(identity: Identity): void;
}

/** About 2 KB each. */
const ASSERTIONS_KEPT_MAX = 2_000;

export function underIdentity(
  config: SidecarConfig,
  { clock, random, disk }: { readonly clock: Clock; readonly random: Random; readonly disk: FileSystem },
): UnderIdentity {
  const asserting = assertions({ clock, random, keptMax: ASSERTIONS_KEPT_MAX });
  const serverTls = serverTlsRoom({ clock, folder: config.secrets.folder, times: secretTimes(config) });
  const delegations = delegationRoom(clock, statementOf(config, { clock, disk }));
  return {
    assertions: asserting,
    serverTls,
    delegations,
    use(identity) {
      asserting.use(identity);
      serverTls.use(identity);
      delegations.use(identity);
    },
  };
}
