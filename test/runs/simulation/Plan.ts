/**
 * The plan of a run, drawn from the seed: the programs, their options, and the rate of faults.
 */
import * as Duration from "effect/Duration"
import * as Schedule from "effect/Schedule"
import type { Dice } from "../../conformance/Dice.ts"

/** The errors of handlers. */
export type Failure = "again" | "never" | `later ${number}`

/** When a failed job is tried again. */
export interface Retry {
  /** Undefined for the default of the worker. */
  readonly schedule: Schedule.Schedule<unknown, Failure> | undefined
  /** The same delays in seconds, by the number of the attempt: the shortest and the longest. */
  readonly delay: (attempt: number) => readonly [from: number, to: number]
}

const exactly = (seconds: number): readonly [number, number] => [seconds, seconds]

const RETRIES: ReadonlyArray<Retry> = [
  { schedule: Schedule.exponential("1 second"), delay: (attempt) => exactly(2 ** (attempt - 1)) },
  { schedule: Schedule.spaced("1500 millis"), delay: () => exactly(2) },
  {
    schedule: Schedule.exponential("700 millis", 1.5),
    delay: (attempt) => exactly(Math.ceil(0.7 * 1.5 ** (attempt - 1)))
  },
  { schedule: undefined, delay: (attempt) => [1, 2 ** (attempt - 1)] }
]

/** A tube with workers. */
export interface Worked {
  readonly tube: string
  readonly workers: number
  readonly concurrency: number
  readonly maxConnections: number
  readonly maxAttempts: number
  readonly maxCrashes: number
  readonly isolateSuspects: boolean
  readonly crashGuard: boolean
  readonly onDefect: "retry" | "bury"
  readonly onUndecodable: "giveUp" | "retry"
  readonly deadLetter: string | undefined
  readonly shutdownSeconds: number
  readonly retry: Retry
}

/** A tube that is read as a stream. */
export interface Streamed {
  readonly tube: string
  readonly prefetch: number
  readonly maxInFlight: number
  readonly maxConnections: number
  readonly keepLeases: boolean
  readonly hands: number
}

/** A run. */
export interface Plan {
  readonly seconds: number
  /** How many faults per second. 0 is a calm run, in which no command may fail. */
  readonly faults: number
  /** What happens on a calm day: programs are told to end, or the server refuses commands. */
  readonly calm: "nothing" | "restarts" | "refusals"
  /** After how many seconds of silence a proxy before the workers cuts a connection. */
  readonly silenceSeconds: number | undefined
  /** The probability that a command is interrupted. */
  readonly interruptions: number
  readonly commandTimeout: Duration.Duration
  /** The largest body that workers and streams accept, in bytes. */
  readonly maxReplySize: number
  readonly poolConnections: number
  readonly producers: number
  readonly putsPerProducer: number
  readonly worked: ReadonlyArray<Worked>
  readonly streamed: Streamed | undefined
  /** Tubes from which fibers reserve one job at a time, and the number of these fibers. */
  readonly plain: { readonly tubes: ReadonlyArray<string>; readonly hands: number } | undefined
  readonly admins: number
  /** Whether the values of workers travel in envelopes; what is put as text never does. */
  readonly isEnclosed: boolean
}

// What is touched every 2 seconds is not silent for so long, even if the clock jumps.
const SILENCE_SECONDS = 6

/** How often workers touch their jobs at least. */
export const TOUCH_INTERVAL = Duration.seconds(2)

const workedOf = (dice: Dice, tube: string): Worked => {
  const maxAttempts = dice.one([2, 3, 4])
  return {
    tube,
    workers: dice.int(1, 2),
    concurrency: dice.one([1, 2, 3, 8]),
    maxConnections: dice.one([1, 2, 8]),
    maxAttempts,
    maxCrashes: dice.one([1, 2, 3]),
    isolateSuspects: dice.chance(0.8),
    crashGuard: dice.chance(0.7),
    onDefect: dice.chance(0.7) ? "retry" : "bury",
    onUndecodable: dice.chance(0.7) ? "giveUp" : "retry",
    deadLetter: dice.chance(0.4) ? `${tube}.dead` : undefined,
    shutdownSeconds: dice.int(0, 4),
    retry: dice.one(RETRIES)
  }
}

/** Draws a plan. */
export const planOf = (dice: Dice): Plan => {
  const isCalm = dice.chance(0.15)
  const tubes = dice.chance(0.3) ? ["work-a", "work-b"] : ["work-a"]
  return {
    seconds: dice.int(4, 20),
    faults: isCalm ? 0 : dice.one([0.2, 0.5, 1, 3]),
    calm: isCalm ? dice.one(["nothing", "restarts", "restarts", "refusals"]) : "nothing",
    silenceSeconds: dice.chance(isCalm ? 0.4 : 0.1) ? SILENCE_SECONDS : undefined,
    interruptions: isCalm ? 0 : dice.one([0, 0.1, 0.4]),
    commandTimeout: Duration.seconds(dice.int(2, 10)),
    maxReplySize: dice.chance(0.3) ? 4000 : 64 * 1024 * 1024,
    poolConnections: isCalm ? 4 : dice.int(1, 4),
    producers: dice.int(1, 2),
    putsPerProducer: dice.int(4, 16),
    worked: tubes.map((tube) => workedOf(dice, tube)),
    streamed: dice.chance(0.4)
      ? {
        tube: "stream",
        prefetch: dice.one([1, 2, 16]),
        maxInFlight: dice.one([1, 2, 5, 20]),
        maxConnections: dice.one([1, 2, 8]),
        keepLeases: dice.chance(0.5),
        hands: dice.one([1, 2, 5])
      }
      : undefined,
    plain: dice.chance(0.4)
      ? { tubes: dice.chance(0.5) ? ["plain-a", "plain-b"] : ["plain-a"], hands: dice.int(1, 3) }
      : undefined,
    admins: dice.int(0, 1),
    isEnclosed: dice.chance(0.4)
  }
}

/** All tubes into which jobs are put. */
export const tubesOf = ({ plain, streamed, worked }: Plan): ReadonlyArray<string> => [
  ...worked.map(({ tube }) => tube),
  ...(streamed === undefined ? [] : [streamed.tube]),
  ...(plain?.tubes ?? [])
]
