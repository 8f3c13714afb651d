/** Methods made from a bundle's configuration: every problem at once, or a method that can be asked. */

import { type CallerMethodConfig, type Problem, type Result, fail, ok } from '@sallyport/model';
import { apiKeyMethod } from './api-key.ts';
import type { CallerMethod, SecretOf } from './caller-method.ts';
import { hmacMethod } from './hmac.ts';
import { httpSignatureMethod } from './http-signature.ts';
import { kubernetesMethod } from './kubernetes.ts';
import { principalOf } from './mapping.ts';
import type { MethodParts } from './method-parts.ts';
import { mtlsMethod } from './mtls.ts';
import type { ReplayMemory } from './replay-memory.ts';
import { slackMethod } from './slack.ts';

/** What methods need of the process. */
export interface CallerMethodPorts {
  readonly secretOf: SecretOf;
  /** One for all methods of a sidecar, also of later bundles: a new one would forget what was spent. */
  readonly replay: ReplayMemory;
}

const NAME = /^[a-z][a-z0-9-]{0,62}$/;

/** The method that this configuration describes. Asks for no secret yet: one that is missing today may be there tomorrow. */
export function callerMethod(config: CallerMethodConfig, ports: CallerMethodPorts): Result<CallerMethod, readonly Problem[]> {
  const problems: Problem[] = [];
  if (!NAME.test(config.name)) problems.push({ path: 'name', message: `\`${config.name.slice(0, 80)}\` is not a name` });
  const method = make(config, { ...ports, principalOf: principalOf(config, problems) }, problems);
  return problems.length > 0 ? fail(problems) : ok(method);
}

function make(config: CallerMethodConfig, parts: MethodParts, problems: Problem[]): CallerMethod {
  switch (config.kind) {
    case 'slack':
      return slackMethod(config, parts);
    case 'hmac':
      return hmacMethod(config, parts, problems);
    case 'api_key':
      return apiKeyMethod(config, parts, problems);
    case 'http_signature':
      return httpSignatureMethod(config, parts, problems);
    case 'mtls':
      return mtlsMethod(config, parts, problems);
    case 'kubernetes':
      return kubernetesMethod(config, parts, problems);
  }
}
