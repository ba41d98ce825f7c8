/**
 * A service that does nothing but work on jobs, until it is told to end. On SIGTERM or Ctrl-C it takes no more jobs; what
 * runs may end within the grace, and what does not is interrupted and ready again for others.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Layer, Schedule, Schema } from "effect"
import { Tube, Worker } from "effect-beanstalkd"
import { client } from "./support/run.ts"

const Emails = Tube.make("emails", {
  schema: Schema.Struct({ to: Schema.String, text: Schema.String }),
  ttr: "1 minute"
})

class MailError extends Schema.TaggedError<MailError>()("MailError", { to: Schema.String }) {}

class Mailer extends Context.Service<Mailer, {
  readonly send: (to: string, text: string) => Effect.Effect<void, MailError>
}>()("example/Mailer") {
  static readonly layer = Layer.succeed(Mailer, {
    send: (to) =>
      Effect.gen(function*() {
        yield* Console.log(`sending to ${to}`)
        yield* Effect.sleep("1 second")
        yield* Console.log(`sent to ${to}`)
      })
  })
}

const EmailWorker = Worker.layer(
  Emails,
  ({ text, to }) =>
    Effect.flatMap(Mailer, (mailer) => mailer.send(to, text)).pipe(
      // A job is touched for as long as its handler runs, so a handler that may hang needs an end of its own.
      Effect.timeout("5 minutes")
    ),
  {
    concurrency: 2,
    retrySchedule: Schedule.exponential("5 seconds"),
    maxAttempts: 5,
    // Less than what the process is given before it is killed: 30 seconds in Kubernetes.
    shutdownTimeout: "20 seconds"
  }
)

// Something to do; in production somebody else puts it.
const Producer = Layer.effectDiscard(
  Emails.putAll(["ada@example.org", "grace@example.org", "edsger@example.org"].map((to) => ({ to, text: "hello" })))
)

// In production: Client.layer({ host: "queue.internal" }), or Client.layerConfig
Layer.mergeAll(EmailWorker, Producer).pipe(
  Layer.provide(Mailer.layer),
  Layer.provide(client),
  Layer.launch,
  NodeRuntime.runMain
)
