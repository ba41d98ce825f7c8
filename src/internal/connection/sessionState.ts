/**
 * What the server keeps of one connection: the tube that it uses, the tubes that it watches, the jobs that it holds.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Errors from "../../Errors.ts"
import type { Answer, AnyCommand, Pending } from "./pendingCommand.ts"
import { commands, type Request } from "../../Protocol.ts"
import type { JobId } from "../protocol/scalars.ts"

/**
 * Whether a command ended with `NotFound`.
 */
export const isNotFound = (answer: Answer): boolean =>
  Exit.isFailure(answer) && Cause.squash(answer.cause) instanceof Errors.NotFound

/**
 * Whether a command ended with `JobBuried`.
 */
export const isBuried = (answer: Answer): boolean =>
  Exit.isFailure(answer) && Cause.squash(answer.cause) instanceof Errors.JobBuried

const endsLease: ReadonlySet<AnyCommand> = new Set<AnyCommand>([commands.delete, commands.release, commands.bury])

const asksForLease: ReadonlySet<AnyCommand> = new Set<AnyCommand>([commands.touch, commands.statsJob])

/**
 * The server's side of a connection, as far as the client must know it.
 */
export class Session {
  /** What the owner of the connection chose with `use`. */
  chosenTube = "default"
  /** What the server uses after all that has been sent. */
  #usedTube = "default"
  readonly #watched = new Set(["default"])
  readonly #held = new Set<JobId>()

  /** The tubes that it watches, according to the replies that have come. */
  get watched(): ReadonlySet<string> {
    return this.#watched
  }

  /** The jobs that it has reserved and, for all that is known, still holds. */
  get held(): ReadonlySet<JobId> {
    return this.#held
  }

  /** The tube that must be used before this request may leave, if it is not in use. The caller sends the `use`. */
  mustUse(command: AnyCommand, request: Request): string | undefined {
    if (command === commands.use) {
      this.chosenTube = this.#usedTube = request.tube ?? this.chosenTube
      return undefined
    }
    const tube = request.usesTube === true ? request.tube ?? this.chosenTube : this.#usedTube
    if (tube === this.#usedTube) return undefined
    this.#usedTube = tube
    return tube
  }

  /** Takes in how a command ended. */
  onAnswer({ command, request, reserved }: Pending, answer: Answer): void {
    if (reserved !== undefined) {
      this.#held.add(reserved)
    } else if (request.id !== undefined) {
      const isGone = endsLease.has(command) ? !isRefusal(answer) : asksForLease.has(command) && isNotFound(answer)
      if (isGone) this.#held.delete(request.id)
    } else if (request.tube !== undefined && Exit.isSuccess(answer)) {
      if (command === commands.watch) this.#watched.add(request.tube)
      else if (command === commands.ignore) this.#watched.delete(request.tube)
    }
  }
}

// INTERNAL_ERROR and its like: the command did nothing.
const isRefusal = (answer: Answer): boolean =>
  Exit.isFailure(answer) && Cause.squash(answer.cause) instanceof Errors.BeanstalkdError
