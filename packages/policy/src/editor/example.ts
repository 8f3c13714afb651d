/**
 * One policy that uses every field of the language once: examples in the schema and on the reference page are taken from
 * it, and a test builds it and runs its tests. It is for reading field by field, not for copying as a whole.
 */

export const EXAMPLE: string = `apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [zendesk, orders, billing]
callers: [{ roles: [support-rep], tenants: [acme], scopes: [support.use] }, { principals: [auditor@acme.example] }]
signing_keys:
  - { kid: triage-1, kty: EC, crv: P-256, x: MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4, y: 4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM }
delegation:
  depth: 2
  to: [{ server: billing, scopes: [refunds:write], authority: transferred }]
  from:
    - agents: [partner.example/helper]
      roots: [external]
      tenants: [partners]
      principals: ["partner.example/bob"]
      third_party: true
      trust:
        min: 2
        keys:
          - { kid: assessor-1, kty: EC, crv: P-256, x: MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4, y: 4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM, use: sig, alg: ES256 }
      tenant: partners
      roles: [guest]
      scopes: [refunds:write]
isolation: advisory
sessions:
  roots: [operator, schedule, event]
  idle: 15m
  max: 8h
  tie: tracestate
  concurrent_max: 4
  jobs:
    - name: nightly-report
      root: schedule
      as: { principal: nightly-report, tenant: acme, roles: [reporter], scopes: ["reports:read"] }
      task: reports
      purpose: the report that the team reads in the morning
      max: { count: 2, within: 1h }
    - { name: ticket-created, root: event }
---
kind: ToolServer
name: orders
http: { url: "\${env.orders_url}" }
network: private
audience: https://orders.acme.example
assertion_format: jwt
tls: { authorities: workload, identity: spiffe://acme.example/service/orders, client: workload }
---
kind: ToolServer
name: zendesk
mcp: { url: "https://zendesk.example/mcp" }
tls: { client: { certificate: zendesk/tls.crt, key: zendesk/tls.key } }
---
kind: ToolServer
name: billing
agent:
  url: "https://billing.internal:8443"
  name: billing
  trust_domain: partner.example
  authorities:
      - >-
        MIIBxTCCAWqgAwIBAgIQcljCz3R+zPFQ/zXC1tYo0jAKBggqhkjOPQQDAjAuMRIwEAYDVQQKDAlTYWxseXBvcnQxGDAWBgNVBAMM
        D3BhcnRuZXIuZXhhbXBsZTAeFw0yNjAxMDEwMDAwMDBaFw0zNjAxMDEwMDAwMDBaMC4xEjAQBgNVBAoMCVNhbGx5cG9ydDEYMBYG
        A1UEAwwPcGFydG5lci5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEbFkpqKgGNbKS3F/83bmigLrqrr5aIsjRx1RO
        BrgFq3B1EVl2jYos3Qym5AnyDX9iIMtGse2WLhjhudqWGNQqDaNqMGgwEgYDVR0TAQH/BAgwBgEB/wIBADAOBgNVHQ8BAf8EBAMC
        AQYwIwYDVR0RBBwwGoYYc3BpZmZlOi8vcGFydG5lci5leGFtcGxlMB0GA1UdDgQWBBR1mAACz7ubKoMJlvIoHNQGIkXJ/TAKBggq
        hkjOPQQDAgNJADBGAiEAxsvUiygngT/+C27xrgWgglWV9ncd9zHYdmK4Q89uaOkCIQCnkvsgCt00V8Qygtyu3BunBIkykamfEMK4
        HGjzxIHz+g==
network: private
---
kind: TrustDomain
name: partner.example
authorities:
  - >-
    MIIBxTCCAWqgAwIBAgIQcljCz3R+zPFQ/zXC1tYo0jAKBggqhkjOPQQDAjAuMRIwEAYDVQQKDAlTYWxseXBvcnQxGDAWBgNVBAMM
    D3BhcnRuZXIuZXhhbXBsZTAeFw0yNjAxMDEwMDAwMDBaFw0zNjAxMDEwMDAwMDBaMC4xEjAQBgNVBAoMCVNhbGx5cG9ydDEYMBYG
    A1UEAwwPcGFydG5lci5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEbFkpqKgGNbKS3F/83bmigLrqrr5aIsjRx1RO
    BrgFq3B1EVl2jYos3Qym5AnyDX9iIMtGse2WLhjhudqWGNQqDaNqMGgwEgYDVR0TAQH/BAgwBgEB/wIBADAOBgNVHQ8BAf8EBAMC
    AQYwIwYDVR0RBBwwGoYYc3BpZmZlOi8vcGFydG5lci5leGFtcGxlMB0GA1UdDgQWBBR1mAACz7ubKoMJlvIoHNQGIkXJ/TAKBggq
    hkjOPQQDAgNJADBGAiEAxsvUiygngT/+C27xrgWgglWV9ncd9zHYdmK4Q89uaOkCIQCnkvsgCt00V8Qygtyu3BunBIkykamfEMK4
    HGjzxIHz+g==
scopes: [refunds:write]
---
kind: Tool
name: billing/ask
effect: side_effect
route: { method: POST, path: /invoke }
arguments: { required: [question], properties: { question: { type: string, maxLength: 4000 } } }
---
kind: Tool
name: zendesk/get_ticket
description: Reads one ticket.
effect: read
classes: [pii]
arguments: { required: [ticket_id], properties: { ticket_id: { type: string, pattern: "^T-[0-9]+$" } } }
touches: { ticket: args.ticket_id }
remember: { order: "result.orders[].id" }
deny_as: error
---
kind: Tool
name: zendesk/reply
effect: write
arguments: { required: [ticket_id, text], properties: { ticket_id: { type: string }, text: { type: string, maxLength: 4000 } } }
unknown_arguments: strip
---
kind: ToolOverlay
name: zendesk/reply
description: Answers the customer.
effect: side_effect
classes: [export]
deny_as: tool_result
---
kind: Tool
name: orders/list_orders
effect: read
route: { method: GET, path: /orders }
arguments:
  required: [from, to]
  properties: { from: { type: string, format: date }, to: { type: string, format: date } }
ranges: [{ from: from, to: to, max: 90d, over: narrow }]
---
kind: Tool
name: orders/create_refund
effect: write
classes: [money]
route: { method: POST, path: "/orders/{order_id}/refunds", query: [currency] }
assertion: { arguments: true }
sign: { headers: [traceparent] }
envelope: { headers: [idempotency-key] }
arguments:
  required: [order_id, amount, currency]
  properties:
    order_id: { type: string, pattern: "^O-[0-9]{6}$" }
    amount: { type: number, format: decimal, minimum: 0 }
    currency: { enum: [EUR, USD] }
---
kind: Issuer
issuer: https://idp.example
audience: sallyport
keys:
  - kid: key-1
    kty: EC
    crv: P-256
    x: MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4
    y: 4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM
    use: sig
    alg: ES256
max_lifetime: 15m
claims:
  subject: sub
  tenant: tenant
  roles: roles
  scopes: scope
  case: case
  task: task
  step: tool_step
  attributes: { department: department, region: { claim: region, type: string }, refund_max: { claim: refund_max, type: decimal } }
directory: { groups: { type: strings, values: [support, finance], max_age: 15m } }
---
kind: Issuer
issuer: "\${env.second_issuer}"
audience: sallyport
keys_file: idp-keys.json
---
kind: Issuer
issuer: https://login.example
audience: api://sallyport
discovery: true
network: public
jwks_age_max: 30m
algorithms: [RS256, ES256]
max_lifetime: 1h
environment: production
min_scope_version: 3
groups: { "Support Team": support-rep }
required_claims: [customer_id]
strict_claims: true
claims: { subject: sub, tenant: tid, roles: groups, scopes: scp, environment: env, scope_version: scope_version, customer_id: customer, workflow_id: workflow, workflow_step: { claim: trace, member: step }, conversation_id: { claim: trace, member: conversation }, run_id: run, trace_id: { claim: trace, member: id }, purpose: purpose }
---
kind: Issuer
issuer: https://accounts.example
audience: sallyport
jwks_uri: https://keys.example/certs
---
kind: Issuer
issuer: https://opaque.example
audience: sallyport
introspection: { url: "https://opaque.example/introspect", client_id: sallyport, client_secret: { file: issuers/opaque }, cache: 1m }
---
kind: CallerMethod
name: support-slack
slack: { secret: { file: callers/slack-signing-secret } }
principals:
  - subject: T0123ABCD/U0123ABCD
    id: alice@example.com
    kind: person
    tenant: acme
    roles: [support-rep]
    scopes: [support.use]
    attributes: { region: eu }
---
kind: CallerMethod
name: shop-webhooks
hmac:
  headers: { signature: x-shop-signature, timestamp: x-shop-time, key_id: x-shop-key }
  prefix: "v1="
  encoding: hex
  timestamp_unit: s
  template: [{ take: timestamp }, { text: "." }, { header: x-shop-key }, { text: "\\n" }, { take: body }]
  window: 2m
  keys: [{ id: shop-1, secret: { vault: { mount: kv, path: teams/support/shop, field: webhook } } }]
principals: [{ subject: shop-1, id: shop, kind: service, tenant: acme, roles: [shop] }]
---
kind: CallerMethod
name: partner-keys
api_key:
  header: authorization
  keys:
    - id: 062b50759abf
      salt: EDVaf6TJ7hM4XYKnzPEWOw
      hash: 2tbxqlAUoBdOQMN9m59BwnAfRbq0CbEGEZb3-L230T4
      issued_at: 2026-01-01T00:00:00Z
      expires_at: 2027-01-01T00:00:00Z
principals: [{ subject: 062b50759abf, id: partner, kind: service, tenant: acme }]
---
kind: CallerMethod
name: signed-requests
http_signature:
  tag: acme-agents
  max_lifetime: 1m
  clock_skew: 10s
  fields: [content-type]
  keys:
    - { id: desk-1, ed25519: StNm8OSkKCbTC0uutz5FaR1fR86KXAFF5Y4115LLjpk }
    - { id: desk-2, ecdsa_p256: BDd3vsgL1uXS4-2AaJwnaUk0TdRAzAW9HWtriPBNLGG5jjo77pWVmXY3mfYqzBBaDcfwl0avVneBA4oedF0sAD8 }
    - { id: desk-3, hmac_sha256: { file: callers/desk-3 } }
principals: [{ subject: desk-1, id: desk, kind: service, tenant: acme }]
---
kind: CallerMethod
name: service-certificates
mtls:
  authorities: |
    -----BEGIN CERTIFICATE-----
    MIIBjzCCATWgAwIBAgIUVRezbhJWtG4RLvz8QeVAeYVVUwAwCgYIKoZIzj0EAwIw
    FTETMBEGA1UEAwwKQ2FsbGVycyBDQTAeFw0yNjExMjAxNzE2MDFaFw00NjExMTUx
    NzE2MDFaMBUxEzARBgNVBAMMCkNhbGxlcnMgQ0EwWTATBgcqhkjOPQIBBggqhkjO
    PQMBBwNCAAQ3d77IC9bl0uPtgGicJ2lJNE3UQMwFvR1ra4jwTSxhuY46O+6VlZl2
    N5n2KswQWg3H8JdGr1Z3gQOKHnRdLAA/o2MwYTAdBgNVHQ4EFgQUBkBUDOc/LxJJ
    sXt0CFYtlCVyFcEwHwYDVR0jBBgwFoAUBkBUDOc/LxJJsXt0CFYtlCVyFcEwDwYD
    VR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwIDSAAwRQIg
    UG3ds+v595gyMyjXuXk64H3Wq5R4DR82kMTWmbtVtLoCIQC9t70PFhtmlXxzRkls
    paPQUlXogEkZ9tZRctuAviNe8A==
    -----END CERTIFICATE-----
  revocation_lists: |
    -----BEGIN X509 CRL-----
    MIGsMFQCAQEwCgYIKoZIzj0EAwIwFTETMBEGA1UEAwwKQ2FsbGVycyBDQRcNMjYx
    MTIwMTcxNjAxWhcNMzYxMTE3MTcxNjAxWqAOMAwwCgYDVR0UBAMCAQEwCgYIKoZI
    zj0EAwIDSAAwRQIgDCnDlxB9HAB1AEkzWzQpesZFUPrLt9TJ7luSSuUFErcCIQCd
    rHv4Y6SVJF/r9i14Mab7kW537Sbc9ZF7XHDkuEsYTw==
    -----END X509 CRL-----
  revocation_required: true
principals: [{ subject: "dns:svc-a.acme.example", id: svc-a, kind: service, tenant: acme }]
---
kind: CallerMethod
name: cluster
kubernetes:
  issuer: https://kubernetes.default.svc.cluster.local
  audience: sallyport
  max_lifetime: 10m
  keys:
    - kid: cluster-1
      kty: RSA
      n: sdibC__8LjXcY85mAdRaBAwV768KOClGJeAjS6F9xRS8V75l1s3E1Txh0ukdgJUgmTLn1o4XMNwnuFVGxPFbmMLSJFU6Z-KCCLU_UNnlx0XJNXledRNgcP6thD2abt7sb8qWv4km1JOFhsEes2P0y9_cXmiiPGO-0Axfa3VRx6uVAGVH0pefle64riDNRBUWFvZRbq0rYoPuvB0b16rxx-AoxflY5JbhQB5pjWeb03_a6HZ8hVPaqiKd0_tt2SoFyzP0rfItGUMo8rsqLoGeFeOrCh7lnuQsr9-X1vYEczT_iKWP21NEGHtWulVunhCfoTcJMrhjL3NeTn4dvYBJHQ
      e: AQAB
      use: sig
      alg: RS256
principals: [{ subject: "system:serviceaccount:shop:worker", id: worker, kind: service, tenant: acme }]
---
kind: Credential
name: orders-write
source: { file: orders/write-key }
header: Authorization
scheme: Bearer
destinations: [orders]
agents: [support-triage]
tools: [orders/create_refund]
max_age: 90d
leaked_at: 2026-11-15T08:00:00Z
---
kind: Credential
name: zendesk-key
source: { vault: { mount: kv, path: teams/support/zendesk, field: api_key } }
header: X-Api-Key
destinations: [zendesk]
agents: [support-triage]
tools: [zendesk/reply]
---
kind: Credential
name: orders-token
source:
  oauth_client_credentials:
    server: orders
    path: /oauth2/token
    client_id: support-triage
    client_secret_file: orders/client-secret
    scopes: [orders.read]
header: Authorization
scheme: Bearer
destinations: [orders]
agents: [support-triage]
tools: [orders/list_orders]
---
kind: Environment
name: production
values:
  orders_url: { url: "https://orders.internal" }
  second_issuer: { string: "https://other.example" }
  tries: { integer: 3 }
  refund_budget: { decimal: "500.00" }
  weekend_work: { boolean: false }
  regions: { strings: [eu, us] }
---
kind: Policy
agent: support-triage
rules:
  - id: read-own-ticket
    allow: [zendesk/get_ticket]
    for: { roles: [support-rep], tenants: [acme] }
    bind: [args.ticket_id == session.case]
    delegation: { depth: 1 }
  - id: look-up-orders
    allow: [{ server: orders, effect: read, method: GET }]
    for: { principals: ["alice@example.com"] }
    max: { count: 20, per: principal, within: 1h }
    sequence: { consecutive: 5 }
  - id: refund
    allow: [orders/create_refund]
    for: { roles: [support-rep] }
    scopes: [refunds:write]
    task: [refunds]
    require_purpose: true
    delegation: { depth: 1, first_party: true, roots: [operator] }
    bind: [args.order_id in session.remembered.order]
    arguments: { amount: { maximum: 200 } }
    after: [zendesk/get_ticket, { tool: zendesk/get_ticket, with: { ticket_id: session.case } }]
    session: { max_age: 1h, denials_max: 3 }
    valid: { from: 2026-01-01T00:00:00Z, until: 2027-01-01T00:00:00Z }
    hours: { days: [mon, tue, wed, thu, fri], from: "08:00", to: "18:00", utc_offset: "+01:00" }
    when: args.amount <= principal.attributes.refund_max && principal.attributes.region in env.regions
    justification: { chars_min: 10 }
    risk: { max: 50 }
    isolation: enforced
    once: { per: args.order_id, within: 30d }
    budget: { sum: args.amount, max: "\${env.refund_budget}", per: principal, within: 24h }
  - id: answer
    allow: [zendesk/reply]
    for: { roles: [support-rep] }
    delegation: { depth: 1 }
    reviewed: args.text
  - id: large-refunds
    require: [{ class: money }]
    when: args.amount > 50
    step_up: { max_age: 10m, acr: [phr], amr: [mfa, hwk], when: args.amount > 100 }
    approval: { when: args.amount > 100, by: { role: support-lead }, count: 1 }
  - id: four-eyes
    require: [orders/create_refund]
    for: { tenants: [bank] }
    approval: { by: { group: controllers } }
  - id: one-person
    require: [orders/create_refund]
    for: { tenants: [tiny] }
    approval: { by: { person: "owner@example.com" } }
  - { id: ask-billing, allow: [billing/ask], for: { roles: [support-rep] }, delegation: { depth: 1 } }
  - { id: nothing-for-guests, deny: [{ effect: write }, orders/*], for: { roles: [guest] } }
---
kind: Policy
agents: "*"
rules:
  - id: nothing-leaves
    deny: [{ class: export }]
    shadow: true
---
kind: Observe
agents: [support-triage]
from: 2026-06-01T00:00:00Z
until: 2026-06-30T00:00:00Z
classes_excluded: [internal]
---
kind: Test
name: a refund within every demand
agent: support-triage
given:
  principal: alice@example.com
  tenant: acme
  roles: [support-rep]
  scopes: [refunds:write]
  attributes: { region: eu, refund_max: 150 }
  at: 2026-06-30T09:00:00Z
  signed_in: { ago: 5m, acr: phr, amr: [mfa] }
  justification: the parcel never arrived
  chain: [{ agent: front-desk, first_party: true }]
  approvals: [{ person: "lead@example.com", roles: [support-lead], groups: [controllers] }]
  isolation: enforced
  session:
    case: T-7
    task: refunds
    customer_id: C-17
    workflow_id: refunds-v3
    workflow_step: refund
    conversation_id: V-1
    run_id: R-9
    purpose: refund
    root: operator
    age: 5m
    risk: 10
    completed: [zendesk/get_ticket]
    denied: [zendesk/reply]
    classes: [pii]
    touched: { ticket: [T-7] }
    remembered: { order: [O-000123] }
    reviewed: ["Dear Bob"]
steps:
  # That a ticket was read is given; that it was this one is not.
  - { call: orders/create_refund, args: { order_id: O-000123, amount: 120, currency: EUR }, expect: session_precondition_failed }
  - { call: zendesk/get_ticket, args: { ticket_id: T-7 }, expect: allow }
  - { call: orders/create_refund, args: { order_id: O-000123, amount: 120, currency: EUR }, expect: allow }
  - { call: orders/create_refund, args: { order_id: O-000123, amount: 1, currency: EUR }, expect: call_limit_exceeded }
  - { call: zendesk/reply, args: { ticket_id: T-7, text: Dear Bob }, expect: allow }
  - { call: billing/ask, args: { question: Was it paid? }, expect: allow }
---
kind: Test
name: a credential for one tool
given: { principal: alice@example.com, tenant: acme, roles: [support-rep], session: { case: T-7, step: get_ticket } }
cases:
  - { call: zendesk/get_ticket, args: { ticket_id: T-7 }, expect: allow }
  - { call: zendesk/get_ticket, args: { ticket_id: T-8 }, expect: resource_binding_mismatch }
  - { call: orders/list_orders, args: { from: 2026-01-01, to: 2026-01-31 }, expect: tool_step_mismatch }
`;

/** The key set that the example names. */
export const EXAMPLE_KEYS: string = JSON.stringify({
  keys: [
    {
      kid: 'key-2',
      kty: 'EC',
      crv: 'P-256',
      x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
      y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM',
    },
  ],
});
