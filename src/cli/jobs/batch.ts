/**
 * Batches of commands on one connection.
 *
 * A batch is not interruptible: it sends all its commands and awaits all their answers, so that later counts are exact.
 * Ctrl-C takes effect between batches.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Errors from "../../Errors.ts"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import { type Command, commands, type Success } from "../../Protocol.ts"
import type { JobId } from "../../internal/protocol/scalars.ts"

/** Sends a command once for each set of arguments, and returns the answers in that order. */
export const batch = <Args extends ReadonlyArray<unknown>, Invalid, A, E>(
  pipeline: Pipeline,
  command: Command<Args, Invalid, A, E>,
  all: ReadonlyArray<Args>
): Effect.Effect<ReadonlyArray<Exit.Exit<A, Invalid | E | Errors.BeanstalkdError>>> =>
  all.length === 0 ? Effect.succeed([]) : Effect.uninterruptible(Effect.callback((resume) => {
    const answers = Array.from<Exit.Exit<A, Invalid | E | Errors.BeanstalkdError>>({ length: all.length })
    let left = all.length
    for (const [i, args] of all.entries()) {
      pipeline.start(command, args, (answer) => {
        answers[i] = answer
        if (--left === 0) resume(Effect.succeed(answers))
      })
    }
  }))

/** The values of answers, or the first failure among them. */
export const values = <A, E>(answers: ReadonlyArray<Exit.Exit<A, E>>): Effect.Effect<ReadonlyArray<A>, E> =>
  Effect.forEach(answers, (answer) => answer)

/** Fails with the first failure among answers. A job that is not there is none. */
export const firstFailure = <A, E>(
  answers: ReadonlyArray<Exit.Exit<A, E>>
): Effect.Effect<void, Exclude<E, Errors.NotFound>> => {
  const failed = answers.find((answer) => Exit.isFailure(answer) && !isNotFound(answer))
  return failed === undefined ? Effect.void : Effect.asVoid(failed as Exit.Exit<A, Exclude<E, Errors.NotFound>>)
}

/** Whether a command found no such job. */
export const isNotFound = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && Cause.squash(exit.cause) instanceof Errors.NotFound

// No job is too large for the command line.
type Refusal = Errors.NotFound | Errors.ReplyTooLarge
type MayBeMissing<Args extends ReadonlyArray<unknown>, A> = Command<Args, Errors.InvalidArgument, A, Refusal>

type ReplyCase<A> = NonNullable<ReturnType<Command<never, unknown, A, never>["replies"]["get"]>>

// Most ids of a range belong to no job. Making an error for each of them would cost more than everything else.
const nothing: ReplyCase<undefined> = {
  fields: Schema.Tuple([]),
  decode: () => Result.succeed(Exit.succeed(undefined))
}

const orNothing = <Args extends ReadonlyArray<unknown>, A>(
  command: MayBeMissing<Args, A>
): Command<Args, Errors.InvalidArgument, A | undefined, never> => ({
  ...command,
  replies: new Map([
    ...command.replies as ReadonlyMap<string, ReplyCase<A>>,
    ["NOT_FOUND", nothing as ReplyCase<A | undefined>]
  ])
})

/** Commands that return `undefined` where there is no such job or tube. */
export const ifThere = {
  statsJob: orNothing<[id: JobId], Success<"statsJob">>(commands.statsJob),
  statsTube: orNothing<[tube: string], Success<"statsTube">>(commands.statsTube),
  reserveJob: orNothing<[id: JobId], Success<"reserveJob">>(commands.reserveJob),
  peek: orNothing<[id: JobId], Success<"peek">>(commands.peek),
  peekReady: orNothing<[tube?: string], Success<"peekReady">>(commands.peekReady),
  peekDelayed: orNothing<[tube?: string], Success<"peekDelayed">>(commands.peekDelayed),
  peekBuried: orNothing<[tube?: string], Success<"peekBuried">>(commands.peekBuried)
}
