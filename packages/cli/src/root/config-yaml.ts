/** The control plane's configuration as `root init` writes it: few keys, every path beside it, the rest left to defaults. */

export interface ConfigYamlOptions {
  readonly grpc: string;
  readonly enrolment: string;
  readonly freshnessTtlMs: number;
  readonly hasDirectory: boolean;
  readonly isDevelopment: boolean;
}

const DEVELOPMENT = `# This root was made by one command on one machine: good for trying, not for production.
allow_development_root: true
`;

/** YAML for `sallyport control-plane --config`. */
export function configYaml({ grpc, enrolment, freshnessTtlMs, hasDirectory, isDevelopment }: ConfigYamlOptions): string {
  return `# The control plane of a ${isDevelopment ? 'development' : 'production'} root. Every key: docs/reference/control-plane-config.md
root_files: [../root/1.json]
root_pin_file: ../root-pin
${isDevelopment ? DEVELOPMENT : ''}delegation_files: [../delegations/default.json]
online_keys_file: ../online-keys.json
freshness_key_file: freshness.pem
revocation_key_file: revocation.pem
${hasDirectory ? 'directory_key_file: directory.pem\n' : ''}workload_ca:
  certificate_file: workload-ca.crt
  key_file: workload-ca.pem
audit_key_file: audit.pem
state_dir: state
listen:
  grpc: ${quoted(grpc)}
  enrolment: ${quoted(enrolment)}
# Names and addresses under which sidecars and administrators reach it.
server_names: [localhost, 127.0.0.1]
# How long sidecars go on without hearing from here.
freshness_ttl_ms: ${freshnessTtlMs}
`;
}

/** JSON text is a YAML scalar, whatever it holds. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
