/** The reference of a configuration, made from the schema that reads it. */

import { Bug } from '@sallyport/model';
import type { Field } from './config-fields.ts';

export interface ConfigReference {
  /** JSON Schema (2020-12) of the file, for editors. */
  readonly jsonSchema: Readonly<Record<string, unknown>>;
  /** The reference page in Markdown, one table per section. */
  readonly markdown: string;
}

/** Describes every key: path, environment name, type, unit, default, range, meaning. An app's golden test compares it. */
export function describeConfig(schema: Field<unknown>, options: { readonly title: string }): ConfigReference {
  throw new Bug(`to come: ${String(schema)} ${options.title}`);
}
