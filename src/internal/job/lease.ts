/**
 * The lease of one reserved job: what may still be done with it, and how it ends. All of it is synchronous, below the
 * level of Effects, since every job passes through here.
 *
 * Who knows what about a job in hand, and when that changes:
 *
 * | where                       | knows                                  | changes                                                    |
 * | --------------------------- | -------------------------------------- | ---------------------------------------------------------- |
 * | the server                  | the truth                              | a command, the end of the ttr, the end of the connection   |
 * | `SessionState.held`         | what the connection holds, as answered | RESERVED; the answer to a settling command; any NOT_FOUND  |
 * | `Lease.state`               | what the handle may still do           | `settle`, the answer to it, `lose`                         |
 * | `Lease.known`               | the counters of the job                | once, with the first answer to a `stats-job`               |
 * | `FetchConnection.held`      | which jobs take room, by id            | the answer to a reserve; a settling command leaves; `onOver` |
 * | `FetchCounts` of a `Fetcher` | how many are in hand and asked for     | with each reserve, and with each change of `held`          |
 * | `LeaseKeeper`               | which jobs to touch, and when          | `add` of a new job, `remove` of one that is over or pulled |
 * | `Prefetcher` of a stream    | which jobs nobody has pulled yet       | `onJob`, a pull, `onOver`                                  |
 * | the worker's running jobs   | which handlers run, with or without it | the handler begins, `onOver`, the handler ends             |
 * | `Pool`, when it gets a connection back | whether a job was left on it | from `SessionState.held`, once                             |
 */
import * as Exit from "effect/Exit"
import * as Errors from "../../Errors.ts"
import * as Protocol from "../../Protocol.ts"
import { type JobCounters, jobCounters } from "../connection/jobCounters.ts"
import type { Pipeline } from "../connection/pipeline.ts"
import { encode } from "../protocol/requestWriter.ts"
import * as Validate from "../protocol/validate.ts"
import type { JobId } from "../protocol/scalars.ts"

/**
 * How far a lease has come. Of the four only `settling` can go back, to `held`, when the server refuses the command.
 *
 * - `held`: the job is in hand
 * - `settling`: a command that ends the lease is on its way, or what it needs to know is being asked for
 * - `settled`: that command was answered, or never will be, since its connection is gone
 * - `lost`: the ttr ran out, or the connection was lost, before anybody settled the job
 */
export type LeaseState = "held" | "settling" | "settled" | "lost"

/** How a lease was lost: its ttr ran out, or its connection ended. */
export type Loss = "expired" | "connection"

/** Hears what becomes of the jobs that it has reserved. */
export interface JobListener<in J> {
  /** The command that settles the job is on its way. Whatever is sent now on its connection comes behind it. */
  readonly onSettling?: ((job: J) => void) | undefined
  /** The server refused that command, so the job is still in hand. */
  readonly onRefused?: ((job: J) => void) | undefined
  /** The job is settled, or lost. */
  readonly onOver?: ((job: J) => void) | undefined
}

/** Where leases come from: what those of one connection have in common. */
export interface LeaseOrigin<in J> {
  readonly pipeline: Pipeline
  readonly listener: JobListener<J>
}

/** How a command ended that was sent without an Effect. */
export type CommandExit<A, E> = Exit.Exit<A, E | Errors.BeanstalkdError>

type Command<Args extends ReadonlyArray<unknown>, Invalid, E> = Protocol.Command<Args, Invalid, void, E>

type Ending<O, E> = Command<[id: JobId, options?: O | undefined], Errors.InvalidArgument, E>

export type { JobCounters }

const { commands } = Protocol

/**
 * The lease of a job. `J` is what listeners know the job as.
 */
export class Lease<J> {
  readonly received: Protocol.RawJob
  readonly #origin: LeaseOrigin<J>
  readonly #job: J
  #state: LeaseState = "held"
  #known: JobCounters | undefined
  #loss: Loss | undefined
  #settledBy: string | undefined
  /** What is called at its end: mostly nothing, or one function. */
  #hook: (() => void) | undefined
  #moreHooks: Set<() => void> | undefined

  constructor(received: Protocol.RawJob, origin: LeaseOrigin<J>, job: J) {
    this.received = received
    this.#origin = origin
    this.#job = job
  }

  /** How far it has come. */
  get state(): LeaseState {
    return this.#state
  }

  /** How the lease was lost, if it was. */
  get loss(): Loss | undefined {
    return this.#loss
  }

  /** The name of the command that settles it, or did. */
  get settledBy(): string | undefined {
    return this.#settledBy
  }

  /** The counters of the job, if anybody has asked for them. */
  get known(): JobCounters | undefined {
    return this.#known
  }

  /** Keeps the first counters that come: they are those of this lease, unless they tell that it is over. */
  know(counters: JobCounters): void {
    this.#known ??= counters
    if (counters.state !== "reserved") this.lose("expired")
  }

  /**
   * Asks for the counters of the job on its own connection. Where they tell that nobody holds the job, the lease is over,
   * and the counters are no longer its own.
   */
  inspect(resume: (exit: CommandExit<JobCounters, Protocol.Failure<"statsJob">>) => void): void {
    this.#origin.pipeline.start(jobCounters, [this.received.id], (exit) => {
      if (Exit.isFailure(exit)) return resume(exit)
      this.know(exit.value)
      resume(exit.value.state === "reserved" ? exit : this.gone(jobCounters.name))
    })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Its end
  // -------------------------------------------------------------------------------------------------------------------

  /** Calls `hook` when the lease is settled or lost, at once if it is. Returns a function that forgets the hook. */
  whenOver(hook: () => void): () => void {
    if (this.#state === "settled" || this.#state === "lost") {
      hook()
      return () => {}
    }
    if (this.#hook === undefined) {
      this.#hook = hook
      return () => {
        if (this.#hook === hook) this.#hook = undefined
      }
    }
    const more = this.#moreHooks ??= new Set()
    more.add(hook)
    return () => more.delete(hook)
  }

  /**
   * The ttr has run out, or the connection is gone. Without this, what the handle is told from now on would happen to the
   * next lease of the job.
   */
  lose(loss: Loss): void {
    if (this.#state !== "held") return
    this.#loss = loss
    this.#end("lost")
  }

  /** Ends the lease with this command, unless it is over, and calls `resume` once. */
  settle<Args extends ReadonlyArray<unknown>, Invalid, E>(
    command: Command<Args, Invalid, E>,
    args: Args,
    resume: (exit: CommandExit<void, Invalid | E | Errors.NotFound>) => void
  ): void {
    if (this.#state !== "held") return resume(this.gone(command.name))
    this.#begin(command.name)
    this.#send(command, args, resume)
  }

  /** Releases the job. Without a priority it keeps its own. */
  release(
    options: Protocol.ReleaseOptions,
    resume: (exit: CommandExit<void, Protocol.Failure<"release">>) => void
  ): void {
    this.#settleWithPriority<Protocol.ReleaseOptions, Protocol.Failure<"release">>(
      commands.release,
      options,
      ["priority", "delay"],
      resume
    )
  }

  /** Buries the job. Without a priority it keeps its own. */
  bury(options: Protocol.BuryOptions, resume: (exit: CommandExit<void, Protocol.Failure<"bury">>) => void): void {
    this.#settleWithPriority<Protocol.BuryOptions, Protocol.Failure<"bury">>(
      commands.bury,
      options,
      ["priority"],
      resume
    )
  }

  /** What a command hears that comes after the end of the lease. The server hears nothing of it. */
  gone(command: string): Exit.Exit<never, Errors.NotFound> {
    const { server } = this.#origin.pipeline
    const detail = "this handle of it was settled, or its time ran out"
    return Exit.fail(new Errors.NotFound({ command, server, id: this.received.id, detail }))
  }

  // The protocol has no "as it is": the job's own priority has to be asked for. Everything else is checked before that.
  #settleWithPriority<O extends Protocol.BuryOptions, E>(
    command: Ending<O, E>,
    options: O,
    names: ReadonlyArray<keyof O>,
    resume: (exit: CommandExit<void, Errors.InvalidArgument | Errors.NotFound | E>) => void
  ): void {
    const checked = Validate.snapshot(command.name, options, names)
    if (this.#state !== "held") return resume(this.gone(command.name))
    if (checked instanceof Errors.InvalidArgument) return resume(Exit.fail(checked))
    const request = encode(command, [this.received.id, checked as O])
    if (request instanceof Errors.InvalidArgument) return resume(Exit.fail(request))
    this.#begin(command.name)
    const send = (priority: number) => this.#send(command, [this.received.id, { ...checked as O, priority }], resume)
    const priority = checked.priority ?? this.#known?.pri
    if (priority !== undefined) return send(priority)
    this.inspect((exit) => {
      if (Exit.isSuccess(exit)) return send(exit.value.pri)
      this.#onSettleExit(Exit.failCause(exit.cause), resume)
    })
  }

  #begin(command: string): void {
    this.#state = "settling"
    this.#settledBy = command
  }

  #send<Args extends ReadonlyArray<unknown>, Invalid, E>(
    command: Command<Args, Invalid, E>,
    args: Args,
    resume: (exit: CommandExit<void, Invalid | E>) => void
  ): void {
    this.#origin.pipeline.start(command, args, (exit) => this.#onSettleExit(exit, resume))
    this.#origin.listener.onSettling?.(this.#job)
  }

  #onSettleExit<E>(exit: CommandExit<void, E>, resume: (exit: CommandExit<void, E>) => void): void {
    const { death, session } = this.#origin.pipeline
    if (death === undefined && session.held.has(this.received.id)) {
      // Refused: the job can be settled again, and the end of its Scope still takes care of it.
      this.#state = "held"
      this.#origin.listener.onRefused?.(this.#job)
    } else {
      this.#end("settled")
    }
    resume(exit)
  }

  #end(state: "settled" | "lost"): void {
    this.#state = state
    this.#origin.listener.onOver?.(this.#job)
    this.#hook?.()
    this.#moreHooks?.forEach((hook) => hook())
  }
}
