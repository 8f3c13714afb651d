/** A front desk that hands on to billing, which hands on to stock; one tool server for all, and a partner's domain. */

import { certificatePem } from '@sallyport/crypto/keys';
import type { TokenIssuer } from '@sallyport/testkit';
import type { AgentSide, Domain } from './agents.ts';
import { issuerDocument } from './policies.ts';

export interface PolicyOf {
  readonly sides: Readonly<Record<string, AgentSide>>;
  readonly tool: string;
  readonly idp: TokenIssuer;
  readonly partner: Domain;
  /** By agent, its `delegation`. */
  readonly delegation?: Readonly<Record<string, string>>;
  /** By agent, PEM of the CA of its port’s certificate. */
  readonly authorities?: Readonly<Record<string, string>>;
  /** By agent, its rules. */
  readonly rules?: Readonly<Record<string, string>>;
}

const SCOPES = 'scopes: ["orders:read", "orders:write"]';

/** What the agents hand on and take, where a test says nothing else. */
export const DELEGATION: Readonly<Record<string, string>> = {
  'front-desk': `
  depth: 2
  to: [{ server: billing, scopes: ["orders:read"], authority: transferred }]
  from: [{ agents: [billing], roles: [support-rep] }]`,
  billing: `
  depth: 2
  to: [{ server: stock, scopes: ["orders:read"] }, { server: front-desk, scopes: ["orders:read"] }]
  from:
    - { agents: [front-desk], tenants: [acme], roles: [support-rep], ${SCOPES} }
    - { agents: [front-desk], roots: [system], roles: [support-rep], scopes: ["orders:read"] }
    - { agents: [partner.example/helper], roots: [external, human], third_party: true, tenant: acme, roles: [support-rep], ${SCOPES} }`,
  stock: `
  depth: 2
  to: [{ server: archive, scopes: ["orders:read"] }]
  from: [{ agents: [billing], roles: [support-rep], ${SCOPES} }]`,
};

const RULES: Readonly<Record<string, string>> = {
  'front-desk': `
  - { id: front-ask, allow: [billing/ask], for: { roles: [support-rep] }, delegation: { depth: 1 } }
  - { id: front-read, allow: [orders/get_order], for: { roles: [support-rep] }, scopes: ["orders:read"] }`,
  billing: `
  - { id: billing-read, allow: [orders/get_order], for: { roles: [support-rep] }, scopes: ["orders:read"], delegation: { depth: 2 } }
  - { id: billing-write, allow: [orders/refund], for: { roles: [support-rep] }, scopes: ["orders:write"], delegation: { depth: 1 } }
  - { id: billing-own, allow: [orders/list_orders], for: { roles: [support-rep] }, delegation: { depth: 2, first_party: true } }
  - { id: billing-person, allow: [orders/cancel], for: { roles: [support-rep] }, delegation: { depth: 2, roots: [operator] } }
  - { id: billing-email, allow: [orders/send_email], for: { roles: [support-rep] }, delegation: { depth: 0, roots: [operator] } }
  - id: billing-seen
    allow: [orders/seen]
    for: { principals: ["alice@company.com"] }
    delegation: { depth: 1 }
    when: session.root == "operator" && size(chain) == 1 && chain[0].agent == "front-desk" && chain[0].first_party
  - { id: billing-ask, allow: [stock/ask, front-desk/ask], for: { roles: [support-rep] }, delegation: { depth: 2 } }`,
  stock: `
  - { id: stock-read, allow: [orders/get_order], for: { roles: [support-rep] }, scopes: ["orders:read"], delegation: { depth: 2 } }
  - { id: stock-ask, allow: [billing/ask, archive/ask], for: { roles: [support-rep] }, delegation: { depth: 2 } }`,
};

const TOOLS = { get_order: 'read', list_orders: 'read', refund: 'write', cancel: 'write', seen: 'read', send_email: 'side_effect' };

function authorityOf(pem: string | undefined): string {
  return pem === undefined ? '' : `, authorities: [${JSON.stringify(pem)}]`;
}

export function delegationPolicy({ sides, tool, idp, partner, delegation = {}, authorities = {}, rules = {} }: PolicyOf): string {
  const agents = Object.entries({ ...DELEGATION, ...delegation }).map(
    ([name, said]) =>
      `kind: Agent\nname: ${name}\nowner: team\nuses: [orders, billing, stock, front-desk, archive]\n${said === '' ? '' : `delegation:${said}\n`}`,
  );
  const servers = ['front-desk', 'billing', 'stock', 'archive'].map(
    (name) => `kind: ToolServer
name: ${name}
agent: { url: "${sides[name]?.url ?? 'https://127.0.0.1:1'}", name: ${name}${authorityOf(authorities[name])} }
network: loopback
---
kind: Tool
name: ${name}/ask
effect: side_effect
route: { method: POST, path: /invoke }
arguments: { properties: { question: { type: string } } }
`,
  );
  const tools = Object.entries(TOOLS).map(
    ([name, effect]) => `kind: Tool
name: orders/${name}
effect: ${effect}
route: { method: POST, path: /${name} }
arguments: { required: [order_id], properties: { order_id: { type: string } } }
`,
  );
  const policies = Object.entries({ ...RULES, ...rules }).map(([name, said]) => `kind: Policy\nagent: ${name}\nrules:${said}\n`);
  const domain = `kind: TrustDomain
name: ${partner.trustDomain}
authorities: [${JSON.stringify(certificatePem(partner.ca.certificate))}]
scopes: ["orders:read"]
`;
  const orders = `kind: ToolServer\nname: orders\nhttp: { url: "${tool}" }\nnetwork: loopback\n`;
  return `apiVersion: sallyport.dev/v1\n${[...agents, ...servers, orders, ...tools, domain, ...policies].join('---\n')}${issuerDocument(idp)}`;
}
