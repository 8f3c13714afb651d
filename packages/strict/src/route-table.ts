/**
 * Paths of HTTP APIs as templates: `/orders/{order_id}/refunds`. Which templates two requests could both fit is a matter
 * of their shape alone, so that a table in which every request has one reading can be told from one in which it has not
 * before any request comes. docs/spec/http-tools.md section 2.
 */

import { invariant } from '@sallyport/model';
import { foldCase } from './json-walk.ts';

/** One segment: this very text (`folded`: without its case), or the whole of an argument. */
export type TemplateSegment = { readonly literal: string; readonly folded: string } | { readonly argument: string };
export type RouteTemplate = readonly TemplateSegment[];

/** Plain characters, or one whole argument in braces: an argument can never add or split a segment. */
const TEMPLATE = /^(?:\/(?:[A-Za-z0-9._~-]+|\{[A-Za-z_][A-Za-z0-9_]{0,63}\}))+$/;

const SEGMENTS_MAX = 32;

/** Reads a template; `undefined` for what is none, or has more than 32 segments. */
export function routeTemplate(path: string): RouteTemplate | undefined {
  if (!TEMPLATE.test(path)) return undefined;
  const segments = path.slice(1).split('/');
  if (segments.length > SEGMENTS_MAX || segments.some((segment) => segment === '.' || segment === '..')) return undefined;
  return segments.map((segment) =>
    segment.startsWith('{') ? { argument: segment.slice(1, -1) } : { literal: segment, folded: foldCase(segment) },
  );
}

/**
 * How two templates of one method stand to each other. `disjoint`: no path fits both. `ordered`: one of them has a
 * literal wherever the other has one, and more, so that it wins. `case`: they differ by the case of a literal, which some
 * servers do not see. `ambiguous`: a path could fit both, and neither wins.
 */
export type RouteOverlap = 'disjoint' | 'ordered' | 'case' | 'ambiguous';

export function overlapOf(a: RouteTemplate, b: RouteTemplate): RouteOverlap {
  if (a.length !== b.length) return 'disjoint';
  let [isFirstMore, isSecondMore, isByCase] = [false, false, false];
  for (const [index, one] of a.entries()) {
    const other = b[index] as TemplateSegment;
    if ('literal' in one && 'literal' in other) {
      if (one.folded !== other.folded) return 'disjoint';
      isByCase ||= one.literal !== other.literal;
    } else if ('literal' in one) isFirstMore = true;
    else if ('literal' in other) isSecondMore = true;
  }
  if (isByCase) return 'case';
  return isFirstMore === isSecondMore ? 'ambiguous' : 'ordered';
}

/** A route that a request fits, with the text of each argument, decoded. */
export interface RouteMatch<T> {
  readonly value: T;
  readonly texts: ReadonlyMap<string, string>;
}

export interface RouteTable<T> {
  /**
   * The one route that a canonical path fits: at each segment a literal comes before an argument. A path that would fit
   * another route if case did not matter fits none: a server that does not see case would carry out the other.
   */
  match(method: string, segments: readonly string[]): RouteMatch<T> | undefined;
}

interface Node<T> {
  /** By the literal with its case folded. */
  readonly literals: Map<string, Node<T>>;
  argument: Node<T> | undefined;
  /** What ends here. */
  end: { readonly value: T; readonly template: RouteTemplate } | undefined;
}

/** A table of routes no two of which are `case` or `ambiguous` to each other; the reader of policies has refused others. */
export function routeTable<T>(
  routes: Iterable<{ readonly method: string; readonly template: RouteTemplate; readonly value: T }>,
): RouteTable<T> {
  // Owner: this call; read-only once the table is made.
  const methods = new Map<string, Node<T>>();
  for (const { method, template, value } of routes) {
    const root = methods.get(method) ?? newNode<T>();
    methods.set(method, root);
    const last = template.reduce(grow, root);
    invariant(last.end === undefined, 'two routes of one shape were refused');
    last.end = { value, template };
  }
  return {
    match(method, segments) {
      const root = methods.get(method);
      const found = root === undefined ? undefined : find(root, segments, 0);
      if (found === undefined || !isSpelled(found.template, segments)) return undefined;
      const texts = new Map<string, string>();
      for (const [index, segment] of found.template.entries())
        if ('argument' in segment) texts.set(segment.argument, segments[index] ?? '');
      return { value: found.value, texts };
    },
  };
}

function newNode<T>(): Node<T> {
  return { literals: new Map(), argument: undefined, end: undefined };
}

function grow<T>(node: Node<T>, segment: TemplateSegment): Node<T> {
  if ('argument' in segment) return (node.argument ??= newNode());
  const next = node.literals.get(segment.folded) ?? newNode<T>();
  node.literals.set(segment.folded, next);
  return next;
}

/** Literals first. Since of two routes that fit one always wins at every segment, the first that is found is that one. */
function find<T>(node: Node<T>, segments: readonly string[], at: number): Node<T>['end'] {
  const segment = segments[at];
  if (segment === undefined) return node.end;
  const literal = node.literals.get(foldCase(segment));
  const found = literal === undefined ? undefined : find(literal, segments, at + 1);
  if (found !== undefined || node.argument === undefined) return found;
  return find(node.argument, segments, at + 1);
}

function isSpelled(template: RouteTemplate, segments: readonly string[]): boolean {
  return template.every((segment, index) => 'argument' in segment || segment.literal === segments[index]);
}
