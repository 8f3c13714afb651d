/** What became of something that a server said and our documents do not say alike. */

/**
 * `loosened`: we accept more than the server does, which then judges it itself. `tightened`: we accept less. `unchanged`:
 * nothing about values is lost. `revealed`: hidden characters were written out, or a text was cut. `refused`: the tool is
 * not imported, and so exists for no agent.
 */
export type Done = 'loosened' | 'tightened' | 'unchanged' | 'revealed' | 'refused';

export interface ImportNote {
  /** As the server names it, made visible; `-` where it has no name. */
  readonly tool: string;
  /** Inside the tool, `inputSchema.properties.url`; empty for the whole. */
  readonly path: string;
  readonly done: Done;
  /** One clause. */
  readonly says: string;
}
