/** `sallyport dev`: the whole product around one command, on this machine alone. */

import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { DEV_STATE } from '../dev/connection.ts';
import { OPERATOR_OPTIONS } from '../dev/operator.ts';
import type { Exit } from '../io.ts';
import { positive, text, textOr } from '../option.ts';
import { refusal } from '../output.ts';

const PORT_MAX = 65_535;

export const dev: Command = command({
  name: 'dev',
  group: 'Run',
  summary: 'run a command behind a sidecar: live policy, every decision as it falls with rule, file and line',
  details: [
    'Starts a control plane and a sidecar inside this process on free ports of 127.0.0.1, under a root of trust made for this run, puts the policy in force, opens a session, and runs the command with the addresses in its environment. Every save of the policy is in force within about a second; one that does not hold is reported, and the last good one stays. Ends with the command, and with its exit code; Ctrl-C ends the command too.',
    'The command finds SALLYPORT_URL, SALLYPORT_MCP_<SERVER>_URL and SALLYPORT_HTTP_<SERVER>_URL: a client that is told such a URL needs nothing else, and where its session ends gets another. SALLYPORT_SIDECAR_URL with the header Sallyport-Session: $SALLYPORT_SESSION is what it would be in production; that token is good for 15 minutes.',
    'Who calls is said by --as and its like, whatever identity provider the policy names: a key of this process is accepted beside that of the provider, here and nowhere else. Nothing keeps the command from going round the sidecar: dev is for writing policy, not for enforcing it.',
    'Without a command stays up until Ctrl-C and says how to connect. With --verbose also what the sidecar answers by itself is shown: handshakes and listings. With --json standard output has one event a line (policy, session, ready, command, decision, outcome), and the command’s own output goes to standard error.',
  ],
  arguments: [{ name: 'COMMAND', says: 'what to run, with its arguments; without a shell', isOptional: true, isRest: true }],
  options: {
    policy: textOr('--policy DIR', 'folder with the policy', 'policy'),
    agent: text('--agent NAME', 'which agent the command is (default: the only one)'),
    ...OPERATOR_OPTIONS,
    port: positive('--port N', 'port of the URLs, which then stay the same from run to run (default: any that is free)'),
    state: textOr('--state DIR', 'folder for keys, record and log of this run; emptied at the next start', DEV_STATE),
  },
  examples: [
    { line: 'dev -- node agent.js', says: 'with the policy in ./policy' },
    { line: 'dev --policy examples/demo-policy --as alice --role support-rep -- npm start', says: 'for somebody in particular' },
    { line: 'dev --port 4747', says: 'without a command: point a desktop client at what it prints' },
  ],
  async run({ arguments: argv, options, io, out }): Promise<Exit> {
    if ((options.port ?? 0) > PORT_MAX) return out.refuse(refusal(2, `\`--port\` is more than ${PORT_MAX}`));
    // Both apps are loaded for this; those who only ask for help do not wait for them.
    const { develop } = await import('../dev/develop.ts');
    const ended = await develop(options, argv, io);
    // Any exit code of a command is one of ours here.
    return ended.ok ? (ended.value as Exit) : out.refuse(ended.error);
  },
});
