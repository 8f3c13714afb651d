import { expect, test } from 'vitest';
import { formatProblem } from '@sallyport/model';
import { readConfig } from '@sallyport/runtime';
import { CONTROL_PLANE_CONFIG } from './config.ts';

const FLAGS = {
  root_files: '[1.root.json]',
  root_pin_file: 'root-pin',
  delegation_files: '[delegation.json]',
  online_keys_file: 'online-keys.json',
  freshness_key_file: 'freshness.pem',
  revocation_key_file: 'revocation.pem',
  audit_key_file: 'audit.pem',
  'workload_ca.certificate_file': 'ca.crt',
  'workload_ca.key_file': 'ca.pem',
  state_dir: 'state',
  server_names: '[localhost]',
};

test('what is left out has a default that is within its own range', () => {
  const read = readConfig(CONTROL_PLANE_CONFIG, { flags: FLAGS });
  expect(read.ok ? [] : read.error.map(formatProblem)).toEqual([]);
  expect(read.ok && read.value).toMatchObject({
    allow_development_root: false,
    freshness_ttl_ms: 300_000,
    listen: { grpc: { port: 7443 }, enrolment: { port: 7445 } },
  });
});

test.each([
  ['an unknown key', { freshnes_ttl_ms: '1' }],
  ['a list that may not be empty', { root_files: '[]' }],
  ['a certificate that would live for a day', { workload_certificate_ms: '86400000' }],
  ['a name to listen on', { 'listen.grpc': 'localhost:7443' }],
  ['no bound at all', { 'limits.subscribers_max': '0' }],
])('%s is refused', (_what, flags) => {
  expect(readConfig(CONTROL_PLANE_CONFIG, { flags: { ...FLAGS, ...flags } }).ok).toBe(false);
});
