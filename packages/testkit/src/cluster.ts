/** A Kubernetes cluster as far as its tokens go: what a kubelet projects into a pod, signed by a key of the cluster. */

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import type { Instant } from '@sallyport/model';
import { signJws } from './token-issuer.ts';

export interface Cluster {
  readonly issuer: string;
  /** As `/openid/v1/jwks` gives it. */
  readonly jwks: string;
  /** A token of ten minutes for a pod of `<namespace>:<service account>`. */
  token(of: { account: string; audience: string; now: Instant; pod?: string; claims?: Record<string, unknown> }): string;
}

export function cluster(issuer = 'https://kubernetes.default.svc.cluster.local'): Cluster {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = randomUUID();
  return {
    issuer,
    jwks: JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'ES256' }] }),
    token({ account, audience, now, pod = randomUUID(), claims = {} }) {
      const [namespace = '', name = ''] = account.split(':');
      const iat = Math.floor(now / 1000);
      const bound = { namespace, pod: { name: `${name}-7f3a`, uid: pod }, serviceaccount: { name, uid: randomUUID() } };
      const own = { iss: issuer, aud: [audience], sub: `system:serviceaccount:${account}`, iat, nbf: iat, exp: iat + 600 };
      return signJws({ alg: 'ES256', kid }, JSON.stringify({ ...own, 'kubernetes.io': bound, ...claims }), privateKey);
    },
  };
}
