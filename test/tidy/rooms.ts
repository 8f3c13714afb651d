/**
 * Which room of a package may import which: each only itself and those before it, so that what a room does can be read
 * without what comes after. A package is listed once it has rooms that build on each other.
 */

import { posix } from 'node:path';
import { type Check, type Finding, isTest, linesOf, type SourceFile } from './finding.ts';

/** By package, from the ground up. `''` is the files beside the folders, `index.ts` apart: it shows all rooms. */
export const ROOMS: Readonly<Record<string, readonly string[]>> = {
  policy: ['', 'reader', 'expression', 'demand', 'grammar', 'check', 'compile', 'decide', 'explain', 'suites', 'lab', 'editor'],
};

export const checkRooms: Check = (files) => files.flatMap(judge);

function judge(file: SourceFile): readonly Finding[] {
  const [, name = '', inside = ''] = /^packages\/([^/]+)\/src\/(.+\.ts)$/.exec(file.path) ?? [];
  const rooms = ROOMS[name];
  if (rooms === undefined || inside === 'index.ts' || isTest(file.path) || inside.endsWith('.prop.test.ts')) return [];
  const from = roomOf(inside);
  if (!rooms.includes(from)) return [unknownRoom(file.path, name, from)];
  return linesOf(file.text).flatMap(({ line, number }): readonly Finding[] => {
    const specifier = /(?:^|\s|\})from\s+['"](\.[^'"]+)['"]/.exec(line)?.[1];
    if (specifier === undefined) return [];
    const to = roomOf(posix.normalize(posix.join(posix.dirname(inside), specifier)));
    if (rooms.indexOf(to) <= rooms.indexOf(from)) return [];
    const why = `rooms of ${name} build on each other: ${rooms.filter((room) => room !== '').join(' < ')}`;
    return [
      { where: `${file.path}:${number}`, what: `${from || 'src'} imports ${to}`, why, instead: 'move what both need into the lower room' },
    ];
  });
}

function roomOf(inside: string): string {
  return inside.includes('/') ? (inside.split('/')[0] ?? '') : '';
}

function unknownRoom(where: string, name: string, room: string): Finding {
  return {
    where,
    what: `room ${room} of ${name} is not in the table`,
    why: 'a room without a place in the order can be imported from anywhere, and import anything',
    instead: 'add it to test/tidy/rooms.ts and to the README of the package',
  };
}
