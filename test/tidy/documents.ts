/** Documents that hold together: one title each, links that lead somewhere, every decision listed, every dependency named. */

import { dirname, join, normalize } from 'node:path/posix';
import { type Check, type Finding, isGenerated, linesOf, type SourceFile } from './finding.ts';

const ADR = /^docs\/adr\/(\d{4}-[a-z0-9-]+)\.md$/;
const ADR_INDEX = 'docs/adr/README.md';
const DEPENDENCIES = 'docs/adr/0007-dependencies.md';

const isMarkdown = ({ path }: SourceFile): boolean => path.endsWith('.md');

/** The text without fenced blocks and inline code, line numbers kept. */
function prose(text: string): string {
  const blank = (block: string): string => block.replaceAll(/[^\n]/g, '');
  return text.replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, blank).replaceAll(/`[^`\n]*`/g, '``');
}

export const checkTitles: Check = (files) =>
  files.filter(isMarkdown).flatMap(({ path, text }) => {
    const titles = linesOf(prose(text)).filter(({ line }) => /^# \S/.test(line));
    if (titles.length === 1) return [];
    const why = 'a page has one subject; indexes and readers take the first heading for its name';
    return [{ where: path, what: `${titles.length} first-level headings`, why, instead: 'exactly one `# Title`' }];
  });

/** Relative links, and their anchors where the target is a page. Addresses of other hosts are not looked at. */
export const checkLinks: Check = (files) => {
  const texts = new Map(files.map(({ path, text }) => [path, text]));
  const folders = new Set(files.flatMap(({ path }) => ancestors(path)));
  return files.filter(isMarkdown).flatMap(({ path, text }) =>
    linesOf(prose(text)).flatMap(({ line, number }) =>
      [...line.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)]
        .map((match) => match[1] ?? '')
        .filter((link) => !/^[a-z]+:/.test(link))
        .flatMap((link) => judgeLink({ path, link, where: `${path}:${number}` }, texts, folders)),
    ),
  );
};

/** Pages of docs/ that code and other pages name in plain text: a comment that cites a page must find it. */
export const checkCitations: Check = (files) => {
  const paths = new Set(files.map(({ path }) => path));
  return files
    .filter(({ path }) => /\.(ts|mjs|md|proto|yaml)$/.test(path) && !isGenerated(path) && !path.startsWith('test/tidy/'))
    .flatMap(({ path, text }) =>
      linesOf(text).flatMap(({ line, number }) =>
        [...line.matchAll(/(?<![\w/.-])docs\/[\w./-]+\.(?:md|json|txt)/g)]
          .map((match) => match[0])
          .filter((page) => !paths.has(page))
          .map((page) => ({
            where: `${path}:${number}`,
            what: `cites \`${page}\`, which is not there`,
            why: 'a promise that refers to a missing page is checked by nobody',
            instead: 'write the page, or cite the one that says it',
          })),
      ),
    );
};

/** Every page below docs/ is found from its index; decisions have an index of their own. */
export const checkIndex: Check = (files) => {
  const index = files.find(({ path }) => path === 'docs/README.md')?.text ?? '';
  return files
    .filter(({ path }) => /^docs\/.+\.md$/.test(path) && path !== 'docs/README.md' && ADR.exec(path) === null)
    .map(({ path }) => ({ path, link: path.slice('docs/'.length) }))
    .filter(({ link }) => !index.includes(`(${link})`))
    .map(({ path, link }) => ({
      where: path,
      what: 'a page that docs/README.md does not list',
      why: 'a page that nobody finds is written in vain and goes stale',
      instead: `a line with [title](${link}) in docs/README.md`,
    }));
};

export const checkDecisions: Check = (files) => {
  const index = files.find(({ path }) => path === ADR_INDEX)?.text ?? '';
  const names = files.flatMap(({ path }) => ADR.exec(path)?.[1] ?? []);
  const numbers = names.map((name) => name.slice(0, 4));
  return [
    ...names
      .filter((name) => !index.includes(`(${name}.md)`))
      .map((name) => ({
        where: `docs/adr/${name}.md`,
        what: 'a decision that the index does not list',
        why: 'whoever wants to change something must find why it is so',
        instead: `a line in ${ADR_INDEX}`,
      })),
    ...names
      .filter((name, place) => numbers.indexOf(name.slice(0, 4)) !== place)
      .map((name) => ({
        where: `docs/adr/${name}.md`,
        what: `the number ${name.slice(0, 4)} is taken`,
        why: 'decisions are cited by number',
        instead: 'the next free number',
      })),
  ];
};

/** Every npm package that any package.json names stands in the decision about dependencies, with its reason. */
export const checkDependencies: Check = (files) => {
  const page = files.find(({ path }) => path === DEPENDENCIES)?.text ?? '';
  return files
    .filter(({ path }) => /^(packages\/[^/]+\/)?package\.json$/.test(path))
    .flatMap(({ path, text }) =>
      dependenciesOf(text)
        .filter((name) => !page.includes(`\`${name}\``))
        .map((name) => ({
          where: path,
          what: `\`${name}\` is not in ${DEPENDENCIES}`,
          why: 'a dependency runs with our rights; someone must have weighed it',
          instead: 'a line there: why, alternatives, upkeep',
        })),
    );
};

function dependenciesOf(text: string): readonly string[] {
  const manifest = JSON.parse(text) as Record<string, Record<string, string> | undefined>;
  const lists = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'];
  return lists.flatMap((list) => Object.keys(manifest[list] ?? {})).filter((name) => !name.startsWith('@sallyport/'));
}

function judgeLink(
  { path, link, where }: { path: string; link: string; where: string },
  texts: ReadonlyMap<string, string>,
  folders: ReadonlySet<string>,
): readonly Finding[] {
  const [file = '', anchor] = link.split('#');
  const target = file === '' ? path : normalize(join(dirname(path), decodeURI(file))).replace(/\/$/, '');
  const what = `the link \`${link}\` leads nowhere`;
  const why = 'a reader who follows it stops reading';
  if (!texts.has(target) && !folders.has(target)) return [{ where, what, why, instead: 'a path relative to this page' }];
  if (anchor === undefined || !target.endsWith('.md')) return [];
  const anchors = headings(texts.get(target) ?? '').map(slug);
  return anchors.includes(anchor) ? [] : [{ where, what, why, instead: `one of: ${anchors.map((one) => `#${one}`).join(' ')}` }];
}

function headings(text: string): readonly string[] {
  const fenceless = text.replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, '');
  return [...fenceless.matchAll(/^#{1,6} +(.+?) *$/gm)].map((match) => match[1] ?? '');
}

/** The anchor that forges make of a heading: lower case, punctuation dropped, spaces to hyphens. */
function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
}

function ancestors(path: string): readonly string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}
