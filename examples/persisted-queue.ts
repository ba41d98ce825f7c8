/**
 * Effect's `PersistedQueue` on beanstalkd: an element that is offered is handled a moment later, whoever takes it; an id is
 * taken once; what failed for good is kept, with the reason.
 */
import { Console, Effect, Layer, Schedule, Schema } from "effect"
import { Claims, Client, PersistedQueueStore } from "effect-beanstalkd"
import { PersistedQueue } from "effect/persistence"
import { run } from "./support/run.ts"

const Queues = PersistedQueue.layer.pipe(
  Layer.provide(PersistedQueueStore.layer()),
  // Of this process alone. A service has Claims.layerRedis or Claims.layerSql.
  Layer.provide(Claims.layerMemory)
)

class NoSuchAddress extends Schema.TaggedError<NoSuchAddress>()("NoSuchAddress", { to: Schema.String }) {}

const program = Effect.gen(function*() {
  const emails = yield* PersistedQueue.make({
    name: "emails",
    schema: Schema.Struct({ to: Schema.String }),
    maxAttempts: 2,
    retrySchedule: Schedule.spaced(0)
  })

  const send = emails.take(({ to }, { attempts, id }) =>
    to === "nobody"
      ? Effect.andThen(Console.log(`attempt ${attempts} of ${id} failed`), Effect.fail(new NoSuchAddress({ to })))
      : Console.log(`sent ${id} to ${to}`)
  )

  yield* emails.offer({ to: "ada" }, { id: "welcome-1" })
  // The program was restarted, and does not know what it has done: the id says it.
  yield* emails.offer({ to: "ada" }, { id: "welcome-1" })
  yield* emails.offer({ to: "nobody" }, { id: "welcome-2" })
  yield* emails.offer({ to: "grace" }, { id: "welcome-3" })

  yield* send
  for (let attempt = 1; attempt <= 2; attempt++) yield* Effect.ignore(send)
  yield* send

  const beanstalkd = yield* Client.Beanstalkd
  const failed = yield* beanstalkd.peekReady("pq.emails.failed")
  const { attempts, id } = JSON.parse(failed.text)
  yield* Console.log(`failed for good: ${id}, after ${attempts} attempts`)
})

run(program.pipe(Effect.provide(Queues)))
