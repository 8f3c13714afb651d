/** A connection to a world's control plane under an identity that was stolen from a sidecar's disk, or made by a CA. */

import { openChannel, tlsHolder, type Channel, type TlsHolder } from '@sallyport/net';
import { realFileSystem } from '@sallyport/runtime';
import { policyStream } from '@sallyport/testkit';
import { join } from 'node:path';
import { identityFiles, type Identity } from '../../packages/sidecar/src/enrolment/identity-files.ts';
import type { RunningSidecar, World } from './world.ts';

/** Everything that a sidecar's disk holds of who it is: keys and certificates. */
export async function stolenIdentity({ stateDir }: RunningSidecar, owner: { agent: string; instance: string }): Promise<Identity> {
  const held = await identityFiles(realFileSystem(), join(stateDir, 'identity'), owner).read();
  if (held === undefined) throw new Error('it has no identity');
  return held;
}

export function tlsOf({ tlsChain, tlsPem }: Identity): TlsHolder {
  const tls = tlsHolder({ chain: tlsChain, privatePem: tlsPem, authorities: tlsChain.slice(-1) });
  if (!tls.ok) throw new Error(JSON.stringify(tls.error));
  return tls.value;
}

export function workloadChannel({ controlPlane, clock }: World, tls: TlsHolder): Channel {
  const trust = { kind: 'peer', tls, trustDomain: 'demo.local', purpose: 'control_plane' } as const;
  return openChannel({ ...controlPlane.addresses().grpc, trust, clock });
}

/** Says Hello on the policy stream; how it ended, and how much was told before. For identities that are refused. */
export async function refusedSubscription(channel: Channel): Promise<{ readonly code: string; readonly messages: number }> {
  const stream = policyStream(channel);
  stream.hello();
  const { code } = await stream.status;
  return { code, messages: stream.received.length };
}
