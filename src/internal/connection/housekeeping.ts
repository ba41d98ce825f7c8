/**
 * The commands that the client issues for itself: to watch other tubes before a connection is lent, and to give back a
 * job that came for a fiber which is gone. If one of them fails, the connection cannot be trusted and is closed, which
 * makes the server take back its jobs and forget its tubes.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Errors from "../../Errors.ts"
import { commands } from "../../Protocol.ts"
import type { Command } from "../protocol/command.ts"
import type { JobId } from "../protocol/scalars.ts"
import type { Pipeline } from "./pipeline.ts"
import { isBuried, isNotFound } from "./pipelineState.ts"

const issue = <Args extends ReadonlyArray<unknown>, A, E>(
  pipeline: Pipeline,
  command: Command<Args, Errors.InvalidArgument, A, E>,
  args: Args,
  onSuccess: (value: A) => void,
  failure: string,
  onRefusal: (reason: Errors.BeanstalkdErrorReason) => void = () => {}
): void => {
  pipeline.start(command, args, (exit) => {
    if (Exit.isSuccess(exit)) return onSuccess(exit.value)
    // A job whose time has run out, or that the server could only bury, is not held by this connection any more.
    if (pipeline.death !== undefined || isNotFound(exit) || isBuried(exit)) return
    const error = Cause.squash(exit.cause)
    if (error instanceof Errors.BeanstalkdError) onRefusal(error.reason)
    pipeline.die(new Errors.ConnectionClosed({ detail: failure, cause: error }))
  })
}

/** Makes the server watch exactly these tubes for all commands that follow. `onRefusal` hears why it does not. */
export const watchOnly = (
  pipeline: Pipeline,
  tubes: ReadonlySet<string>,
  onRefusal?: (command: string, reason: Errors.BeanstalkdErrorReason) => void
): void => {
  const ask = (command: typeof commands.watch | typeof commands.ignore, tube: string) =>
    issue(
      pipeline,
      command,
      [tube],
      () => {},
      "its tubes could not be watched",
      (reason) => onRefusal?.(command.name, reason)
    )
  const { watched } = pipeline.session
  for (const tube of tubes) if (!watched.has(tube)) ask(commands.watch, tube)
  for (const tube of watched) if (!tubes.has(tube)) ask(commands.ignore, tube)
}

/** Releases a job that no fiber has, with its own priority. */
export const giveBack = (pipeline: Pipeline, id: JobId): void => {
  const failure = `job ${id}, which nobody waited for, could not be released`
  issue(pipeline, commands.statsJob, [id], ({ pri }) => {
    issue(pipeline, commands.release, [id, { priority: pri }], () => {}, failure)
  }, failure)
}
