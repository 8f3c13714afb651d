/**
 * Who sent a message of Slack, from the signed body: a slash command (form), an interaction (form with a JSON `payload`)
 * or an event (JSON). Read only after the signature is verified.
 */

import { fromUtf8, utf8 } from '@sallyport/crypto';
import { type Json, type JsonObject, type Result, fail, ok } from '@sallyport/model';
import { judge, readQuery } from '@sallyport/strict';

/** Slack's ids: workspaces are T…, users U… or W…. */
const TEAM = /^T[A-Z0-9]{2,20}$/;
const USER = /^[UW][A-Z0-9]{2,20}$/;
const OPENING_BRACE = 0x7b;
const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';

/** `<team id>/<user id>`; fails where the body names no person, two, or can be read in two ways. */
export function readSlackSender(body: Uint8Array, contentType: string | undefined): Result<string, string> {
  const [type = ''] = (contentType ?? '').split(';');
  // The content type is not signed. A form of Slack never begins with a brace, so the bytes alone decide.
  const isJson = body[0] === OPENING_BRACE;
  if (type.trim().toLowerCase() !== (isJson ? JSON_TYPE : FORM)) return fail('the content type is not that of the body');
  return isJson ? senderOfEvent(body) : senderOfForm(body);
}

function senderOfEvent(body: Uint8Array): Result<string, string> {
  const event = readObject(body);
  if (!event.ok) return event;
  const inner = objectAt(event.value, 'event');
  if (inner === undefined) return fail('no event');
  return nameSender(own(event.value, 'team_id'), own(inner, 'user'), own(inner, 'user_team'));
}

function senderOfForm(body: Uint8Array): Result<string, string> {
  const text = fromUtf8(body);
  const pairs = text === undefined ? undefined : readQuery(text);
  if (pairs?.ok !== true) return fail('not a form in UTF-8');
  const values = (name: string): readonly string[] => pairs.value.filter(([key]) => key === name).map(([, value]) => value);
  const [payloads, teams, users] = [values('payload'), values('team_id'), values('user_id')];
  if (payloads.length > 1 || teams.length > 1 || users.length > 1) return fail('a field of the form stands twice');
  const [payload] = payloads;
  if (payload === undefined) return nameSender(teams[0], users[0], undefined);
  if (teams.length > 0 || users.length > 0) return fail('a payload beside fields that name a sender');
  const interaction = readObject(utf8(payload));
  if (!interaction.ok) return interaction;
  const [team, user] = [objectAt(interaction.value, 'team'), objectAt(interaction.value, 'user')];
  if (team === undefined || user === undefined) return fail('no team or no user');
  return nameSender(own(team, 'id'), own(user, 'id'), own(user, 'team_id'));
}

/** A user of another workspace in a shared channel is not the user of that id here. */
function nameSender(team: Json | undefined, user: Json | undefined, userTeam: Json | undefined): Result<string, string> {
  if (typeof team !== 'string' || !TEAM.test(team)) return fail('no team');
  if (typeof user !== 'string' || !USER.test(user)) return fail('no user');
  return userTeam === undefined || userTeam === team ? ok(`${team}/${user}`) : fail('a user of another workspace');
}

function readObject(bytes: Uint8Array): Result<JsonObject, string> {
  const judged = judge(bytes, { caseDistinctDepth: 2 });
  if (!judged.ok) return fail('not one unambiguous JSON document');
  const { tree } = judged.value;
  return isObject(tree) ? ok(tree) : fail('not an object');
}

function objectAt(parent: JsonObject, name: string): JsonObject | undefined {
  const value = own(parent, name);
  return value !== undefined && isObject(value) ? value : undefined;
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function own(parent: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(parent, name) ? parent[name] : undefined;
}
