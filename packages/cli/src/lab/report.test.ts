import { describe, expect, it } from 'vitest';
import type { Finding, Report, TriedCase } from './finding.ts';
import { junitOf } from './junit.ts';
import { markdownOf } from './markdown.ts';
import { sarifOf } from './sarif.ts';

/** What an author, a vendor or an attacker may have called something. */
const HOSTILE = [
  '</failure></testcase><x a="',
  ']]>&amp;&#0;<![CDATA[',
  '"\'`|\\ \n\r\n\t',
  '\u0000\u001b[2J\u0007',
  '\u202eevil\u202c \ud800 \uffff',
  '| a | b |\n|---|---|\n<img src=x onerror=alert(1)>',
  '[click](javascript:alert(1)) ![x](http://evil) @everyone #1 **bold** `code`',
  'https://evil.example www.evil.example a@b.example',
];

function report(text: string): Report {
  const finding = (id: Finding['id'], level: Finding['level']): Finding => ({
    id,
    level,
    problem: { path: text, message: text, remedy: text, file: `a/${text}`, line: 3, column: 5 },
  });
  const tried: TriedCase = { suite: text, name: text, file: text, line: 1, failure: text };
  return {
    command: 'policy test',
    isGood: false,
    verdict: text,
    findings: [finding('policy-problem', 'error'), finding('policy-warning', 'warning'), finding('coverage-gap', 'error')],
    cases: [tried, { suite: 'tests', name: 'fine' }],
    json: {},
  };
}

/** Enough of XML to say that what is written is one tree of what was meant: no more elements, no illegal character. */
function elementsOf(xml: string): readonly string[] {
  // eslint-disable-next-line no-control-regex -- these are what XML 1.0 forbids
  expect(xml).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/);
  expect(xml.isWellFormed()).toBe(true);
  expect(xml).not.toMatch(/&(?!amp;|lt;|gt;|quot;|apos;|#9;|#10;)/);
  const tag = /<(\/?)([a-z]+)((?: [a-z]+="[^"<>]*")*)(\/?)>/g;
  const open: string[] = [];
  const found: string[] = [];
  const body = xml.replace('<?xml version="1.0" encoding="UTF-8"?>', '');
  expect(body.replaceAll(tag, '')).not.toMatch(/[<>]/);
  for (const [, closes, name = '', , isEmpty] of body.matchAll(tag)) {
    if (closes === '/') expect(open.pop()).toBe(name);
    else {
      found.push(name);
      if (isEmpty !== '/') open.push(name);
    }
  }
  expect(open).toEqual([]);
  return found;
}

describe.each(HOSTILE.map((text) => [JSON.stringify(text), text]))('a report with the name %s', (_shown, text) => {
  it('is JUnit XML of the same elements as with any other name', () => {
    const elements = elementsOf(junitOf(report(text)));
    expect(elements).toEqual(elementsOf(junitOf(report('plain'))));
    expect(elements.filter((name) => name === 'failure')).toHaveLength(3);
  });

  it('is Markdown of the same table as with any other name, and holds nothing that renders as markup or link', () => {
    const written = markdownOf(report(text));
    const [head, rows] = [written.split('\n').slice(0, 6), written.split('\n').slice(6)];
    expect(head.slice(4)).toEqual(['| | where | what |', '|---|---|---|']);
    expect(rows).toHaveLength(3);
    for (const row of rows) expect(row.match(/(?<!\\)\|/g)).toHaveLength(4);
    const own = written.replaceAll(/<\/?code>|<br>|&#\d+;/g, '');
    expect(own.slice(own.indexOf('\n'))).not.toMatch(/[<>&`*_[\]()@!#\\]|https?:|www\./);
  });

  it('is SARIF whose places are relative references, whatever the file is called', () => {
    const sarif = JSON.parse(sarifOf(report(text))) as Sarif;
    const { results, tool } = sarif.runs[0]!;
    expect(results.map(({ ruleId, ruleIndex }) => tool.driver.rules[ruleIndex]?.id === ruleId)).toEqual([true, true, true]);
    for (const { locations } of results) {
      const { artifactLocation, region } = locations[0]!.physicalLocation;
      expect(artifactLocation.uri).toMatch(/^a\/[A-Za-z0-9._~!*'()%/-]+$/);
      expect(new URL(artifactLocation.uri, 'file:///repo/').href.startsWith('file:///repo/a/')).toBe(true);
      expect(region).toEqual({ startLine: 3, startColumn: 5 });
    }
  });
});

interface Sarif {
  readonly version: string;
  readonly runs: readonly {
    readonly tool: { readonly driver: { readonly name: string; readonly rules: readonly { readonly id: string }[] } };
    readonly results: readonly {
      readonly ruleId: string;
      readonly ruleIndex: number;
      readonly level: string;
      readonly message: { readonly text: string };
      readonly locations: readonly {
        readonly physicalLocation: { readonly artifactLocation: { readonly uri: string }; readonly region: unknown };
      }[];
    }[];
  }[];
}

describe('a report', () => {
  it('in JUnit of nothing at all is one test that passed: a run that found nothing is not one that did not run', () => {
    const xml = junitOf({ command: 'policy check', isGood: true, verdict: 'ok: 1 rule', findings: [], cases: [], json: {} });
    expect(xml.split('\n').slice(1)).toEqual([
      '<testsuites name="sallyport policy check" tests="1" failures="0">',
      '  <testsuite name="policy check" tests="1" failures="0" errors="0" skipped="0">',
      '    <testcase classname="policy check" name="ok: 1 rule"/>',
      '  </testsuite>',
      '</testsuites>',
    ]);
  });

  it('in SARIF says version, rules, levels, line and what to do', () => {
    const sarif = JSON.parse(sarifOf(report('x'))) as Sarif;
    expect(sarif).toMatchObject({
      version: '2.1.0',
      runs: [
        {
          tool: { driver: { name: 'sallyport', rules: [{ id: 'coverage-gap' }, { id: 'policy-problem' }, { id: 'policy-warning' }] } },
          results: [
            { ruleId: 'policy-problem', level: 'error', message: { text: 'x: x\nremedy: x' }, properties: { remedy: 'x' } },
            { ruleId: 'policy-warning', level: 'warning' },
            { ruleId: 'coverage-gap', level: 'error' },
          ],
        },
      ],
    });
  });

  it('in Markdown is cut where a comment would be refused', () => {
    const one = report('x');
    const many = { ...one, findings: Array.from({ length: 250 }, () => one.findings[0]!) };
    expect(markdownOf(many).split('\n').at(-1)).toBe('and 50 more');
  });
});
