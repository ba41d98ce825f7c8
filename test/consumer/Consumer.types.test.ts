/**
 * What streams and taken jobs need, give and fail with, as the compiler sees it.
 */
import { describe, expectTypeOf, it } from "@effect/vitest"
import type { Effect, Scope, Stream } from "effect"
import { type Client, Consumer, type Errors, type Job } from "effect-beanstalkd"

type Any = Errors.BeanstalkdError

declare const client: Client.Service

describe("the types of a consumer", () => {
  it("say that a stream gives jobs, and needs the client unless it is given one", () => {
    const stream = () => Consumer.stream("emails", { keepLeases: true })
    expectTypeOf(stream).returns.toEqualTypeOf<Stream.Stream<Job.Job, Any, Client.Beanstalkd>>()
    const ofAnother = () => Consumer.fromClient(client, ["emails", "reminders"])
    expectTypeOf(ofAnother).returns.toEqualTypeOf<Stream.Stream<Job.Job, Any>>()
  })

  it("say that taking a job can time out only with a timeout", () => {
    const forever = () => Consumer.take("emails", { onFailure: "bury" })
    expectTypeOf(forever).returns.toEqualTypeOf<
      Effect.Effect<Job.Job, Errors.ReplyTooLarge | Any, Client.Beanstalkd | Scope.Scope>
    >()
    const bounded = () => Consumer.take("emails", { timeout: "1 second" })
    expectTypeOf(bounded).returns.toEqualTypeOf<
      Effect.Effect<Job.Job, Errors.TimedOut | Errors.ReplyTooLarge | Any, Client.Beanstalkd | Scope.Scope>
    >()
    const ofAnother = () => Consumer.takeFrom(client, "emails")
    expectTypeOf(ofAnother).returns.toEqualTypeOf<Effect.Effect<Job.Job, Errors.ReplyTooLarge | Any, Scope.Scope>>()
    const boundedOfAnother = () => Consumer.takeFrom(client, "emails", { timeout: 0 })
    expectTypeOf(boundedOfAnother).returns.toEqualTypeOf<
      Effect.Effect<Job.Job, Errors.TimedOut | Errors.ReplyTooLarge | Any, Scope.Scope>
    >()
  })

  it("name the options that there are", () => {
    // @ts-expect-error of a stream it is called keepLeases
    const stream = () => Consumer.stream("emails", { keepAlive: true })
    // @ts-expect-error a job that its Scope ends with a failure is not deleted
    const take = () => Consumer.take("emails", { onFailure: "delete" })
    expectTypeOf(stream).toBeFunction()
    expectTypeOf(take).toBeFunction()
  })
})
