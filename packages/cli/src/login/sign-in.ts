/**
 * An operator signs in at their identity provider, as OAuth 2.1 has it for a public client: the authorization code with
 * PKCE and a loopback redirect (RFC 7636, RFC 8252), or the device grant where there is no browser (RFC 8628). What comes
 * back is an access token; whether a sidecar believes it is the sidecar's to judge.
 */

import { Fault } from '@sallyport/model';
import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  type Configuration,
  discovery,
  initiateDeviceAuthorization,
  None,
  pollDeviceAuthorizationGrant,
  randomPKCECodeVerifier,
  randomState,
  type TokenEndpointResponse,
} from 'openid-client';
import { openCallback } from './callback.ts';
import { isLoopback } from './issuer.ts';

export interface Provider {
  /** The issuer's own URL; `https`, or a loopback address for trying things out. */
  readonly issuer: URL;
  readonly clientId: string;
  readonly scope: string;
  /** Whom the token is for (RFC 8707); most providers need it to give a JWT. */
  readonly resource: string | undefined;
}

/** What a person has to do, said as it is known. */
export interface Told {
  readonly address: string;
  /** To be typed there, in the device grant. */
  readonly userCode?: string;
}

export interface SignedIn {
  readonly accessToken: string;
  /** Seconds from now, where the provider says. */
  readonly expiresInSeconds: number | undefined;
}

interface Asking {
  readonly tell: (told: Told) => void;
  readonly signal: AbortSignal;
}

const DISCOVERY_SECONDS_MAX = 10;

/** A refusal at the provider, a silent one, and one that is no provider are all a `Fault`. */
export async function signInByBrowser(provider: Provider, { tell, signal, port }: Asking & { readonly port: number }): Promise<SignedIn> {
  const configuration = await configurationOf(provider);
  const verifier = randomPKCECodeVerifier();
  const state = randomState();
  const callback = await openCallback(port);
  try {
    const address = buildAuthorizationUrl(configuration, {
      redirect_uri: callback.redirectUri,
      ...askedFor(provider),
      code_challenge: await calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
    });
    const answered = callback.answered(state, { signal });
    tell({ address: address.href });
    const came = await answered;
    // The library compares the state and, where the provider sends it, the issuer (RFC 9207).
    return signedIn(
      await said(provider.issuer, () => authorizationCodeGrant(configuration, came, { pkceCodeVerifier: verifier, expectedState: state })),
    );
  } finally {
    callback.close();
  }
}

/** Asks for a code to be typed on another device, and waits for as long as the provider lets it. */
export async function signInByDevice(provider: Provider, { tell, signal }: Asking): Promise<SignedIn> {
  const configuration = await configurationOf(provider);
  const device = await said(provider.issuer, () => initiateDeviceAuthorization(configuration, askedFor(provider)));
  tell({ address: device.verification_uri, userCode: device.user_code });
  return signedIn(await said(provider.issuer, () => pollDeviceAuthorizationGrant(configuration, device, {}, { signal })));
}

function askedFor({ scope, resource }: Provider): Record<string, string> {
  return { scope, ...(resource === undefined ? {} : { resource }) };
}

async function configurationOf({ issuer, clientId }: Provider): Promise<Configuration> {
  const execute = isLoopback(issuer) ? [allowInsecureRequests] : [];
  return said(issuer, () =>
    discovery(issuer, clientId, { token_endpoint_auth_method: 'none' }, None(), { execute, timeout: DISCOVERY_SECONDS_MAX }),
  );
}

/** The provider's own words where it has some; never what was sent to it. */
async function said<T>(issuer: URL, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw new Fault('upstream_protocol', 'upstream', `the identity provider at ${issuer.origin}: ${wordsOf(thrown)}`, { cause: thrown });
  }
}

/** What can be met on the way there, in words; the rest keeps its own. */
const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the name has no address',
  EAI_AGAIN: 'the name has no address now',
  ETIMEDOUT: 'it cannot be reached',
  UND_ERR_CONNECT_TIMEOUT: 'it cannot be reached',
  ERR_SSL_WRONG_VERSION_NUMBER: 'what listens there does not speak TLS',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is of nobody that this machine trusts',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is of nobody that this machine trusts',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is of nobody that this machine trusts',
};

function wordsOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'failed';
  const { error, error_description: description } = thrown as Error & { error?: unknown; error_description?: unknown };
  if (typeof error === 'string') return typeof description === 'string' ? `${error}: ${description}` : error;
  // `fetch failed` says nothing; what is at the bottom of it does.
  let deepest: Error = thrown;
  for (let cause: unknown = thrown.cause; cause instanceof Error; cause = cause.cause) deepest = cause;
  if (deepest instanceof AggregateError && deepest.errors[0] instanceof Error) [deepest] = deepest.errors as [Error];
  const words = 'code' in deepest ? WORDS[String(deepest.code)] : undefined;
  return words ?? deepest.message;
}

function signedIn({ access_token: accessToken, expires_in: expiresInSeconds }: TokenEndpointResponse): SignedIn {
  return { accessToken, expiresInSeconds };
}
