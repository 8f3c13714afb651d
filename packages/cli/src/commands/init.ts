/** `sallyport init`: the folder of a policy for a running MCP server, ready to be checked, tested and tried. */

import { basename, join } from 'node:path';
import { isAgentName, isServerName } from '@sallyport/model';
import type { AgentName, Problem, ServerName } from '@sallyport/model';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at } from '../files.ts';
import { dirOption, homeOf, shownPath } from '../home.ts';
import type { Exit, Io } from '../io.ts';
import { createDevIssuer, devIssuerDir } from '../onboard/dev-issuer.ts';
import { importTools } from '../onboard/import-tools.ts';
import type { Imported } from '../onboard/import-tools.ts';
import { readToken, serverRefusal, wireTo } from '../onboard/open-wire.ts';
import { scaffold } from '../onboard/scaffold.ts';
import type { Scaffold } from '../onboard/scaffold.ts';
import { nameFor, placeOfUrl } from '../onboard/server-place.ts';
import type { ServerPlace } from '../onboard/server-place.ts';
import { isFree, writeFolder } from '../onboard/write-folder.ts';
import { many, required, text, textOr } from '../option.ts';
import { counted, refusal, table } from '../output.ts';
import type { Output } from '../output.ts';

const ROLE = /^[A-Za-z][A-Za-z0-9_.:-]{0,62}$/;

export const init: Command = command({
  name: 'init',
  group: 'Run',
  summary: 'make the first policy for a running MCP server',
  details: [
    'Asks the server for its tools and writes a folder: the agent, the server and its tools, rules that allow what the server marks as read-only and nothing else, tests that pass, and an issuer of operators. That issuer is of this machine alone: its private key is made, once, in the folder of the administrator (0600).',
    'Nothing is ever overwritten: the folder has to be new or empty.',
    'A server that is a program, which speaks over its standard input and output, needs a bridge to HTTP before it, such as the npm package mcp-proxy.',
  ],
  arguments: [{ name: 'DIR', says: 'the folder to make (default: policy)', isOptional: true }],
  options: {
    server: required('--server URL', 'where the MCP server listens, such as http://127.0.0.1:3001/mcp'),
    name: text('--name NAME', 'what the policy calls the server (default: what it calls itself)'),
    agent: textOr('--agent NAME', 'the agent that will use it', 'helper'),
    role: textOr('--role ROLE', 'the role of operators that the rules are for', 'member'),
    owner: text('--owner NAME', 'who answers for the agent (default: $USER)'),
    tokenFile: text('--token-file FILE', 'a token to show the server, for servers that want one'),
    only: many('--only NAME', 'only this tool of the server; `get_*` for a prefix (repeatable)'),
    dir: dirOption,
  },
  examples: [
    { line: 'init --server http://127.0.0.1:3001/mcp', says: 'make policy/ for the agent helper' },
    { line: 'init agents/triage --agent triage --server https://tools.example/mcp --name tickets', says: 'with names of your own' },
  ],
  async run({ arguments: [dir = 'policy'], options, io, out }) {
    const token = options.tokenFile === undefined ? undefined : readToken(options.tokenFile, io);
    const wrong = [...judgeNames(options), ...(token?.ok === false ? [token.error] : [])];
    if (wrong.length > 0) return out.refuse({ exit: 2, problems: wrong });
    if (!isFree(at(io.cwd, dir)))
      return out.refuse(
        refusal(
          1,
          `\`${dir}\` is not empty, and nothing in it is overwritten`,
          `name another folder; to read the tools again: sallyport tools import NAME --policy ${dir}`,
        ),
      );
    const place = await placeOfUrl(options.server, (options.name ?? 'tools') as ServerName);
    if (!place.ok) return out.refuse({ exit: 2, problems: [{ ...place.error, path: '--server' }] });
    const wire = await wireTo(place.value, token?.ok === true ? token.value : undefined, io);
    try {
      const server = (saidName: string): ServerName => (options.name ?? nameFor(saidName, options.server)) as ServerName;
      const imported = await importTools(wire, { server, before: undefined, only: options.only });
      if (!imported.ok) return await out.refuse({ exit: 1, problems: imported.error });
      const { agent, role } = options;
      const owner = options.owner ?? io.env['USER'] ?? 'me';
      return await finish(
        imported.value,
        { dir, agent: agent as AgentName, role, owner, home: options.dir, place: place.value },
        { io, out },
      );
    } catch (error) {
      const refused = serverRefusal(error, wire.name, io);
      if (refused === undefined) throw error;
      return out.refuse(refused);
    }
  },
});

function judgeNames({
  name,
  agent,
  role,
  owner,
}: {
  readonly name: string | undefined;
  readonly agent: string;
  readonly role: string;
  readonly owner: string | undefined;
}): readonly Problem[] {
  const words = 'lower-case letters, digits and dashes, beginning with a letter';
  return [
    ...(name === undefined || isServerName(name)
      ? []
      : [{ path: '--name', message: `\`${name}\` is no name of a tool server`, remedy: words }]),
    ...(isAgentName(agent) ? [] : [{ path: '--agent', message: `\`${agent}\` is no name of an agent`, remedy: words }]),
    ...(ROLE.test(role) ? [] : [{ path: '--role', message: `\`${role}\` is no role`, remedy: 'a word such as member or support-rep' }]),
    ...(owner === undefined || /^[^\p{C}]{1,200}$/u.test(owner)
      ? []
      : [{ path: '--owner', message: 'is no name', remedy: 'a person or a team' }]),
  ];
}

interface Wanted {
  /** As typed. */
  readonly dir: string;
  readonly agent: AgentName;
  readonly role: string;
  readonly owner: string;
  readonly home: string | undefined;
  readonly place: ServerPlace;
}

async function finish(imported: Imported, wanted: Wanted, { io, out }: { readonly io: Io; readonly out: Output }): Promise<Exit> {
  const { dir, agent, role, owner, place } = wanted;
  const { server, locked } = imported;
  if (locked.length === 0)
    return out.refuse(refusal(1, `${wanted.place.url} lists no tool that could be imported`, 'sallyport tools import says why of each'));
  const issuerDir = devIssuerDir(homeOf(wanted.home, io));
  const issuer = createDevIssuer(issuerDir);
  if (!issuer.ok) return out.refuse({ exit: 64, problems: [issuer.error] });
  const made = scaffold({ agent, owner, role, server, place, tools: locked, lock: imported.text, issuer: issuer.value });
  const written = writeFolder(at(io.cwd, dir), made.files, io);
  if (!written.ok) return out.refuse({ exit: 64, problems: [written.error] });
  const issuerShown = shownPath(issuerDir, io);
  const next = nextSteps(dir);
  await out.answer(
    {
      dir,
      agent,
      server,
      tools: locked.length,
      allowed: made.allowed,
      tests: made.tests,
      files: made.files.map(({ path }) => path),
      issuer: { issuer: issuer.value.issuer, dir: issuerShown },
      notes: imported.notes.map(({ tool, path, done, says }) => ({ tool, path, done, says })),
      next,
    },
    [madeText(imported, made, { ...wanted, issuerShown }), 'next:', ...next.map((line) => `  ${line}`)].join('\n'),
  );
  return 0;
}

function madeText(
  { server, locked, notes }: Imported,
  { files, allowed, tests }: Scaffold,
  { dir, agent, role, issuerShown }: Wanted & { readonly issuerShown: string },
): string {
  const others = locked.length - allowed.length;
  const says: Readonly<Record<string, string>> = {
    'agent.yaml': `the agent ${agent}`,
    'identity.yaml': 'whose tokens say for whom it acts',
    'environment.yaml': 'addresses, and what else differs between environments',
    'servers.yaml': `the tool server ${server}`,
    'rules.yaml':
      allowed.length === 0
        ? `allows nothing: ${server} marks none of its tools as read-only`
        : `${role} may use the ${counted(allowed.length, 'tool')} that ${server} marks as read-only${others === 0 ? '' : `; what else it has (${others}) is denied, and stands there as comments`}`,
    'tests.yaml': `${counted(tests, 'test')}, all pass`,
  };
  const told = notes.filter(({ done }) => done !== 'unchanged').length;
  const rows = files.map(({ path }) => [
    `  ${join(dir, path)}`,
    says[path] ??
      (path.endsWith('.lock.yaml') ? `${counted(locked.length, 'tool')} as the server describes them` : 'public keys of the issuer'),
  ]);
  return [
    `made ${basename(dir) === '.' ? 'the policy' : dir} for agent ${agent} and ${counted(locked.length, 'tool')} of ${server}`,
    table([...rows, [`  ${issuerShown}/`, 'the private key of the issuer, which stays on this machine']]),
    ...(told === 0 ? [] : [`${counted(told, 'detail')} of the schemas could not be kept as they are: # in the lock file says which`]),
  ].join('\n');
}

function nextSteps(dir: string): readonly string[] {
  const shown = /^[A-Za-z0-9_./-]+$/.test(dir) ? dir : JSON.stringify(dir);
  return [
    `sallyport policy check ${shown}`,
    `sallyport policy test ${shown}`,
    `sallyport dev${dir === 'policy' ? '' : ` --policy ${shown}`} -- <the command of your agent>`,
  ];
}
