/**
 * A service of several servers behind the tag of the client: streams and workers take their jobs through `intake` alone, so
 * whoever implements that member can give them jobs of any servers.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { Client, Consumer, type Job, Server, Tube, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"

const Texts = Tube.make("texts", { codec: "text" })

/** Two clients as one service. Puts go to the first; jobs come from both, and never more than there is room for. */
const both = (left: Client.Service, right: Client.Service): Client.Service => ({
  ...left,
  intake: Effect.fnUntraced(function*(settings) {
    const intakes: Array<Client.Intake> = []
    const fill = () => intakes.forEach((intake) => intake.fill())
    // The room that a job of one server leaves is room for the jobs of the other as well.
    const onOver: typeof settings.onOver = (job) => {
      settings.onOver(job)
      fill()
    }
    for (const client of [left, right]) intakes.push(yield* client.intake({ ...settings, onOver }))
    return {
      get taken() {
        return intakes.reduce((sum, { taken }) => sum + taken, 0)
      },
      get asked() {
        return intakes.reduce((sum, { asked }) => sum + asked, 0)
      },
      fill,
      stop: () => intakes.forEach((intake) => intake.stop())
    }
  })
})

const open = Effect.gen(function*() {
  const clients: Array<Client.Service> = []
  for (const name of ["left", "right"]) {
    const server = yield* Server.makeMemory({ name })
    clients.push(yield* Client.make(server.clientOptions))
  }
  const [left, right] = clients as [Client.Service, Client.Service]
  for (const client of [left, right]) yield* client.putAll("texts", ["a", "b", "c", "d", "e"])
  return { left, right, service: both(left, right) }
})

const ALL = ["left", "right"].flatMap((server) => [1, 2, 3, 4, 5].map((id) => `${server}/${id}`))

const isEmpty = Effect.fnUntraced(function*(client: Client.Service) {
  const { currentJobsReady, currentJobsReserved } = yield* client.stats
  assert.deepStrictEqual([currentJobsReady, currentJobsReserved], [0, 0])
})

describe("a service of two servers", () => {
  it.effect("gives the jobs of both to a worker, which settles each where it is", () =>
    Effect.gen(function*() {
      const { left, right, service } = yield* open
      const refs: Array<string> = []
      let running = 0
      const handler = (_: string, job: Job.Job) =>
        Effect.gen(function*() {
          running++
          assert.isAtMost(running, 4)
          yield* Effect.sleep("1 second")
          running--
          refs.push(String(job.ref))
        })
      const worker = yield* Worker.run(Texts, handler, { concurrency: 4 }).pipe(
        Effect.provideService(Client.Beanstalkd, service),
        Effect.forkScoped
      )
      yield* TestClock.adjust("1 minute")
      assert.sameMembers(refs, ALL)
      for (const client of [left, right]) yield* isEmpty(client)
      yield* Fiber.interrupt(worker)
    }).pipe(Effect.scoped))

  it.effect("gives the jobs of both to a stream", () =>
    Effect.gen(function*() {
      const { left, right, service } = yield* open
      const refs = yield* Consumer.fromClient(service, "texts").pipe(
        Stream.mapEffect((job) => Effect.as(job.delete, String(job.ref))),
        Stream.take(10),
        Stream.runCollect
      )
      assert.sameMembers([...refs], ALL)
      for (const client of [left, right]) yield* isEmpty(client)
    }).pipe(Effect.scoped))
})
