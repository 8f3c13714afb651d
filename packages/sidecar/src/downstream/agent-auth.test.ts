/** Which way is asked for, and that no second one can be left open beside it. */

import { describe, expect, it } from 'vitest';
import type { SidecarConfig } from '../config.ts';
import { agentAuthOf, judgeAgentAuth } from './agent-auth.ts';

type Outbound = SidecarConfig['outbound'];

const listen = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;
const key = { agent_credential_file: '/run/key' };
const account = {
  agent_service_account: { keys_file: '/k', issuer: 'i', audience: 'a', subject: 's', token_lifetime_ms_max: 60_000 },
};

const certificate = { agent_certificate: { certificate_file: '/c', key_file: '/k', client_ca_file: '/a', subject: 'dns:triage' } };

describe('what the agent must prove itself with', () => {
  it.each<[what: string, asked: Omit<Outbound, 'listen'>, way: string | undefined]>([
    ['nothing where nothing is said', {}, undefined],
    ['a key where only its file is named', key, 'key'],
    ['a key where it says so', { agent_auth: 'key', ...key }, 'key'],
    ['a certificate where it says so', { agent_auth: 'mtls', ...certificate }, 'mtls'],
    ['a token where it says so', { agent_auth: 'service_account', ...account }, 'service_account'],
  ])('%s', (_what, asked, way) => {
    expect(agentAuthOf({ listen, ...asked })).toBe(way);
    expect(judgeAgentAuth({ listen, ...asked })).toEqual([]);
  });

  it.each<[mistake: string, asked: Omit<Outbound, 'listen'>, path: string]>([
    ['a way without what it needs would prove everybody or nobody', { agent_auth: 'service_account' }, 'outbound.agent_service_account'],
    ['a key without its file', { agent_auth: 'key' }, 'outbound.agent_credential_file'],
    ['a key left beside the token', { agent_auth: 'service_account', ...account, ...key }, 'outbound.agent_credential_file'],
    ['a token beside the key', { agent_auth: 'key', ...key, ...account }, 'outbound.agent_service_account'],
    ['a certificate that nobody asks for', certificate, 'outbound.agent_certificate'],
    ['a key left beside the certificate', { agent_auth: 'mtls', ...certificate, ...key }, 'outbound.agent_credential_file'],
    ['a token that nobody asks for', account, 'outbound.agent_service_account'],
  ])('%s is no configuration', (_mistake, asked, path) => {
    expect(judgeAgentAuth({ listen, ...asked }).map((problem) => problem.path)).toEqual([path]);
  });
});
