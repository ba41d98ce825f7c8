/**
 * The jobs of a chaos run: what a body says about its job, to producers, workers and the final count alike.
 */
import * as Schema from "effect/Schema"
import * as Tube from "../../../src/Tube.ts"

/**
 * What is to become of a job. `plain`, `slow`, `flaky` (fails at first) and `own` (its handler deletes it) are done in the
 * end; `hopeless` is moved to the dead-letter tube, `poison` (its handler dies) and `garbled` (does not decode) are buried;
 * nobody works on `parked` and `later`, which stay ready and delayed.
 */
export const KINDS = [
  "plain",
  "slow",
  "flaky",
  "own",
  "hopeless",
  "poison",
  "garbled",
  "parked",
  "later"
] as const

export type Kind = typeof KINDS[number]

export const WORK = "work"
export const DEAD = "dead"

/** The tube into which jobs of a kind are put. */
export const tubeOf = (kind: Kind): string => kind === "parked" || kind === "later" ? kind : WORK

const WorkItem = Schema.Struct({ n: Schema.Int, kind: Schema.Literals(KINDS) })

export type WorkItem = typeof WorkItem.Type

export const Work = Tube.make(WORK, { schema: WorkItem })

/** The body of job `n`. */
export const bodyOf = (n: number, kind: Kind): string =>
  kind === "garbled" ? `no JSON ${n}` : JSON.stringify({ n, kind })

/** The number in a body, or undefined if that is not one of ours. */
export const numberIn = (body: string): number | undefined => {
  const found = /^(?:no JSON |\{"n":)(\d+)/.exec(body)?.[1]
  return found === undefined ? undefined : Number(found)
}
