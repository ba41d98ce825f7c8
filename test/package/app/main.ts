/**
 * An application with a client and a worker of a typed tube. `npm run check:package` compiles it against the packed package
 * and runs it on the real server.
 */
import { Client, Tube, Worker } from "effect-beanstalkd"
import * as Errors from "effect-beanstalkd/Errors"
import * as Config from "effect/Config"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

const Greetings = Tube.make("greetings", { schema: Schema.Struct({ to: Schema.String }) })

const client = Layer.unwrap(Effect.map(Config.String("BEANSTALKD_URL"), (url) => Client.layerUrl(url)))

const program = Effect.gen(function*() {
  const beanstalkd = yield* Client.Beanstalkd
  yield* beanstalkd.put("raw", "hello")
  const job = yield* beanstalkd.reserve("raw", { timeout: 0 })
  console.log(`client: ${job.text}`)
  yield* job.delete
  const nothing = yield* Effect.flip(beanstalkd.reserve("raw", { timeout: 0 }))
  console.log(`client: ${nothing instanceof Errors.TimedOut ? "no other job" : nothing.message}`)

  const greeted: Array<string> = []
  const isDone = yield* Deferred.make<void>()
  const worker = Worker.run(Greetings, ({ to }) =>
    Effect.suspend(() => {
      greeted.push(to)
      return greeted.length === 3 ? Deferred.succeed(isDone, undefined) : Effect.void
    }))
  yield* Effect.forEach(["world", "moon", "sun"], (to) => Greetings.put({ to }), { discard: true })
  yield* Effect.raceFirst(worker, Deferred.await(isDone))
  console.log(`worker: ${greeted.toSorted().join(", ")}`)
}).pipe(Effect.scoped, Effect.provide(client))

await Effect.runPromise(program)
