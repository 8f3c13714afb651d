/** Part of the configuration: the agent's side, and what it must prove itself with there. */

import { choice, durationMs, filePath, listenAddress, optional, section, text, type Field, type ListenAddress } from '@sallyport/runtime';

/** Where the agent calls out, and how it proves that it is the agent. */
export interface OutboundConfig {
  readonly listen: ListenAddress;
  readonly agent_auth?: 'key' | 'mtls' | 'service_account';
  readonly agent_credential_file?: string;
  readonly agent_certificate?: {
    readonly certificate_file: string;
    readonly key_file: string;
    readonly client_ca_file: string;
    readonly subject: string;
  };
  readonly agent_service_account?: {
    readonly keys_file: string;
    readonly issuer: string;
    readonly audience: string;
    readonly subject: string;
    readonly token_lifetime_ms_max: number;
  };
}

const MINUTE = 60_000;

/** Its schema. */
export const OUTBOUND: Field<OutboundConfig> = section('The agent’s side', {
  listen: listenAddress({ says: 'Where the agent calls: a loopback address or a Unix socket', default: '127.0.0.1:15001' }),
  agent_auth: optional(
    choice({
      of: ['key', 'mtls', 'service_account'],
      says: 'What the agent must prove itself with on every request: `key`, a credential of `agent_credential_file` in `Sallyport-Agent`; `mtls`, a client certificate, without which no handshake succeeds; `service_account`, the projected token of its Kubernetes service account in `Sallyport-Agent`; nothing else in its place. Not given, it is `key` where there is such a file',
    }),
  ),
  agent_credential_file: optional(
    filePath({
      says: 'What the agent must show in `Sallyport-Agent` with every request: one credential of 32 to 256 characters, or two while they are exchanged; without it, whoever reaches the port is taken for the agent',
      trusted: 'pass for the agent',
    }),
  ),
  agent_certificate: optional(
    section('With `agent_auth: mtls`: the port speaks TLS, and asks for a certificate that names the agent', {
      certificate_file: filePath({ says: 'Certificates of the port as PEM, the leaf first; read again when it changes' }),
      key_file: filePath({ says: 'The private key of the leaf as PEM', trusted: 'pass for this sidecar, before its agent' }),
      client_ca_file: filePath({
        says: 'Authorities as PEM, one of which must vouch for the certificate of the agent; read again when it changes',
        trusted: 'pass for the agent',
      }),
      subject: text({
        says: 'The name of the agent in its certificate, a subject alternative name, of no other agent',
        charactersMax: 512,
        pattern: /^(?:uri|dns):[\x21-\x7e]{1,500}$/,
        form: '`uri:<URI>` or `dns:<name>`',
      }),
    }),
  ),
  agent_service_account: optional(
    section('With `agent_auth: service_account`: whose tokens prove the agent', {
      keys_file: filePath({
        says: 'The keys of the cluster, as its `/openid/v1/jwks` gives them; read again when it changes',
        trusted: 'pass for the agent',
      }),
      issuer: text({ says: 'The issuer of the cluster, compared with `iss` byte for byte', charactersMax: 512 }),
      audience: text({
        says: 'The audience of the projection, of no other service: the token must be for it alone',
        charactersMax: 256,
        default: 'sallyport-agent',
      }),
      subject: text({
        says: 'The service account of the agent, of no other pod',
        charactersMax: 512,
        pattern: /^system:serviceaccount:[a-z0-9-]{1,63}:[a-z0-9.-]{1,253}$/,
        form: '`system:serviceaccount:<namespace>:<name>`',
      }),
      token_lifetime_ms_max: durationMs({
        says: 'The longest life of a token, `exp - iat`',
        min: MINUTE,
        max: 24 * 60 * MINUTE,
        default: 60 * MINUTE,
      }),
    }),
  ),
});
