/**
 * A job that the same connection reserves again while the command that ends its first lease is on its way.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { Client, type Job, Worker } from "effect-beanstalkd"
import { says } from "../support/scripted/Peer.ts"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"
import { Texts } from "../support/Workplace.ts"

const STATS = "---\nid: 7\ntube: texts\nstate: reserved\npri: 0\nage: 9\ndelay: 0\nttr: 1\ntime-left: 0\nfile: 0\n" +
  "reserves: 2\ntimeouts: 1\nreleases: 0\nburies: 0\nkicks: 0\n"

describe("the second lease of a job", () => {
  it.live("is lost with its connection, even if it came before the first one was settled", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.serve(() => {})
      const client = yield* Client.make({ port: server.port })
      const mayEnd = yield* Deferred.make<void>()
      const isWorking = yield* Deferred.make<void>()
      const isInterrupted = yield* Deferred.make<void>()
      let runs = 0
      const handler = (job: Job.Job) =>
        Effect.suspend(() =>
          ++runs === 1
            ? Effect.andThen(Deferred.await(mayEnd), job.bury({ priority: 0 }))
            : Effect.andThen(Deferred.succeed(isWorking, undefined), Effect.never).pipe(
              Effect.onInterrupt(() => Deferred.succeed(isInterrupted, undefined))
            )
        )
      yield* Worker.run(Texts, (_, job) => handler(job), { concurrency: 3, crashGuard: false }).pipe(
        Effect.provideService(Client.Beanstalkd, client),
        Effect.forkScoped
      )
      const hearsOf = (line: string) => eventually(Effect.sync(() => assert.include(server.received(1), line)))
      yield* hearsOf("reserve-with-timeout 30\r\n")
      yield* says(server, "WATCHING 2\r\nWATCHING 1\r\nRESERVED 7 1\r\na\r\n", 1)
      yield* hearsOf("reserve-with-timeout 0\r\n")
      yield* Deferred.succeed(mayEnd, undefined)
      yield* hearsOf("bury 7 0\r\n")
      // The ttr had run out, so the server gave the job to the reserve that came before the bury.
      yield* says(server, "RESERVED 7 1\r\na\r\nBURIED\r\n", 1)
      yield* Deferred.await(isWorking)
      server.sockets[1]!.destroy()
      yield* Deferred.await(isInterrupted)
    }).pipe(Effect.scoped))

  it.live("is not run on another connection while the first one is being deleted: the work is done", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.serve(() => {})
      const client = yield* Client.make({ port: server.port })
      const mayEnd = yield* Deferred.make<void>()
      let runs = 0
      const handler = Effect.andThen(Effect.sync(() => ++runs), Deferred.await(mayEnd))
      yield* Worker.run(Texts, () => handler, { concurrency: 2, crashGuard: false }).pipe(
        Effect.provideService(Client.Beanstalkd, client),
        Effect.forkScoped
      )
      const hearsOf = (line: string, conn: number) =>
        eventually(Effect.sync(() => assert.include(server.received(conn), line)))
      yield* hearsOf("reserve-with-timeout 30\r\n", 1)
      yield* says(server, "WATCHING 2\r\nWATCHING 1\r\nRESERVED 7 1\r\na\r\n", 1)
      yield* hearsOf("reserve-with-timeout 0\r\n", 1)
      yield* says(server, "TIMED_OUT\r\n", 1)
      yield* hearsOf("reserve-with-timeout 30\r\n", 2)
      yield* Deferred.succeed(mayEnd, undefined)
      yield* hearsOf("delete 7\r\n", 1)
      // The server is not heard any more on the first connection, and the ttr is over.
      yield* says(server, "WATCHING 2\r\nWATCHING 1\r\nRESERVED 7 1\r\na\r\n", 2)
      yield* hearsOf("stats-job 7\r\n", 2)
      yield* says(server, `OK ${STATS.length}\r\n${STATS}\r\n`, 2)
      yield* hearsOf("delete 7\r\n", 2)
      assert.strictEqual(runs, 1)
      yield* says(server, "NOT_FOUND\r\n", 1)
      yield* says(server, "DELETED\r\n", 2)
    }).pipe(Effect.scoped))
})
