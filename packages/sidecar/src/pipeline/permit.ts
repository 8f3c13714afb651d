/**
 * The proof that every gate passed. A class with private state, so that no object literal can pass for one; spent once,
 * so that one decision forwards one call. Only `pipeline.ts` may import `mintPermit` (the tidy test reads the imports).
 */

import type { AgentAsk, HeaderMirror } from '@sallyport/dialects';
import {
  invariant,
  type AgentName,
  type DecisionId,
  type DelegatesTo,
  type DenialCode,
  type Destination,
  type ReleaseSeq,
  type Tool,
  type ToolServer,
} from '@sallyport/model';
import type { CarriedCredential } from '@sallyport/policy';
import type { TypedArguments } from '@sallyport/strict';

/** What the permit allows, and nothing else: this tool, with these judged arguments, under this release. */
export interface Permitted {
  readonly decisionId: DecisionId;
  readonly agent: AgentName;
  readonly server: ToolServer;
  /** Where the server may be dialled, and nowhere else. */
  readonly destination: Destination;
  readonly tool: Tool;
  /** The arguments that headers repeat towards an MCP server. */
  readonly mirrors: readonly HeaderMirror[];
  readonly arguments: TypedArguments;
  /** What is sent along, by reference; one list for all calls of this tool under one policy. */
  readonly credentials: readonly CarriedCredential[];
  /** What rules would have answered, where the bundle has this agent observed. */
  readonly observed?: DenialCode;
  /** Of a tool that is another agent: what is handed on by calling it. */
  readonly relation?: DelegatesTo;
  /** Of an invocation: what its agent is asked for. There is nothing else that goes to an agent. */
  readonly request?: AgentAsk;
  readonly lease: LeaseTerms;
}

/** A permit is a lease: it holds for one release, and not beyond the age at which that release is stale (`leases.ts`). */
export interface LeaseTerms {
  readonly releaseSeq: ReleaseSeq;
  /** Milliseconds of freshness that were left when the permit was minted. */
  readonly freshForMs: number;
}

/** Owner: the class's static block, which alone can reach the private constructor. */
let mint: (permitted: Permitted) => Permit;

export class Permit {
  /** Owner: this class. Written by the constructor and by `take`, which empties it. */
  #permitted: Permitted | undefined;

  private constructor(permitted: Permitted) {
    this.#permitted = permitted;
  }

  /** Gives what was permitted, once; a second call is a bug and throws. */
  take(): Permitted {
    const permitted = this.#permitted;
    invariant(permitted !== undefined, 'a permit was spent twice');
    this.#permitted = undefined;
    return permitted;
  }

  static {
    mint = (permitted) => new Permit(permitted);
  }
}

/** Makes a permit. For `pipeline.ts` alone, after every gate passed and freshness and revocations were read again. */
export function mintPermit(permitted: Permitted): Permit {
  return mint(permitted);
}
