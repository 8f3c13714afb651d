import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { verifyExport } from './verify.ts';
import { exportOf, fileOf, fixture, StreamBuilder } from './testing/fixture.ts';
import type { Fixture } from './testing/fixture.ts';

let world: Fixture;
let file: Uint8Array;

beforeAll(async () => {
  world = await fixture();
  const [holder, neighbour, controlPlane] = [
    await world.holder('/sidecar/support-triage/pod-1'),
    await world.holder('/sidecar/other-agent/pod-9'),
    await world.holder('/control-plane'),
  ];
  const first = new StreamBuilder('a', holder).start().call('d1');
  await first.checkpoint();
  await first.call('d2').close();
  const second = new StreamBuilder('b', holder).start(first).call('d3').call('d4');
  const other = new StreamBuilder('c', neighbour).start().call('d5');
  await other.checkpoint();
  other.call('d6');
  const mixed = [...first.lines, ...other.lines.slice(0, 3), ...second.lines, ...other.lines.slice(3)];
  file = fileOf(await exportOf(mixed, controlPlane));
});

describe('any changed byte of an export', () => {
  it('is found, and the line it stands in is the one that is named', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), (place, change) => {
        const at = place % file.length;
        const bent = file.slice();
        bent[at] = (bent[at] ?? 0) ^ change;
        // A line feed belongs to the line that it ends.
        const line = file.subarray(0, at).filter((byte) => byte === 0x0a).length + 1;
        const report = verifyExport(bent, world.options);
        expect(report.isSound).toBe(false);
        expect(report.firstBad?.line, report.summary).toBe(line);
      }),
      { numRuns: 1500 },
    );
  });
});
