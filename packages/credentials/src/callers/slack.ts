/**
 * Slack's request signature, version v0: `v0=hex(HMAC-SHA-256(secret, "v0:" timestamp ":" body))`. The body is the bytes as
 * received. Target and content type are not signed; docs/spec/callers.md, section 5, says what follows.
 */

import { hasField, readField } from '@sallyport/identity';
import { decodeHex, encodeHex, equalBytes, hmacSha256, utf8 } from '@sallyport/crypto';
import { type Denial, type Instant, type Result, type SlackMethod, invariant, ok } from '@sallyport/model';
import type { CallerContext, CallerMethod, CallerProof, CallerRequest } from './caller-method.ts';

import type { MethodParts } from './method-parts.ts';
import { refusalsOf } from './refusal.ts';
import { judgeSecret } from './shared-secret.ts';
import { denyTimestamp, readSigningTime } from './signing-time.ts';
import { readSlackSender } from './slack-sender.ts';

const SIGNATURE = 'x-slack-signature';
const TIMESTAMP = 'x-slack-request-timestamp';
const SIGNATURE_FORM = /^v0=[0-9a-f]{64}$/;
/** What Slack's own page asks for. Both ways: a timestamp of the future would be worth more than the window. */
const WINDOW_MS = 300_000;

interface SlackHead {
  readonly timestamp: string;
  readonly signedAt: Instant;
  readonly mac: Uint8Array;
}

/** The method of one Slack app. */
export function slackMethod(config: SlackMethod, { secretOf, replay, principalOf }: MethodParts): CallerMethod {
  const { name, kind } = config;
  const refuse = refusalsOf(name);

  const readHead = ({ rawHeaders }: CallerRequest, now: Instant): Result<SlackHead, Denial> => {
    const [signature, timestamp] = [readField(rawHeaders, SIGNATURE), readField(rawHeaders, TIMESTAMP)];
    if (!signature.ok) return refuse('unauthenticated', signature.error);
    if (!timestamp.ok) return refuse('unauthenticated', timestamp.error);
    if (signature.value === undefined || timestamp.value === undefined)
      return refuse('unauthenticated', 'signature or timestamp is missing');
    const signedAt = readSigningTime(timestamp.value, 's', WINDOW_MS, now);
    if (!signedAt.ok) return denyTimestamp(refuse, signedAt.error);
    const mac = SIGNATURE_FORM.test(signature.value) ? decodeHex(signature.value.slice(3)) : undefined;
    if (mac === undefined) return refuse('unauthenticated', `\`${SIGNATURE}\` is not \`v0=\` and 64 lower-case hex digits`);
    return ok({ timestamp: timestamp.value, signedAt: signedAt.value, mac });
  };

  const verify = (request: CallerRequest, { now, isAgain }: CallerContext): Result<CallerProof, Denial> => {
    const { body, rawHeaders } = request;
    invariant(body !== undefined, 'a method that needs the body is asked when it is read');
    const head = readHead(request, now);
    if (!head.ok) return head;
    const { timestamp, signedAt, mac } = head.value;
    const secret = judgeSecret(secretOf(config.secret), refuse);
    if (!secret.ok) return secret;
    if (!equalBytes(mac, hmacSha256(secret.value, utf8(`v0:${timestamp}:`), body)))
      return refuse('signature_invalid', 'the signature is not over this body and time');
    const contentType = readField(rawHeaders, 'content-type');
    const sender = readSlackSender(body, contentType.ok ? contentType.value : undefined);
    if (!sender.ok) return refuse('no_matching_policy', sender.error);
    const principal = principalOf(sender.value, signedAt);
    if (principal === undefined) return refuse('no_matching_policy', `nobody is mapped to \`${sender.value}\``);
    const spendable = { keyId: name, value: encodeHex(mac), madeAt: signedAt, expiresAt: (signedAt + WINDOW_MS + 1) as Instant };
    const spent = isAgain === true ? undefined : replay.spend(spendable, now);
    if (spent !== undefined) return refuse(spent.code, spent.detail);
    return ok({
      method: name,
      kind,
      subject: sender.value,
      principal,
      authenticatedAt: signedAt,
      credentialId: `${name}:${sender.value}`,
      expiresAt: null,
    });
  };

  return {
    name,
    kind,
    needsBody: true,
    isPresented: ({ rawHeaders }) => hasField(rawHeaders, SIGNATURE),
    judgeHead: (request, { now }) => {
      const head = readHead(request, now);
      return head.ok ? undefined : head.error;
    },
    verify,
  };
}
