/**
 * What the compiler promises to the author of a worker: what the handler gets, how the worker can fail, what it needs.
 */
import { describe, expectTypeOf, it } from "@effect/vitest"
import { type Cause, Context, Effect, Layer, Schedule, Schema, type Scope } from "effect"
import { type Client, type Errors, type Job, Tube, Worker } from "effect-beanstalkd"

type Any = Errors.BeanstalkdError

interface Email {
  readonly to: string
}

class Billing extends Context.Service<Billing, Client.Service>()("test/Billing") {}
class Smtp
  extends Context.Service<Smtp, { readonly send: (to: string) => Effect.Effect<void, Refused> }>()("test/Smtp")
{}
class Audit extends Context.Service<Audit, { readonly note: Effect.Effect<void> }>()("test/Audit") {}
class Refused extends Schema.TaggedError<Refused>()("Refused", { permanent: Schema.Boolean }) {}
class Offline extends Schema.TaggedError<Offline>()("Offline", {}) {}

const Emails = Tube.make("emails", { schema: Schema.Struct({ to: Schema.String }) })
const Invoices = Tube.make("invoices", { schema: Schema.Int, client: Billing })

const send = (email: Email) => Effect.flatMap(Smtp, ({ send }) => send(email.to))

describe("the type of a worker", () => {
  it("never ends well, fails only as any command can, and needs the client and what the handler needs", () => {
    const run = () => Worker.run(Emails, send)
    const idle = () => Worker.run(Emails, () => Effect.void)
    const dying = () => Worker.run(Emails, () => Effect.fail(new Offline()), { concurrency: 4 })
    expectTypeOf(run).returns.toEqualTypeOf<Effect.Effect<never, Any, Client.Beanstalkd | Smtp>>()
    expectTypeOf(idle).returns.toEqualTypeOf<Effect.Effect<never, Any, Client.Beanstalkd>>()
    expectTypeOf(dying).returns.toEqualTypeOf<Effect.Effect<never, Any, Client.Beanstalkd>>()
  })

  it("needs the client of the server on which its tube lives, and no other", () => {
    const run = () => Worker.run(Invoices, (amount) => Effect.log(amount))
    expectTypeOf(run).returns.toEqualTypeOf<Effect.Effect<never, Any, Billing>>()
    const layer = () => Worker.layer(Invoices, (amount) => Effect.log(amount))
    expectTypeOf(layer).returns.toEqualTypeOf<Layer.Layer<never, Any, Billing>>()
  })

  it("as a layer gives nothing, and needs no Scope", () => {
    const layer = () => Worker.layer(Emails, send, { maxAttempts: 3 })
    expectTypeOf(layer).returns.toEqualTypeOf<Layer.Layer<never, Any, Client.Beanstalkd | Smtp>>()
    const scoped = () => Worker.layer(Emails, () => Effect.flatMap(Effect.scope, () => Effect.void))
    expectTypeOf(scoped).returns.toEqualTypeOf<Layer.Layer<never, Any, Client.Beanstalkd>>()
    expectTypeOf(() => Layer.launch(layer())).returns.toEqualTypeOf<
      Effect.Effect<never, Any, Client.Beanstalkd | Smtp>
    >()
  })

  it("gives the handler the value and the job", () => {
    const run = () =>
      Worker.run(Emails, (value, job) => {
        expectTypeOf(value).toEqualTypeOf<Email>()
        expectTypeOf(job).toEqualTypeOf<Tube.TypedJob<Email>>()
        return job.delete
      })
    expectTypeOf(run).returns.toEqualTypeOf<Effect.Effect<never, Any, Client.Beanstalkd>>()
  })

  it("gives its options the errors of the handler, and its hooks may need something too", () => {
    const run = () =>
      Worker.run(Emails, (email) => Effect.andThen(send(email), Effect.fail(new Offline())), {
        retryIf: (error, job) => {
          expectTypeOf(error).toEqualTypeOf<Refused | Offline>()
          expectTypeOf(job).toEqualTypeOf<Tube.TypedJob<Email>>()
          return error._tag === "Offline" || !error.permanent
        },
        onFailure: (cause, job) => {
          expectTypeOf(cause).toEqualTypeOf<Cause.Cause<Refused | Offline>>()
          expectTypeOf(job).toEqualTypeOf<Tube.TypedJob<Email>>()
          return Effect.void
        },
        onGiveUp: (cause, job) => {
          expectTypeOf(cause).toEqualTypeOf<Cause.Cause<Refused | Offline | Errors.DecodeError>>()
          expectTypeOf(job).toEqualTypeOf<Job.Job>()
          return Effect.void
        },
        onLost: (job) => {
          expectTypeOf(job).toEqualTypeOf<Job.Job>()
          return Effect.void
        }
      })
    expectTypeOf(run).returns.toEqualTypeOf<Effect.Effect<never, Any, Client.Beanstalkd | Smtp>>()
    const audited = () =>
      Worker.run(Emails, () => Effect.void, { onLost: () => Effect.flatMap(Audit, ({ note }) => note) })
    expectTypeOf(audited).returns.toEqualTypeOf<Effect.Effect<never, Any, Client.Beanstalkd | Audit>>()
  })

  it("takes options that were made elsewhere, for its errors or for more", () => {
    const options: Worker.Options<Email, Refused, never> = { retryIf: (error) => !error.permanent }
    const wider: Worker.Options<Email, Refused | Offline, never> = { retrySchedule: Schedule.exponential("1 second") }
    const run = () => Worker.run(Emails, (email) => send(email), options)
    const generous = () => Worker.run(Emails, (email) => send(email), wider)
    expectTypeOf(run).returns.toEqualTypeOf<Effect.Effect<never, Any, Client.Beanstalkd | Smtp>>()
    expectTypeOf(generous).returns.toEqualTypeOf<Effect.Effect<never, Any, Client.Beanstalkd | Smtp>>()
  })

  it("does not take a policy for other errors, or a hook that can fail", () => {
    type Options = Worker.Options<Email, Refused, never>
    expectTypeOf<Worker.Options<Email, Refused | Offline, never>>().toExtend<Options>()
    expectTypeOf<Worker.Options<Email, Offline, never>>().not.toExtend<Options>()
    expectTypeOf<{ onLost: () => Effect.Effect<void> }>().toExtend<Options>()
    expectTypeOf<{ onLost: () => Effect.Effect<void, Refused> }>().not.toExtend<Options>()
  })

  it("takes undefined for every option", () => {
    type Options = Worker.Options<Email, Refused, Scope.Scope>
    expectTypeOf<{ [K in keyof Options]-?: undefined }>().toExtend<Options>()
  })
})
