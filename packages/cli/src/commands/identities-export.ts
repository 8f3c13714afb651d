/** `sallyport identities export`: the register of machine identities, and which of them nobody registered. */

import { readRecord } from '@sallyport/audit';
import { StatusRequestSchema, TailRequestSchema, TailRequest_View, create } from '@sallyport/contract';
import { fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import { readParts } from '@sallyport/policy';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { CALL_MS, LINK_OPTIONS, refusedBy, withLink } from '../connect.ts';
import type { Link } from '../connect.ts';
import type { Io } from '../io.ts';
import { fetchSide } from '../lab/side.ts';
import type { Refusal } from '../output.ts';
import { areaOption, placeOf, placeProblems, ringOption } from '../places.ts';
import { registerText } from '../register/register-text.ts';
import { identityRegister } from '../register/register.ts';
import { traffic } from '../register/traffic.ts';
import type { Traffic } from '../register/traffic.ts';

export const identitiesExport: Command = command({
  name: 'identities export',
  group: 'Operate',
  summary: 'list every machine identity: agents, sidecars, issuers, caller methods, credentials, and agents that nobody registered',
  details: [
    'Joins what the policy in force registers, what the fleet holds, and what the whole record has seen. With --json it is one document in an open form, whose schema is docs/reference/identity-register.schema.json. It names secrets and keys, and holds none.',
    'An agent that is in the record and not in the policy is listed as unregistered: one that called, that was called, or that handed a task on.',
  ],
  options: { ...LINK_OPTIONS, area: areaOption, ring: ringOption },
  examples: [
    { line: 'identities export', says: 'for people' },
    { line: 'identities export --json > identities.json', says: 'for an inventory of machine identities' },
  ],
  async run(call) {
    const { options, io, out } = call;
    const wrong = placeProblems(options);
    if (wrong.length > 0) return out.refuse({ exit: 2, problems: wrong });
    const place = placeOf(options);
    return withLink(options, call, async (link) => {
      const side = await fetchSide(link, place, io);
      if (!side.ok) return out.refuse(side.error);
      const parts = readParts(side.value.parts);
      if (!parts.ok) return out.refuse({ exit: 64, problems: parts.error });
      const fleet = await link.fleet.status(create(StatusRequestSchema, {}), { deadlineMs: CALL_MS, signal: io.signal });
      if (!fleet.ok) return out.refuse(refusedBy('asking for the fleet', fleet.error, link));
      const read = await readTraffic(link, io);
      if (!read.ok) return out.refuse(read.error);
      const of = { parts: parts.value, fleet: fleet.value, traffic: read.value };
      const { trustDomain } = link.trust.root;
      const register = identityRegister({ ...of, ...place, madeAt: io.clock.wall(), trustDomain, policyDigest: side.value.digest ?? '' });
      await out.answer(register, registerText(of));
      return 0;
    });
  },
});

/** The whole record, in one pass. */
async function readTraffic(link: Link, io: Io): Promise<Result<Traffic, Refusal>> {
  const seen = traffic();
  const tail = link.audit.tail(create(TailRequestSchema, { view: TailRequest_View.RECORDS }), { signal: io.signal });
  for await (const { lines } of tail)
    for (const line of lines) {
      // What is no record (an export's last line, a kind that is not known here) names no agent.
      const record = readRecord(line);
      if (record.ok) seen.add(record.value);
    }
  const status = await tail.status;
  return status.code === 'ok' ? ok(seen) : fail(refusedBy('reading the record', status, link));
}
