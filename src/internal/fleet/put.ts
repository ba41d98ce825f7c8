/**
 * Puts of a fleet: what becomes of a job that a server did not take.
 *
 * | what a server did | has it the job? | what follows |
 * | --- | --- | --- |
 * | took it | yes | done |
 * | `InvalidArgument`, `JobTooBig`, a refusal that is the same everywhere | no | fails |
 * | `Draining`, `OutOfMemory`, or it was gone before the put had left | no | the next server |
 * | `JobBuried` | yes | fails with it, and is put nowhere else |
 * | was lost after the put had left, or answered `INTERNAL_ERROR` | perhaps | fails, or by choice the next server |
 *
 * If no server takes it, the put waits for a change until its patience is over.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Body, PutOptions, Service } from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import { commands, type Failure } from "../../Protocol.ts"
import { putCommand } from "../client/putCommand.ts"
import { describeCause } from "../protocol/describe.ts"
import type { Pipeline } from "../connection/pipeline.ts"
import type { JobRef } from "../protocol/jobRef.ts"
import { encode } from "../protocol/requestWriter.ts"
import * as Validate from "../protocol/validate.ts"
import type { Member } from "./member.ts"
import type { Members } from "./members.ts"
import type { Placement } from "./placement.ts"
import type { Settings } from "./settings.ts"

type PutFailure = Failure<"put">

/** A put on its way through the fleet. */
interface Put {
  readonly tube: string
  readonly body: Body
  readonly options: PutOptions | undefined
  readonly key: string | undefined
  /** When its patience is over. */
  readonly until: number
  /** The connections that it was perhaps done on, which are asked no more. */
  readonly avoided: ReadonlyArray<Pipeline>
  /** A server may have it. */
  readonly isDoubtful: boolean
}

/** Where a put has gone. */
interface Place {
  readonly member: Member
  readonly pipeline: Pipeline | undefined
}

const NONE: ReadonlyArray<Pipeline> = []

/** What a failure on one server means for the put. */
type Meaning = "not done" | "perhaps done" | "final"

const meaningOf = (error: PutFailure): Meaning => {
  switch (error._tag) {
    case "Draining":
    case "OutOfMemory":
      return "not done"
    case "BeanstalkdError":
      if (!error.sent) return error.reason._tag === "InvalidOptions" ? "final" : "not done"
      return error.isRetryable || error.reason._tag === "UnexpectedReply" ? "perhaps done" : "final"
    default:
      return "final"
  }
}

// What the server's line needs is checked when it is made.
const readOptions = (
  tube: string,
  given: PutOptions | undefined
): PutOptions | undefined | Errors.InvalidArgument => {
  const name = tube === undefined ? Validate.tube("put", "tube", tube) : tube
  if (name instanceof Errors.InvalidArgument || given === undefined) return name instanceof Object ? name : undefined
  const options = Validate.snapshot("put", given, Validate.PUT_OPTIONS)
  if (options instanceof Errors.InvalidArgument) return options
  const key = Validate.optionalText("put", "key", options.key)
  return key instanceof Errors.InvalidArgument ? key : options
}

/** What a put needs to know of its fleet. */
type PutSettings = Pick<Settings, "ambiguous" | "patienceMillis" | "route">

/** Puts jobs on the servers of a fleet. */
class Putter {
  readonly #members: Members
  readonly #placement: Placement
  readonly #settings: PutSettings
  readonly #clock: Clock.Clock

  constructor(members: Members, placement: Placement, settings: PutSettings, clock: Clock.Clock) {
    this.#members = members
    this.#placement = placement
    this.#settings = settings
    this.#clock = clock
  }

  readonly put: Service["put"] = (tube, body, given) =>
    Effect.callback((resume) => {
      const options = readOptions(tube, given)
      if (options instanceof Errors.InvalidArgument) return resume(Effect.fail(options))
      const key = this.#keyOf(tube, options)
      if (key instanceof Errors.InvalidArgument) return resume(Effect.fail(key))
      const member = this.#placement.choose(key, NONE)
      if (member === undefined) return resume(this.#waitFirst(tube, body, options, key))
      const at: Place = { member, pipeline: member.pipeline }
      const abandon = member.put(tube, body, options, (exit) =>
        resume(Exit.isSuccess(exit) ? exit : this.#orElse(this.#begin(tube, body, options, key), at, exit)))
      if (member.load > 0) {
        this.#members.watch()
      }
      return abandon
    })

  #keyOf(tube: string, options: PutOptions | undefined): string | undefined | Errors.InvalidArgument {
    const { route } = this.#settings
    const key = options?.key
    if (key !== undefined || route === "spread") return key
    if (route === "tube") return tube
    try {
      return Validate.optionalText("put", "key", route({ tube, key }))
    } catch (thrown) {
      return Validate.refuse("put", "route", route, `a function that gives a key (${describeCause(thrown)})`)
    }
  }

  #begin(tube: string, body: Body, options: PutOptions | undefined, key: string | undefined): Put {
    const until = this.#clock.currentTimeMillisUnsafe() + this.#settings.patienceMillis
    return { tube, body, options, key, until, avoided: NONE, isDoubtful: false }
  }

  // A put that makes no sense fails at once, also while there is no server.
  #waitFirst(
    tube: string,
    body: Body,
    options: PutOptions | undefined,
    key: string | undefined
  ): Effect.Effect<JobRef, PutFailure> {
    const request = encode(putCommand, [body, options, tube])
    return request instanceof Errors.InvalidArgument
      ? Effect.fail(request)
      : this.#wait(this.#begin(tube, body, options, key))
  }

  #attempt(put: Put): Effect.Effect<JobRef, PutFailure> {
    return Effect.suspend(() => {
      if (this.#members.isClosed) return this.#noServer(put)
      const member = this.#placement.choose(put.key, put.avoided)
      if (member === undefined) return this.#wait(put)
      const { pipeline } = member
      return Effect.callback<JobRef, PutFailure>((resume) =>
        member.put(put.tube, put.body, put.options, (exit) => resume(this.#orElse(put, { member, pipeline }, exit)))
      )
    })
  }

  // For a change, which may be any: a server that is up again, one that has memory again, one that has joined.
  #wait(put: Put): Effect.Effect<JobRef, PutFailure> {
    return Effect.suspend(() => {
      const left = put.until - this.#clock.currentTimeMillisUnsafe()
      if (left <= 0 || this.#members.isClosed) return this.#noServer(put)
      for (const { parts } of this.#members.list) parts.shared.supervise()
      return Effect.matchEffect(Effect.timeout(this.#members.changed, left), {
        onFailure: () => this.#noServer(put),
        onSuccess: () => this.#attempt(put)
      })
    })
  }

  #orElse(put: Put, at: Place, exit: Exit.Exit<JobRef, PutFailure>): Effect.Effect<JobRef, PutFailure> {
    if (Exit.isSuccess(exit)) return exit
    const error = Exit.findErrorOption(exit)
    return error._tag === "None" ? exit : this.#afterFailure(put, at, error.value)
  }

  #afterFailure(put: Put, { member, pipeline }: Place, error: PutFailure): Effect.Effect<JobRef, PutFailure> {
    const meaning = meaningOf(error)
    if (error._tag === "Draining") member.onDraining()
    else if (error._tag === "OutOfMemory") member.onFull()
    if (meaning === "final" || (meaning === "perhaps done" && this.#settings.ambiguous === "fail")) {
      return fail(put, error)
    }
    if (meaning === "not done") return this.#attempt(put)
    const avoided = pipeline === undefined ? put.avoided : [...put.avoided, pipeline]
    return this.#attempt({ ...put, isDoubtful: true, avoided })
  }

  #noServer(put: Put): Effect.Effect<never, PutFailure> {
    const { names: server, noServer: reason } = this.#members
    return fail(put, new Errors.BeanstalkdError({ command: commands.put.name, server, sent: false, reason }))
  }
}

// If a server may have the job, nobody may hear that none has it.
const fail = (put: Put, error: PutFailure): Effect.Effect<never, PutFailure> => {
  if (!put.isDoubtful || error._tag !== "BeanstalkdError" || error.sent) return Effect.fail(error)
  const { command, reason, server } = error
  return Effect.fail(new Errors.BeanstalkdError({ command, server, sent: true, reason }))
}

/** The `put` of a fleet. */
export const makePut = (
  members: Members,
  placement: Placement,
  settings: PutSettings,
  clock: Clock.Clock
): Service["put"] => new Putter(members, placement, settings, clock).put
