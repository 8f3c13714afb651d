/** Branded identifiers: mixing two kinds does not compile. The brand exists only in types. */

declare const brand: unique symbol;
export type Branded<T, B extends string> = T & { readonly [brand]: B };

/** A verified person, service or `anonymous`, as the record's `operator`: for example `alice@company.com`. */
export type PrincipalId = Branded<string, 'PrincipalId'>;
export type TenantId = Branded<string, 'TenantId'>;
/** The logical name of a registered agent: 1 to 63 of `[a-z0-9-]`, starting with a letter. */
export type AgentName = Branded<string, 'AgentName'>;
/** The logical name of a tool server; same alphabet as an agent's. */
export type ServerName = Branded<string, 'ServerName'>;
/** Always `server/tool`; the tool's part is 1 to 128 of `[A-Za-z0-9_.-]` (MCP 2025-11-25, tools). */
export type ToolName = Branded<string, 'ToolName'>;
/** The name of a credential that the gateway sends along; same alphabet as an agent's. Never its value. */
export type CredentialName = Branded<string, 'CredentialName'>;
export type RuleId = Branded<string, 'RuleId'>;
export type SessionId = Branded<string, 'SessionId'>;
/** One per decision, 26 characters, sortable by time (ULID). */
export type DecisionId = Branded<string, 'DecisionId'>;
export type RequestId = Branded<string, 'RequestId'>;
/** An audit stream: one per start of a sidecar (or control plane), 32 hex characters. */
export type StreamId = Branded<string, 'StreamId'>;
/** `sha256:` and 64 lower-case hex digits. */
export type Digest = Branded<string, 'Digest'>;
/** A hint that names a key inside a signed object; never proof of anything. */
export type KeyId = Branded<string, 'KeyId'>;
/** Where a bundle applies: `default`, or segments joined by `/`, broadest first. */
export type Area = Branded<string, 'Area'>;
/** A stage of a rollout. */
export type Ring = Branded<string, 'Ring'>;
/** Rising number of one area's bundle content. */
export type Revision = Branded<number, 'Revision'>;
/** Rising number that alone orders what is enforced. */
export type ReleaseSeq = Branded<number, 'ReleaseSeq'>;

const NAME = /^[a-z][a-z0-9-]{0,62}$/;
const TOOL = /^[a-z][a-z0-9-]{0,62}\/[A-Za-z0-9_.-]{1,128}$/;
const AREA = /^[a-z][a-z0-9-]{0,62}(\/[a-z0-9][a-z0-9-]{0,62}){0,7}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

export const isAgentName = (text: string): text is AgentName => NAME.test(text);
export const isServerName = (text: string): text is ServerName => NAME.test(text);
export const isCredentialName = (text: string): text is CredentialName => NAME.test(text);
export const isToolName = (text: string): text is ToolName => TOOL.test(text);
export const isArea = (text: string): text is Area => AREA.test(text);
export const isRing = (text: string): text is Ring => NAME.test(text);
export const isDigest = (text: string): text is Digest => DIGEST.test(text);

/** Joins the two halves of a tool's name, or `undefined` where one is not a name. */
export function toolName(server: string, tool: string): ToolName | undefined {
  const joined = `${server}/${tool}`;
  return isToolName(joined) ? joined : undefined;
}

/** The server's half of a tool's name. */
export function serverOf(tool: ToolName): ServerName {
  return tool.slice(0, tool.indexOf('/')) as ServerName;
}

/** The tool's own half of its name, as its server knows it. */
export function localNameOf(tool: ToolName): string {
  return tool.slice(tool.indexOf('/') + 1);
}
