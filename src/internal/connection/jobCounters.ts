/**
 * `stats-job` for whoever holds a job: the few members that a worker has to know before each handler, read from the reply
 * without building the rest.
 */
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Protocol from "../../Protocol.ts"
import type { JobState, JobStats } from "../../Stats.ts"
import type { Command, ReplyCase, Request } from "../protocol/command.ts"
import { digitOf, isDigit, LINE_FEED } from "../protocol/documentBytes.ts"
import type { RawReply } from "../protocol/replyReader.ts"
import type { JobId } from "../protocol/scalars.ts"

/** What the server has counted about a job, and the terms of its lease. Times are in whole seconds. */
export type JobCounters = Pick<
  JobStats,
  "id" | "state" | "pri" | "age" | "delay" | "ttr" | "reserves" | "timeouts" | "releases" | "buries" | "kicks"
>

const { statsJob } = Protocol.commands

// The usual one first.
const STATES = ["reserved", "ready", "delayed", "buried"] as const

/**
 * Reads the members of one reply in the order of their lines. It is missing as soon as one line is not as it always is.
 */
class Reader {
  readonly #bytes: Uint8Array
  #at = 0
  isMissing = false

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.isMissing = !this.#skip("---\n")
  }

  /** Goes behind these characters, if they come next. */
  #skip(text: string): boolean {
    for (let i = 0; i < text.length; i++) {
      if (this.#bytes[this.#at + i] !== text.charCodeAt(i)) return false
    }
    this.#at += text.length
    return true
  }

  /** Goes to the value of this member: the next line that begins with its key, the colon and the space. */
  #goTo(key: string): void {
    const bytes = this.#bytes
    while (this.#at < bytes.length) {
      if (this.#skip(key)) return
      while (this.#at < bytes.length && bytes[this.#at] !== LINE_FEED) this.#at++
      this.#at++
    }
    this.isMissing = true
  }

  number(key: string): number {
    this.#goTo(key)
    const bytes = this.#bytes
    const start = this.#at
    let at = start
    let value = 0
    for (; isDigit(digitOf(bytes[at])); at++) value = value * 10 + digitOf(bytes[at])
    if (at === start || bytes[at] !== LINE_FEED) this.isMissing = true
    this.#at = at + 1
    return value
  }

  state(key: string): JobState | undefined {
    this.#goTo(key)
    return STATES.find((state) => this.#skip(`${state}\n`))
  }
}

// None if the reply is not what beanstalkd writes: then the Schema of the statistics says what it means.
const read = (reply: RawReply): JobCounters | undefined => {
  const [body] = reply.fields
  if (reply.fields.length !== 1 || !(body instanceof Uint8Array)) return undefined
  const reader = new Reader(body)
  const id = reader.number("id: ")
  const state = reader.state("state: ")
  const counters = {
    id: id as JobId,
    pri: reader.number("pri: "),
    age: reader.number("age: "),
    delay: reader.number("delay: "),
    ttr: reader.number("ttr: "),
    reserves: reader.number("reserves: "),
    timeouts: reader.number("timeouts: "),
    releases: reader.number("releases: "),
    buries: reader.number("buries: "),
    kicks: reader.number("kicks: ")
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
