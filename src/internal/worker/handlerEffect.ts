/**
 * A handler as the Effect that the worker runs for a job: its body decoded, with a Scope, a span and log annotations.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as Errors from "../../Errors.ts"
import type { Tube, TypedJob } from "../../Tube.ts"
import type { Handler } from "../../Worker.ts"
import type { Opened } from "../envelope/line.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import { type JobRecorder, waitOf } from "../telemetry/jobRecorder.ts"
import * as Spans from "../telemetry/spans.ts"
import { bodiesOf } from "../tube/prototype.ts"
import { DecodeFailure } from "./decodeFailure.ts"
import { isA } from "./directives.ts"
import { Expired } from "./expired.ts"
import * as JobSpan from "./jobSpan.ts"
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
  { handleUndecodable }: Pick<Settings<A, E, R>, "handleUndecodable">,
  recorderOf: (job: ReservedJob) => JobRecorder
): (job: ReservedJob) => Effect.Effect<unknown, HandlerFailure<E>, Needs<R> | RD> => {
  type Handled = Effect.Effect<unknown, HandlerFailure<E>, Needs<R> | RD>

  const bodies = bodiesOf(tube)
  const relation = bodies.envelope?.trace ?? "none"
  const name = `process ${tube.name}`

  // What `withSpan` and `annotateLogs` do, in one update instead of three: each costs as much as the rest of the job.
  const within = (handled: Handled, job: ReservedJob, span: Tracer.AnySpan | undefined): Handled =>
    Effect.updateContext(handled, (context: Context.Context<Needs<R> | RD>) => {
      const parent = Context.get(context, References.CurrentStackFrame)
      const logged = { ...Context.get(context, References.CurrentLogAnnotations), ...annotationsOf(tube.name, job) }
      const own = context.pipe(
        Context.add(References.CurrentStackFrame, { name, stack: () => undefined, parent }),
        Context.add(References.CurrentLogAnnotations, logged)
      )
      return span === undefined ? own : Context.add(own, Tracer.ParentSpan, span)
    })

  const onUndecodable = (job: ReservedJob, error: Errors.DecodeError): Handled =>
    handleUndecodable === undefined
      ? Effect.fail(new DecodeFailure(error))
      : Effect.mapError(
        Effect.scoped(handleUndecodable(error, job)),
        (failure) => isA(failure, Errors.DecodeError) ? new DecodeFailure(failure) : failure
      )

  const handle = (job: ReservedJob, opened: Opened): Handled =>
    Effect.matchEffect(bodies.decode(job, opened), {
      // What the envelope says about attempts holds for what cannot be decoded too.
      onFailure: (error) => onUndecodable(Object.assign(job, { envelope: opened.head }), error),
      onSuccess: (value): Handled => Effect.scoped(handler(value, Object.assign(job, { value, envelope: opened.head })))
    })

  const handledBy = (job: ReservedJob, opened: Opened | Errors.DecodeError, now: number): Handled => {
    if (opened instanceof Errors.DecodeError) return onUndecodable(job, opened)
    const { exp } = opened.head ?? {}
    return exp !== undefined && exp <= now ? Effect.fail(new Expired(exp)) : handle(job, opened)
  }

  return (job) =>
    Effect.withFiber((fiber) => {
      const opened = bodies.open(job)
      const head = opened instanceof Errors.DecodeError ? undefined : opened.head
      const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
      const waitedMillis = waitOf(job.known, head, now)
      if (waitedMillis !== undefined) recorderOf(job).waited(waitedMillis)
      const handled = handledBy(job, opened, now)
      const creation = JobSpan.creationOf(head, relation)
      // Without a tracer, what the handler puts still belongs to the trace that its job came with.
      if (!Spans.isTraced(fiber)) return within(handled, job, relation === "parent" ? creation : undefined)
      const delivery = { tube: tube.name, job, head, waitedMillis }
      return JobSpan.inSpan(delivery, JobSpan.place(creation, relation), (span) => within(handled, job, span))
    })
}
