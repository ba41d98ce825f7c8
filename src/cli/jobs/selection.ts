/**
 * The jobs of a tube that a command works on: `--state`, `--older`, `--body`, `--ids` and `-n`.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import type { JobId } from "../../internal/protocol/scalars.ts"
import { ageFlag, bodyFlag, countFlag, states } from "../flags.ts"
import { idList, idOn, type NamedJob } from "../jobNames.ts"
import { note } from "../terminal/output.ts"
import * as Progress from "../terminal/progress.ts"
import { batch, ifThere, values } from "./batch.ts"
import { contains, findIds, forEachJobs, type ListedJob } from "./listing.ts"

/** States whose jobs nobody holds. Delayed jobs come first, because they become ready with time. */
export const STATES = ["delayed", "ready", "buried"] as const
export type State = typeof STATES[number]

/** The flags that choose jobs of a tube. */
export const selectionFlags = <const S extends ReadonlyArray<State>>(choices: S, verb: string) => ({
  states: states(choices, `Only jobs in this state; may be repeated; by default ${choices.join(", ")}`),
  older: ageFlag("older", "at least"),
  body: bodyFlag,
  ids: idList(`Only these jobs, such as 7,9-12; may be repeated`),
  count: countFlag(`${verb} at most this many jobs`)
})

/** The jobs of a tube that a command works on. */
export interface Selection {
  readonly tube: string
  /** At least one. */
  readonly states: ReadonlyArray<State>
  readonly olderSeconds: number
  readonly text: Uint8Array
  /** Only these jobs, if there are any. */
  readonly ids: ReadonlyArray<NamedJob>
  /** The most jobs, possibly infinite. */
  readonly count: number
}

export interface SelectionInput {
  readonly states: ReadonlyArray<State>
  readonly older: Option.Option<Duration.Duration>
  readonly body: Option.Option<string>
  readonly ids: ReadonlyArray<ReadonlyArray<NamedJob>>
  readonly count: Option.Option<number>
}

/** The selection that the flags mean. */
export const select = (tube: string, choices: ReadonlyArray<State>, input: SelectionInput): Selection => ({
  tube,
  states: input.states.length === 0 ? choices : choices.filter((state) => input.states.includes(state)),
  olderSeconds: Option.match(input.older, { onNone: () => 0, onSome: Duration.toSeconds }),
  text: Buffer.from(Option.getOrElse(input.body, () => "")),
  ids: input.ids.flat(),
  count: Option.getOrElse(input.count, () => Infinity)
})

/** Whether jobs are chosen one by one, rather than all of a state. */
export const isFiltered = ({ ids, olderSeconds, text }: Selection): boolean =>
  ids.length > 0 || olderSeconds > 0 || text.length > 0

// What was asked for by its id, and is not there, must not be passed over in silence.
const idsNamed = Effect.fnUntraced(function*(pipeline: Pipeline, { ids, tube }: Selection) {
  const wanted: Array<JobId> = []
  for (const named of ids) wanted.push(yield* idOn(pipeline.server, named))
  const unique = [...new Set(wanted)]
  const stats = yield* values(yield* batch(pipeline, ifThere.statsJob, unique.map((id) => [id])))
  for (const [i, id] of unique.entries()) {
    const found = stats[i]
    if (found === undefined) yield* note(`NOT_FOUND: no job ${id} on ${pipeline.server}`)
    else if (found.tube !== tube) yield* note(`NOT_FOUND: job ${id} is not in the tube ${tube}, but in ${found.tube}`)
    else if (found.state === "reserved") yield* note(`RESERVED: job ${id} is reserved by a worker, and stays`)
  }
  return unique.filter((_, i) => stats[i]?.tube === tube)
})

/** The ids of all jobs of the tube that are selected now. */
export const selectedIds = Effect.fnUntraced(function*(pipeline: Pipeline, selection: Selection) {
  const isWanted = ({ job, stats }: ListedJob) =>
    selection.states.some((state) => state === stats.state) && stats.age >= selection.olderSeconds &&
    contains(job.body, selection.text)
  const found: Array<JobId> = []
  yield* Effect.gen(function*() {
    const progress = yield* Progress.make("looking for jobs", { vanishes: true })
    const ids = selection.ids.length > 0
      ? yield* idsNamed(pipeline, selection)
      : yield* findIds(pipeline, [selection.tube], progress)
    yield* forEachJobs(pipeline, ids, (jobs) => {
      found.push(...jobs.filter(isWanted).map(({ stats }) => stats.id))
      return Effect.void
    })
  }).pipe(Effect.scoped)
  return found
})
