/**
 * How a tool's server proves itself over TLS, and what it is shown: read from documents and parts alike. Certificates of
 * authorities are public and stand in the policy; a private key is named and never written. Spec: policy-v1, 3.2a.
 */

import { decodeBase64, readCertificate } from '@sallyport/crypto';
import { SERVICE_IDENTITY } from '@sallyport/model';
import type { ClientFiles, Json, ServerTls } from '@sallyport/model';
import type { Node, Problems } from '../reader/node.ts';
import type { Reader } from '../reader/read.ts';
import { fields, list, oneOf, text } from '../reader/read.ts';
import { atLeastOne } from '../reader/read-more.ts';
import { secretFile } from './secret-place.ts';

export const TLS_AUTHORITIES_MAX = 8;
export const TLS_IDENTITY_WORDS = 'the SPIFFE id of a service: spiffe://trust-domain/path, and no path of this gateway’s own workloads';

const FIELDS = ['authorities', 'identity', 'client'];

/** `{ authorities?, identity?, client? }`, at least one of them. */
export const serverTls: Reader<ServerTls> = (node, problems) => {
  const declared = fields(node, problems, '`tls`', FIELDS);
  if (declared === undefined || !atLeastOne(declared, FIELDS, problems)) return undefined;
  const authorities = declared.get('authorities', authoritiesOf);
  const identity = declared.get('identity', text('an identity', { test: isIdentity, words: TLS_IDENTITY_WORDS }));
  const client = declared.get('client', clientOf);
  // No host's name is in the certificates of a workload CA: without an id, each of them would be as good as another.
  if (authorities === 'workload' && !declared.has('identity'))
    return problems.add(node.place, 'authorities: workload needs an `identity`', {
      remedy: 'identity: spiffe://trust-domain/service/name',
    });
  return {
    ...(authorities === undefined ? {} : { authorities }),
    ...(identity === undefined ? {} : { identity }),
    ...(client === undefined ? {} : { client }),
  };
};

export function encodeServerTls({ authorities, identity, client }: ServerTls): Json {
  return {
    ...(authorities === undefined ? {} : { authorities: authorities === 'workload' ? authorities : authorities.map(pemOf) }),
    ...(identity === undefined ? {} : { identity }),
    ...(client === undefined ? {} : { client: client === 'workload' ? client : { certificate: client.certificate, key: client.key } }),
  };
}

function isIdentity(value: string): boolean {
  return new RegExp(SERVICE_IDENTITY).test(value);
}

const authoritiesOf: Reader<'workload' | readonly string[]> = (node, problems) =>
  node.kind === 'list'
    ? list('`authorities`', authority, { min: 1, max: TLS_AUTHORITIES_MAX, key: (entry) => entry })(node, problems)
    : oneOf('way to name authorities', ['workload'])(node, problems);

const clientOf: Reader<'workload' | ClientFiles> = (node, problems) => {
  if (node.kind !== 'map') return oneOf('client certificate', ['workload'])(node, problems);
  const declared = fields(node, problems, '`client`', ['certificate!', 'key!']);
  const certificate = declared?.get('certificate', secretFile);
  const key = declared?.get('key', secretFile);
  return certificate === undefined || key === undefined ? undefined : { certificate, key };
};

const PEM = /^\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*$/;

/** One CA certificate in PEM; as base64 of its DER, so that two spellings of one are the same. */
function authority(node: Node, problems: Problems): string | undefined {
  const written = text('a certificate')(node, problems);
  if (written === undefined) return undefined;
  // Not repeated: what is pasted beside a certificate, or in place of one, is often its key.
  const body = PEM.exec(written)?.[1]?.replaceAll(/\s/g, '');
  const der = body === undefined ? undefined : decodeBase64(body);
  if (body === undefined || der === undefined || readCertificate(der)?.isCa !== true)
    return problems.add(node.place, 'this is not one certificate of an authority in PEM', {
      remedy: 'authorities: ["-----BEGIN CERTIFICATE-----\\n…"], each the certificate of a CA',
    });
  return body;
}

function pemOf(base64: string): string {
  return `-----BEGIN CERTIFICATE-----\n${(base64.match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE-----\n`;
}
