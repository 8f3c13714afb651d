/** One question to a place of secrets over HTTP: the answer is JSON of a bounded size, or a reason why there is none. */

import type { Destination } from '@sallyport/model';
import { UpstreamFault, type UpstreamAnswer, type UpstreamRequest, type Upstreams } from '@sallyport/net';
import { judge, type Judged } from '@sallyport/strict';
import { gathered } from '../gathered.ts';
import type { SecretFailure } from './secret-source.ts';

export type Asked = Pick<UpstreamRequest, 'method' | 'path' | 'headers' | 'body' | 'signal'>;
export type Told = { readonly status: number; readonly json: Judged } | { readonly failure: SecretFailure };

const BODY_BYTES_MAX = 65_536;
const DEPTH_MAX = 8;

/** A redirect is not followed, and a status that is not 200 is a failure. Never rejects. */
export async function ask(upstreams: Upstreams, destination: Destination, asked: Asked): Promise<Told> {
  try {
    const answer = await upstreams.request(destination, { ...asked, bodyBytesMax: BODY_BYTES_MAX });
    const failure = failureOf(answer);
    if (failure !== undefined) {
      answer.discard();
      return { failure };
    }
    return await readJson(answer);
  } catch (thrown) {
    if (!(thrown instanceof UpstreamFault)) throw thrown;
    return { failure: FAULTS[thrown.code] ?? 'unreachable' };
  }
}

const FAULTS: Readonly<Partial<Record<UpstreamFault['code'], SecretFailure>>> = {
  upstream_untrusted: 'untrusted',
  upstream_too_large: 'too_large',
  upstream_protocol: 'malformed',
};

/** What statuses mean is the same for all of them: 404 is no such secret, 400 to 403 are a refusal, the rest is an outage. */
function failureOf({ status, contentEncoding }: UpstreamAnswer): SecretFailure | undefined {
  if (status === 200) return contentEncoding === undefined ? undefined : 'malformed';
  if (status === 404) return 'missing';
  return status >= 300 && status < 404 ? 'refused' : 'unreachable';
}

async function readJson(answer: UpstreamAnswer): Promise<Told> {
  const body = gathered({ bytesMax: BODY_BYTES_MAX });
  for await (const chunk of answer.body) if (!body.add(chunk)) return { failure: 'too_large' };
  const judged = judge(body.bytes(), { limits: { bytesMax: BODY_BYTES_MAX, depthMax: DEPTH_MAX } });
  return judged.ok ? { status: answer.status, json: judged.value } : { failure: 'malformed' };
}
