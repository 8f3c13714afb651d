/**
 * A client certificate and its private key from two files of the secrets folder, as one value: they are of use together
 * alone, and while one of the two has been replaced and the other not, there is none.
 */

import { decodeBase64, readCertificate } from '@sallyport/crypto';
import type { ClientFiles, Instant } from '@sallyport/model';
import { isUsablePair } from '@sallyport/net';
import { readSecretText } from './secret-file.ts';
import type { Sourced } from './secret-source.ts';

/** Read one after the other, two files that are replaced meanwhile do not fit; then both are read again. */
const TRIES_MAX = 3;
const LEAF = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/;

/** The certificate and the key, a NUL between them, made when the certificate was. Never rejects. */
export async function readClientPair(folder: string, files: ClientFiles, now: Instant): Promise<Sourced> {
  let sourced: Sourced = { failure: 'malformed' };
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const [certificate, key] = [await readSecretText(folder, files.certificate), await readSecretText(folder, files.key)];
    if ('failure' in certificate) return certificate;
    if ('failure' in key) return key;
    sourced = judged({ certificate: certificate.value, key: key.value }, now);
    if (!('failure' in sourced)) return sourced;
  }
  return sourced;
}

function judged(pair: { readonly certificate: string; readonly key: string }, now: Instant): Sourced {
  const body = LEAF.exec(pair.certificate)?.[1]?.replaceAll(/\s/g, '');
  const der = body === undefined ? undefined : decodeBase64(body);
  const leaf = der === undefined ? undefined : readCertificate(der);
  if (leaf === undefined || !isUsablePair(pair)) return { failure: 'malformed' };
  // A server would refuse it; that is said here, where the one who has to renew it looks.
  if (now > leaf.notAfter) return { failure: 'outdated' };
  return { value: `${pair.certificate}\0${pair.key}`, madeAt: leaf.notBefore as Instant };
}
