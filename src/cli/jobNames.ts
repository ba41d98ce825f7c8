/**
 * How a job is named on the command line: by its id, or by its reference, `127.0.0.1:11300/7`, which is refused if the
 * command works on another server.
 */
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { JobId } from "../internal/protocol/scalars.ts"
import { wholeNumber } from "./flags.ts"
import { WrongServer } from "./failures.ts"

/** A job as it was named. Without a `server` it is a job of whatever server the command works on. */
export interface NamedJob {
  readonly server: string | undefined
  readonly id: JobId
}

const toId = (text: string): Option.Option<JobId> =>
  Option.map(wholeNumber(text, 0, Number.MAX_SAFE_INTEGER), (id) => JobId.make(id))

const parse = (text: string): Option.Option<NamedJob> => {
  const slash = text.lastIndexOf("/")
  const server = slash > 0 ? text.slice(0, slash) : undefined
  return Option.map(toId(text.slice(slash + 1)), (id) => ({ server, id })).pipe(
    Option.filter(() => slash !== 0)
  )
}

const NOT_AN_ID = "the id of a job, a whole number, or its reference, such as 127.0.0.1:11300/7"

/** An argument that names a job. */
export const jobArgument = (description: string): Argument.Argument<NamedJob> =>
  Argument.String("id").pipe(Argument.filterMap(parse, () => NOT_AN_ID), Argument.withDescription(description))

/** The most ids that a range may have: each takes memory, and a longer one is likely a mistake. */
const LONGEST_RANGE = 1_000_000

const parseRange = (text: string): Option.Option<ReadonlyArray<NamedJob>> => {
  const [, first, last] = /^([0-9]+)-([0-9]+)$/.exec(text) ?? []
  if (first === undefined || last === undefined) return Option.map(parse(text), (job) => [job])
  return Option.flatMap(toId(first), (from) =>
    Option.map(
      Option.filter(toId(last), (to) => to >= from && to - from < LONGEST_RANGE),
      (to) => Array.from({ length: to - from + 1 }, (_, i) => ({ server: undefined, id: JobId.make(from + i) }))
    ))
}

/** `--ids 7,9-12`, which may be repeated. */
export const idList = (description: string): Flag.Flag<ReadonlyArray<ReadonlyArray<NamedJob>>> =>
  Flag.String("ids").pipe(
    Flag.filterMap(
      (text) => Option.map(Option.all(text.split(",").map((part) => parseRange(part.trim()))), (all) => all.flat()),
      () => "ids and ranges of ids, such as 7,9-12"
    ),
    Flag.withMetavar("IDS"),
    Flag.withDescription(description),
    Flag.atLeast(0)
  )

/** The id of a job that must be on this server. */
export const idOn = (server: string, { id, server: named }: NamedJob): Effect.Effect<JobId, WrongServer> =>
  named === undefined || named === server ? Effect.succeed(id) : new WrongServer({ server, named, id })
