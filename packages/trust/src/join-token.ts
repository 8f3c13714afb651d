/**
 * The join token: what an administrator hands to one new sidecar, so that it knows whom to trust before it has spoken
 * to anyone. It carries the root pin and the CA's digest from the administrator's own files, never from the control
 * plane, and a secret that is spent by its first use.
 */

import { decodeBase64Url, encodeBase64Url, fromUtf8, utf8 } from '@sallyport/crypto';
import { fail, isAgentName, ok } from '@sallyport/model';
import type { AgentName, Area, Digest, Problem, Result, Ring } from '@sallyport/model';
import * as z from 'zod/mini';
import { problemsOf, readJson } from './payload.ts';
import { area, digest, ring, textOf, trustDomain } from './shapes.ts';

export interface JoinToken {
  /** SPIFFE trust domain of the root that the pin names. */
  readonly trustDomain: string;
  /** Digest of Root 1's payload. */
  readonly rootPin: Digest;
  /** SHA-256 of the DER of the workload CA that certifies the enrolment server. */
  readonly caDigest: Digest;
  /** What the sidecar that spends it will be attested for. */
  readonly agent: AgentName;
  readonly area: Area;
  readonly ring: Ring;
  /** 32 random bytes. The control plane keeps only their SHA-256. */
  readonly secret: Uint8Array;
  /** `host:port`; where absent, the sidecar's own configuration names it. */
  readonly enrolmentAddress?: string;
}

/** Bytes of a token's secret. */
export const JOIN_SECRET_BYTES = 32;
/** Characters of a token, before anything of it is decoded. */
const TOKEN_LENGTH_MAX = 4_096;
const JSON_BYTES_MAX = 3_072;

const ADDRESS = /^(?:\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):([0-9]{1,5})$/;

const isAddress = (text: string): boolean => {
  const port = Number(ADDRESS.exec(text)?.[1] ?? '0');
  return port >= 1 && port <= 65_535;
};

const shape: z.ZodMiniType<JoinToken> = z.pipe(
  z.strictObject({
    v: z.literal(1),
    trust_domain: trustDomain,
    root_pin: digest,
    ca_digest: digest,
    agent: textOf((text) => (isAgentName(text) ? text : undefined), 'the name of an agent'),
    area,
    ring,
    secret: textOf((text) => {
      const bytes = decodeBase64Url(text);
      return bytes?.byteLength === JOIN_SECRET_BYTES ? bytes : undefined;
    }, `base64url of ${JOIN_SECRET_BYTES} bytes`),
    enrolment_address: z.optional(textOf((text) => (isAddress(text) ? text : undefined), '`host:port`')),
  }),
  z.transform((wire): JoinToken => ({
    trustDomain: wire.trust_domain,
    rootPin: wire.root_pin,
    caDigest: wire.ca_digest,
    agent: wire.agent,
    area: wire.area,
    ring: wire.ring,
    secret: wire.secret,
    ...(wire.enrolment_address === undefined ? {} : { enrolmentAddress: wire.enrolment_address }),
  })),
);

/** One line of base64url, fit for a file or a secret's value. */
export function encodeJoinToken(token: JoinToken): string {
  const json = {
    v: 1,
    trust_domain: token.trustDomain,
    root_pin: token.rootPin,
    ca_digest: token.caDigest,
    agent: token.agent,
    area: token.area,
    ring: token.ring,
    secret: encodeBase64Url(token.secret),
    ...(token.enrolmentAddress === undefined ? {} : { enrolment_address: token.enrolmentAddress }),
  };
  return encodeBase64Url(utf8(JSON.stringify(json)));
}

const REMEDY = 'make a new one with `sallyport agents join-token`';

/**
 * Reads a token, with one line feed after it or none. Every problem at once; no message quotes any part of the token,
 * since what is wrong with it may be its secret.
 */
export function parseJoinToken(text: string): Result<JoinToken, readonly Problem[]> {
  const line = text.endsWith('\n') ? text.slice(0, -1) : text;
  if (line.length > TOKEN_LENGTH_MAX) return refuse(`the join token is longer than ${TOKEN_LENGTH_MAX} characters`);
  const bytes = decodeBase64Url(line);
  if (bytes === undefined || bytes.byteLength === 0 || fromUtf8(bytes) === undefined) return refuse('the join token is not base64url');
  const json = readJson(bytes, JSON_BYTES_MAX);
  if (!json.ok) return refuse('the join token does not hold strict JSON');
  const read = shape.safeParse(json.value);
  if (read.success) return ok(read.data);
  return fail(read.error.issues.flatMap(problemsOf).map((problem) => ({ ...problem, remedy: REMEDY })));
}

function refuse(message: string): Result<never, readonly Problem[]> {
  return fail([{ path: '', message, remedy: REMEDY }]);
}
