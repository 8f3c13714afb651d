/** Policies that several stories share, as an author would write them. */

import type { TokenIssuer } from '@sallyport/testkit';

/** The test identity provider as a document; `limit` of a principal is the token's claim `refund_limit`, unless told otherwise. */
export function issuerDocument(idp: TokenIssuer, attributes = 'limit: refund_limit'): string {
  const { kid, x, y } = idp.jwk;
  return `---
kind: Issuer
issuer: ${idp.issuer}
audience: ${idp.audience}
keys: [{ kid: ${kid}, kty: EC, crv: P-256, x: ${x}, y: ${y} }]
max_lifetime: 1h
claims: { subject: sub, tenant: tenant_id, roles: roles, scopes: scope, case: ticket_id, attributes: { ${attributes} } }
`;
}

/** One agent, one HTTP server `orders` at `url`, and the documents given; `attributes` as in an Issuer. */
export function ordersPolicy(url: string, documents: string, idp: TokenIssuer, attributes?: string): string {
  return `apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [orders]
sessions: { roots: [operator], idle: 15m, max: 8h }
---
kind: ToolServer
name: orders
http: { url: "${url}" }
network: loopback
---
${documents.trim()}
${issuerDocument(idp, attributes)}`;
}

export const READ_ORDERS = `
kind: Tool
name: orders/get_order
description: Reads one order.
effect: read
route: { method: POST, path: /get_order }
arguments:
  required: [order_id]
  properties:
    order_id: { type: string, pattern: "^O-[0-9]{6}$" }
---
kind: Policy
agent: support-triage
rules:
  - id: read-orders
    allow: [orders/get_order]
    for: { roles: [support-rep] }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: orders/get_order, args: { order_id: O-000123 }, expect: allow }
`;
