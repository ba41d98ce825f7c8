/**
 * The flags and arguments that several commands have. The flags check their values, so a wrong value is wrong usage and no
 * command has to check again.
 */
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { JobState } from "../Stats.ts"
import { DEFAULT_PRIORITY, DEFAULT_TTR_SECONDS, MAX_UINT32, TubeName } from "../internal/protocol/scalars.ts"

/** A whole number within bounds. Digits only, because JavaScript also reads "", "0x10" and "1e3" as numbers. */
export const wholeNumber = (text: string, min: number, max: number): Option.Option<number> => {
  const n = Number(text)
  return /^[0-9]+$/.test(text) && n >= min && n <= max ? Option.some(n) : Option.none()
}

/** A flag whose value is a whole number within bounds. */
export const BoundedInt = (flag: Flag.Flag<string>, min: number, max: number): Flag.Flag<number> =>
  Flag.filterMap(
    flag,
    (text) => wholeNumber(text, min, max),
    () => `a whole number from ${min} to ${max}`
  )

/** A switch, off by default. */
export const switchedOff = (name: string, description: string): Flag.Flag<boolean> =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

const toDuration = (text: string): Option.Option<Duration.Duration> =>
  /^[0-9]+(\.[0-9]+)?$/.test(text)
    ? Option.some(Duration.seconds(Number(text)))
    : Duration.fromInput(text as Duration.Input)

interface Bounds {
  readonly min?: number | undefined
}

/** A flag whose value is a time: a number of seconds, or a duration such as "5 minutes". */
export const seconds = (flag: Flag.Flag<string>, { min = 0 }: Bounds = {}): Flag.Flag<Duration.Duration> =>
  Flag.filterMap(
    flag,
    (text) =>
      Option.filter(toDuration(text), (duration) => {
        const n = Duration.toSeconds(duration)
        return n >= min && n <= MAX_UINT32
      }),
    () => `a number of seconds from ${min} to ${MAX_UINT32}, or a duration such as "5 minutes"`
  )

const isTubeName = Schema.is(TubeName)
const tubeName = (text: string) => isTubeName(text) ? Option.some(text) : Option.none()
const notATube = () => "the name of a tube, 1 to 200 of A-Z a-z 0-9 - + / ; . $ _ ( ), not beginning with -"

/** A flag whose value is the name of a tube. */
export const tube = (flag: Flag.Flag<string>): Flag.Flag<string> =>
  Flag.filterMap(flag, tubeName, notATube).pipe(Flag.withMetavar("TUBE"))

/** An argument that is the name of a tube. */
export const tubeArgument = (name: string, description: string): Argument.Argument<string> =>
  Argument.String(name).pipe(Argument.filterMap(tubeName, notATube), Argument.withDescription(description))

/** `-u TUBE`: the tube that the command works on. */
export const use: Flag.Flag<string> = tube(Flag.String("use")).pipe(
  Flag.withAlias("u"),
  Flag.withDescription("Tube to use, default \"default\""),
  Flag.withDefault("default")
)

/** `-p PRIORITY`. */
export const priorityOf = (description: string): Flag.Flag<number> =>
  BoundedInt(Flag.String("priority"), 0, MAX_UINT32).pipe(
    Flag.withAlias("p"),
    Flag.withMetavar("PRIORITY"),
    Flag.withDescription(description)
  )

/** `-p PRIORITY` of a new job. */
export const priority: Flag.Flag<number> = priorityOf(
  `Priority, from 0, the most urgent, to ${MAX_UINT32}; default ${DEFAULT_PRIORITY}`
).pipe(Flag.withDefault(DEFAULT_PRIORITY))

/** `-p PRIORITY` for a job that has a priority already. */
export const newPriority: Flag.Flag<Option.Option<number>> = priorityOf(
  "New priority; by default the job keeps its own"
).pipe(Flag.optional)

/** `-d SECONDS`. */
export const delayOf = (description: string, fallback = 0): Flag.Flag<Duration.Duration> =>
  seconds(Flag.String("delay")).pipe(
    Flag.withAlias("d"),
    Flag.withMetavar("SECONDS"),
    Flag.withDescription(`${description}, default ${fallback}`),
    Flag.withDefault(Duration.seconds(fallback))
  )

/** `-t SECONDS`: the time to run of a new job. */
export const ttr: Flag.Flag<Duration.Duration> = seconds(Flag.String("ttr"), { min: 1 }).pipe(
  Flag.withAlias("t"),
  Flag.withMetavar("SECONDS"),
  Flag.withDescription(`Time to run: how long a worker may hold the job, default ${DEFAULT_TTR_SECONDS}`),
  Flag.withDefault(Duration.seconds(DEFAULT_TTR_SECONDS))
)

/** `--base64` of commands that print bodies. */
export const base64Bodies: Flag.Flag<boolean> = switchedOff(
  "base64",
  "Print all bodies as base64; by default only bodies that are not UTF-8, with \"encoding\": \"base64\""
)

/** `--raw` of commands that print a body. */
export const rawBody: Flag.Flag<boolean> = switchedOff(
  "raw",
  "Write the body alone, every byte as it is, without a line end"
)

/** `-t SECONDS`: how long to wait for a job. */
export const timeoutOf = (description: string): Flag.Flag<Option.Option<Duration.Duration>> =>
  seconds(Flag.String("timeout")).pipe(
    Flag.withAlias("t"),
    Flag.withMetavar("SECONDS"),
    Flag.withDescription(description),
    Flag.optional
  )

/** `--state STATE`, which may be repeated. */
export const states = <const S extends ReadonlyArray<JobState>>(
  choices: S,
  description: string
): Flag.Flag<ReadonlyArray<S[number]>> =>
  Flag.Literals("state", choices).pipe(Flag.withDescription(description), Flag.atLeast(0))

/** `--older SECONDS` and `--younger SECONDS`. */
export const ageFlag = (name: string, which: string): Flag.Flag<Option.Option<Duration.Duration>> =>
  seconds(Flag.String(name)).pipe(
    Flag.withMetavar("SECONDS"),
    Flag.withDescription(`Only jobs put ${which} this many seconds ago`),
    Flag.optional
  )

/** `--body TEXT`. */
export const bodyFlag: Flag.Flag<Option.Option<string>> = Flag.String("body").pipe(
  Flag.withMetavar("TEXT"),
  Flag.withDescription("Only jobs whose body contains this text"),
  Flag.optional
)

/** `--dry-run`. */
export const dryRun: Flag.Flag<boolean> = switchedOff(
  "dry-run",
  "Only print how many jobs there are, and change nothing"
)

/** `-n N`. */
export const countFlag = (description: string): Flag.Flag<Option.Option<number>> =>
  BoundedInt(Flag.String("count"), 1, Number.MAX_SAFE_INTEGER).pipe(
    Flag.withAlias("n"),
    Flag.withMetavar("N"),
    Flag.withDescription(description),
    Flag.optional
  )

/** The four states of a job. */
export const ALL_STATES: ReadonlyArray<JobState> = JobState.literals
