/** Client certificates: whose authority vouches for them, and which of them are revoked. Spec: callers, section 9. */

import { decodeBase64, encodeBase64, readCertificate, readRevocationList } from '@sallyport/crypto';
import type { Json, MtlsMethod } from '@sallyport/model';
import type { Node, Problems } from '../reader/node.ts';
import { compareText } from '../reader/node.ts';
import type { Reader } from '../reader/read.ts';
import { bool, fields, text } from '../reader/read.ts';
import type { Own } from './caller-form.ts';

export const CALLER_AUTHORITIES_MAX = 32;
export const REVOCATION_LISTS_MAX = 64;
/** Lists of about 3,000 certificates. */
export const PEM_CHARS_MAX = 196_608;

export const readMtls: Reader<Own> = (node, problems) => {
  const declared = fields(node, problems, '`mtls`', ['authorities!', 'revocation_lists', 'revocation_required']);
  const authorities = declared?.get('authorities', authoritiesOf);
  if (declared === undefined || authorities === undefined) return undefined;
  const revocationLists = declared.get('revocation_lists', (inner, found) => listsOf(inner, authorities, found));
  if (declared.has('revocation_lists') && revocationLists === undefined) return undefined;
  return {
    config: {
      kind: 'mtls',
      authorities: authorities.map((der) => encodeBase64(der)),
      revocationLists: (revocationLists ?? []).map((der) => encodeBase64(der)),
      requiresRevocationList: declared.get('revocation_required', bool) ?? false,
    },
    secrets: {},
  };
};

function authoritiesOf(node: Node, problems: Problems): readonly Uint8Array[] | undefined {
  const ders = blocksOf(node, { label: 'CERTIFICATE', max: CALLER_AUTHORITIES_MAX }, problems);
  const unfit = ders?.findIndex((der) => !isAuthority(der)) ?? -1;
  if (unfit < 0) return ders;
  return problems.add(node.place, `certificate ${unfit + 1} is not that of an authority with a P-256 or Ed25519 key`);
}

function isAuthority(der: Uint8Array): boolean {
  const certificate = readCertificate(der);
  return certificate?.isCa === true && certificate.publicKey !== undefined;
}

function listsOf(node: Node, authorities: readonly Uint8Array[], problems: Problems): readonly Uint8Array[] | undefined {
  const ders = blocksOf(node, { label: 'X509 CRL', max: REVOCATION_LISTS_MAX }, problems);
  const unfit = ders?.findIndex((der) => readRevocationList(der, authorities) === undefined) ?? -1;
  if (unfit < 0) return ders;
  return problems.add(node.place, `list ${unfit + 1} is not a complete one that one of \`authorities\` has signed, with an end`);
}

/** The DER of one or more blocks of PEM, with nothing between them but white space. */
function blocksOf(
  node: Node,
  { label, max }: { readonly label: string; readonly max: number },
  problems: Problems,
): readonly Uint8Array[] | undefined {
  const written = text('PEM', undefined, PEM_CHARS_MAX)(node, problems);
  if (written === undefined) return undefined;
  if (written.includes('PRIVATE KEY'))
    return problems.add(node.place, 'this is a private key', { remedy: 'remove it, and replace the key: it has been written down' });
  const [begin, end] = [`-----BEGIN ${label}-----`, `-----END ${label}-----`];
  const ders: (Uint8Array | undefined)[] = [];
  for (const block of written.trim().split(end).slice(0, -1)) {
    const body = block.trim();
    ders.push(body.startsWith(begin) ? decodeBase64(body.slice(begin.length).replaceAll(/\s/g, '')) : undefined);
  }
  const whole = ders.filter((der) => der !== undefined && der.byteLength > 0);
  const isWhole = whole.length === ders.length && whole.length > 0 && written.trim().endsWith(end);
  if (!isWhole) return problems.add(node.place, `this is not PEM of \`${label}\``);
  if (whole.length > max) return problems.add(node.place, `there are ${whole.length} blocks of PEM, more than ${max}`);
  return whole as readonly Uint8Array[];
}

export function encodeMtls({ authorities, revocationLists, requiresRevocationList }: MtlsMethod): Json {
  return {
    authorities: pemOf('CERTIFICATE', authorities),
    ...(revocationLists.length === 0 ? {} : { revocation_lists: pemOf('X509 CRL', revocationLists) }),
    revocation_required: requiresRevocationList,
  };
}

function pemOf(label: string, ders: readonly string[]): string {
  const blocks = ders.toSorted(compareText).map((der) => `-----BEGIN ${label}-----\n${der}\n-----END ${label}-----\n`);
  return blocks.join('');
}
