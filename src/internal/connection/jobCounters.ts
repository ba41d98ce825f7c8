/**
 * `stats-job` for whoever holds a job: the few members that a worker has to know before each handler, read from the reply
 * without building the rest.
 */
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Protocol from "../../Protocol.ts"
import type { JobState, JobStats } from "../../Stats.ts"
import type { Command, ReplyCase, Request } from "../protocol/command.ts"
import { type RawReply, utf8 } from "../protocol/replyReader.ts"
import type { JobId } from "../protocol/scalars.ts"

/** What the server has counted about a job, and the terms of its lease. Times are in whole seconds. */
export type JobCounters = Pick<
  JobStats,
  "id" | "state" | "pri" | "age" | "ttr" | "reserves" | "timeouts" | "releases" | "buries" | "kicks"
>

const { statsJob } = Protocol.commands

const ZERO = 48
const LINE_FEED = 10

const isDigit = (code: number): boolean => code >= ZERO && code < ZERO + 10

/** Reads the members of one reply in the order of their lines. It is missing as soon as one line is not as it always is. */
class Reader {
  readonly #text: string
  #at = 0
  isMissing = false

  constructor(text: string) {
    this.#text = text
    this.isMissing = !text.startsWith("---\n")
  }

  /**
   * Goes to the value of this member: `key` with the line feed before it, and the colon and the space behind it. Where it is
   * missing, the reader stays behind the value before, where it finds none.
   */
  #goTo(key: string): void {
    const found = this.#text.indexOf(key, this.#at)
    if (found !== -1) this.#at = found + key.length
  }

  number(key: string): number {
    this.#goTo(key)
    let value = 0
    const start = this.#at
    while (isDigit(this.#text.charCodeAt(this.#at))) value = value * 10 + this.#text.charCodeAt(this.#at++) - ZERO
    if (this.#at === start || this.#text.charCodeAt(this.#at) !== LINE_FEED) this.isMissing = true
    return value
  }

  state(key: string): JobState | undefined {
    this.#goTo(key)
    const state = this.#text.slice(this.#at, this.#text.indexOf("\n", this.#at))
    return state === "reserved" || state === "ready" || state === "delayed" || state === "buried" ? state : undefined
  }
}

// None if the reply is not what beanstalkd writes: then the Schema of the statistics says what it means.
const read = (reply: RawReply): JobCounters | undefined => {
  const [body] = reply.fields
  if (reply.fields.length !== 1 || !(body instanceof Uint8Array)) return undefined
  const reader = new Reader(utf8.decode(body))
  const id = reader.number("\nid: ")
  const state = reader.state("\nstate: ")
  const counters = {
    id: id as JobId,
    pri: reader.number("\npri: "),
    age: reader.number("\nage: "),
    ttr: reader.number("\nttr: "),
    reserves: reader.number("\nreserves: "),
    timeouts: reader.number("\ntimeouts: "),
    releases: reader.number("\nreleases: "),
    buries: reader.number("\nburies: "),
    kicks: reader.number("\nkicks: ")
  }
  return reader.isMissing || state === undefined || id < 1 ? undefined : { ...counters, state }
}

const inFull = statsJob.replies.get("OK")!

const OK: ReplyCase<JobCounters, unknown> = {
  fields: inFull.fields,
  decode: (reply: RawReply, request: Request, server: string) => {
    const counters = read(reply)
    return counters === undefined ? inFull.decode(reply, request, server) : Result.succeed(Exit.succeed(counters))
  }
}

type WithCounters<C> = C extends Command<infer Args, infer Invalid, JobStats, infer E>
  ? Command<Args, Invalid, JobCounters, E>
  : never

/** The row of `stats-job` in the table, with the {@link JobCounters} for its value. */
export const jobCounters = {
  ...statsJob,
  replies: new Map<string, unknown>([...statsJob.replies, ["OK", OK]]),
  // A worker that takes jobs fast asks for each: in writes of their own, the questions would cost as much as the jobs.
  mayWait: true
} as unknown as WithCounters<typeof statsJob>
