/**
 * A handler as the Effect that the worker runs for a job: its body decoded, with a Scope, a span and log annotations.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as Errors from "../../Errors.ts"
import type { Tube, TypedJob } from "../../Tube.ts"
import type { Handler } from "../../Worker.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import { DecodeFailure } from "./decodeFailure.ts"
import { isA } from "./directives.ts"
import type { HandlerFailure } from "./policy.ts"
import type { Settings } from "./settings.ts"

/** What a handler, or a hook, needs of its surroundings: each has a Scope of its own, which ends before its job is settled. */
export type Needs<R> = Exclude<R, Scope.Scope>

/** What is known about a job when one of its log lines is written. */
export const annotationsOf = (tube: string, job: ReservedJob): Record<string, unknown> => ({
  server: job.server,
  tube,
  job: job.id,
  ...(job.known === undefined ? {} : { attempt: job.known.reserves })
})

/** The job as hooks and the retry policy see it, once its body has been decoded. */
export const typed = <A>(job: ReservedJob): TypedJob<A> => job as unknown as TypedJob<A>

/** Makes the Effect for a job. */
export const make = <A, C, RD, RE, E, R>(
  tube: Tube<A, C, RD, RE>,
  handler: Handler<A, E, R>,
  { handleUndecodable }: Pick<Settings<A, E, R>, "handleUndecodable">
): (job: ReservedJob) => Effect.Effect<unknown, HandlerFailure<E>, Needs<R> | RD> => {
  const spanOptions = (job: ReservedJob): Tracer.SpanOptionsNoTrace => ({
    kind: "consumer",
    attributes: {
      "messaging.system.name": "beanstalkd",
      "messaging.operation.name": "process",
      "messaging.destination.name": tube.name,
      "messaging.message.id": String(job.id)
    }
  })

  // What `withSpan` and `annotateLogs` do, in one update instead of three: each costs as much as the rest of the job.
  const within = (job: ReservedJob, span: Tracer.Span) => (context: Context.Context<Needs<R> | RD>) => {
    const parent = Context.get(context, References.CurrentStackFrame)
    const logged = { ...Context.get(context, References.CurrentLogAnnotations), ...annotationsOf(tube.name, job) }
    return context.pipe(
      Context.add(References.CurrentStackFrame, { name: "process", stack: () => undefined, parent }),
      Context.add(References.CurrentLogAnnotations, logged),
      Context.add(Tracer.ParentSpan, span)
    )
  }

  const onUndecodable = (job: ReservedJob, error: Errors.DecodeError) =>
    handleUndecodable === undefined
      ? Effect.fail(new DecodeFailure(error))
      : Effect.mapError(
        Effect.scoped(handleUndecodable(error, job)),
        (failure) => isA(failure, Errors.DecodeError) ? new DecodeFailure(failure) : failure
      )

  return (job) =>
    Effect.matchEffect(tube.decode(job), {
      onFailure: (error): Effect.Effect<unknown, HandlerFailure<E>, Needs<R>> => onUndecodable(job, error),
      onSuccess: (value): Effect.Effect<unknown, HandlerFailure<E>, Needs<R>> =>
        Effect.scoped(handler(value, Object.assign(job, { value })))
    }).pipe(
      (handled) =>
        Effect.useSpan("process", spanOptions(job), (span) => Effect.updateContext(handled, within(job, span)))
    )
}
