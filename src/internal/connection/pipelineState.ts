/**
 * What a pipeline keeps: the commands on their way, and its mirror of what the server keeps of the connection.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Errors from "../../Errors.ts"
import { commands } from "../../Protocol.ts"
import type { JobState } from "../../Stats.ts"
import type { AnyCommand, Request } from "../protocol/command.ts"
import { sizeOf } from "../protocol/requestWriter.ts"
import type { JobId } from "../protocol/scalars.ts"
import { jobCounters } from "./jobCounters.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Commands on their way
// ---------------------------------------------------------------------------------------------------------------------

/** How a command ended. */
export type CommandExit = Exit.Exit<unknown, unknown>

/** A command between the fiber that issued it and the server. */
export class PendingCommand {
  readonly command: AnyCommand
  readonly request: Request
  /** Undefined once nobody waits for the exit. */
  resume: ((exit: CommandExit) => void) | undefined
  state: "queued" | "sent" | "answered" = "queued"
  /** The job that the reply brought, while no fiber is known to have it. */
  reserved: JobId | undefined
  previous: PendingCommand | undefined
  next: PendingCommand | undefined
  constructor(command: AnyCommand, request: Request, resume: ((exit: CommandExit) => void) | undefined) {
    this.command = command
    this.request = request
    this.resume = resume
  }
}

/** The error if the memory of a body was given away (or shrunk) since it was passed: its length is not what it was. */
export const changeOf = ({ command, request }: PendingCommand): Errors.InvalidArgument | undefined => {
  const { body, size } = request
  if (typeof body !== "object" || sizeOf(body) === size) return undefined
  const rule = `left alone until it has been sent: it had ${size} bytes when it was passed`
  return new Errors.InvalidArgument({ operation: command.name, argument: "body", value: body, rule })
}

/** Commands, first in, first out. A linked list, since a command that is withdrawn leaves from the middle. */
export class CommandQueue {
  head: PendingCommand | undefined
  tail: PendingCommand | undefined
  size = 0
  /** How many of them may wait. */
  #patient = 0

  /** Whether all of them may wait. */
  get mayWait(): boolean {
    return this.#patient === this.size
  }

  /** Adds a command, and gives it. */
  add(
    command: AnyCommand,
    request: Request,
    resume: ((exit: CommandExit) => void) | undefined
  ): PendingCommand {
    const pending = new PendingCommand(command, request, resume)
    this.#append(pending)
    return pending
  }

  /** Takes a command over from another queue. */
  takeOver(pending: PendingCommand, from: CommandQueue): void {
    from.remove(pending)
    this.#append(pending)
  }

  #append(pending: PendingCommand): void {
    pending.previous = this.tail
    if (this.tail === undefined) this.head = pending
    else this.tail.next = pending
    this.tail = pending
    this.size++
    if (pending.command.mayWait === true) this.#patient++
  }

  remove(pending: PendingCommand): void {
    if (pending.previous === undefined) this.head = pending.next
    else pending.previous.next = pending.next
    if (pending.next === undefined) this.tail = pending.previous
    else pending.next.previous = pending.previous
    pending.previous = pending.next = undefined
    this.size--
    if (pending.command.mayWait === true) this.#patient--
  }

  shift(): PendingCommand | undefined {
    const pending = this.head
    if (pending !== undefined) this.remove(pending)
    return pending
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// The session
// ---------------------------------------------------------------------------------------------------------------------

const failsWith = (exit: CommandExit, error: abstract new(...args: never) => unknown): boolean =>
  Exit.isFailure(exit) && Cause.squash(exit.cause) instanceof error

/** Whether a command ended with `NotFound`. */
export const isNotFound = (exit: CommandExit): boolean => failsWith(exit, Errors.NotFound)

/** Whether a command ended with `JobBuried`. */
export const isBuried = (exit: CommandExit): boolean => failsWith(exit, Errors.JobBuried)

// The server refused the command (INTERNAL_ERROR and the like), so the lease stands.
const isRefusal = (exit: CommandExit): boolean => failsWith(exit, Errors.BeanstalkdError)

// What `stats-job` tells of a job that nobody holds.
const isNotReserved = (exit: CommandExit): boolean => {
  if (Exit.isFailure(exit)) return false
  const state = (exit.value as { readonly state?: JobState } | undefined)?.state
  return state !== undefined && state !== "reserved"
}

const endsLease: ReadonlySet<AnyCommand> = new Set<AnyCommand>([commands.delete, commands.release, commands.bury])

const asksForLease: ReadonlySet<AnyCommand> = new Set<AnyCommand>([commands.touch, commands.statsJob, jobCounters])

/** The state that the server keeps of a connection: the tube that it uses, the tubes it watches, the jobs it holds. */
export class SessionState {
  /** The tube that the owner of the connection chose with `use`. */
  chosenTube = "default"
  /** The tube that the server uses once it has read all that has been sent. */
  #usedTube = "default"
  readonly #watched = new Set(["default"])
  readonly #held = new Set<JobId>()

  /** The tubes that it watches, by the replies that have come. */
  get watched(): ReadonlySet<string> {
    return this.#watched
  }

  /** The tube that it watches, if it is only one. */
  get onlyTube(): string | undefined {
    return this.#watched.size === 1 ? this.#watched.values().next().value : undefined
  }

  /** The jobs that it has reserved and, as far as the replies tell, still holds. */
  get held(): ReadonlySet<JobId> {
    return this.#held
  }

  /**
   * Switches to the tube that this request needs, since it leaves next. Returns the tube if the server uses another one
   * so far: then the caller sends a `use` first.
   */
  switchTube(command: AnyCommand, request: Request): string | undefined {
    if (command === commands.use) {
      this.chosenTube = this.#usedTube = request.tube ?? this.chosenTube
      return undefined
    }
    const tube = request.usesTube === true ? request.tube ?? this.chosenTube : this.#usedTube
    if (tube === this.#usedTube) return undefined
    this.#usedTube = tube
    return tube
  }

  /** Follows the server: a command has ended. */
  onReply({ command, request, reserved }: PendingCommand, exit: CommandExit): void {
    if (reserved !== undefined) {
      this.#held.add(reserved)
    } else if (request.id !== undefined) {
      const isGone = endsLease.has(command)
        ? !isRefusal(exit)
        : asksForLease.has(command) && (isNotFound(exit) || isNotReserved(exit))
      if (isGone) this.#held.delete(request.id)
    } else if (request.tube !== undefined && Exit.isSuccess(exit)) {
      if (command === commands.watch) this.#watched.add(request.tube)
      else if (command === commands.ignore) this.#watched.delete(request.tube)
    }
  }
}
