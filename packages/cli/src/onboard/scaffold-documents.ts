/** The documents of a first policy that follow from what was asked for: who, whose word, where. */

import type { ServerName } from '@sallyport/model';
import { lockFileName } from './lock-file.ts';
import type { LockedTool } from './lock-file.ts';
import type { ScaffoldOptions } from './scaffold.ts';

export const HEAD = 'apiVersion: sallyport.dev/v1';
export const KEYS_FILE = 'operator-keys.json';

export function agentText({ agent, owner, server }: ScaffoldOptions): string {
  return `${HEAD}
# The agent, and the tool servers that its rules may speak of. What no rule allows is denied.
kind: Agent
name: ${agent}
owner: ${JSON.stringify(owner)}
uses: [${server}]
# For one machine, where the agent and its sidecar run as one user. Leave it out where the agent runs as another: tools that
# move money, personal data or exports, or destroy, then want that the agent cannot go round its sidecar.
isolation: advisory
sessions: { roots: [operator], idle: 15m, max: 8h }
`;
}

export function identityText({ issuer }: ScaffoldOptions): string {
  return `${HEAD}
# For whom the agent acts: tokens of this issuer, verified with the keys in ${KEYS_FILE} and with no others. It is the
# development issuer of one machine (\`sallyport operator token\`), which proves nothing about anybody: before anything
# depends on it, put your identity provider in its place.
kind: Issuer
issuer: ${issuer.issuer}
audience: ${issuer.audience}
keys_file: ${KEYS_FILE}
max_lifetime: 1h
`;
}

export function environmentText({ server, place }: ScaffoldOptions): string {
  return `${HEAD}
# What differs between environments; every other file is the same in all of them.
kind: Environment
name: development
values:
  ${environmentName(server)}: { url: ${JSON.stringify(place.url)} }
`;
}

export function serversText({ server, place }: ScaffoldOptions, tool: LockedTool | undefined): string {
  const overlay =
    tool === undefined
      ? ''
      : `---
# Your own words on a tool, which an import never touches, such as:
#
# kind: ToolOverlay
# name: ${tool.name}
# effect: write
# classes: [pii]
`;
  return `${HEAD}
# Where the tools are. What they are stands in ${lockFileName(server)}, as \`sallyport tools import ${server}\` wrote it.
kind: ToolServer
name: ${server}
mcp: { url: "\${env.${environmentName(server)}}" }
network: ${place.destination.network}
${overlay}`;
}

/** `everything_url` for `everything`: a name that conditions can read. */
function environmentName(server: ServerName): string {
  return `${server.replaceAll('-', '_')}_url`;
}
