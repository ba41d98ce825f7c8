/**
 * A job that the same connection reserves again while the command that ends its first lease is on its way.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { Client, Worker } from "effect-beanstalkd"
import { says } from "../support/scripted/Peer.ts"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"
import { Texts } from "../support/Workplace.ts"

describe("the second lease of a job", () => {
  it.live("is lost with its connection, even if it came before the first one was settled", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.serve(() => {})
      const client = yield* Client.make({ port: server.port })
      const mayEnd = yield* Deferred.make<void>()
      const isWorking = yield* Deferred.make<void>()
      const isInterrupted = yield* Deferred.make<void>()
      let runs = 0
      const handler = Effect.suspend(() =>
        ++runs === 1
          ? Deferred.await(mayEnd)
          : Effect.andThen(Deferred.succeed(isWorking, undefined), Effect.never).pipe(
            Effect.onInterrupt(() => Deferred.succeed(isInterrupted, undefined))
          )
      )
      yield* Worker.run(Texts, () => handler, { concurrency: 3, crashGuard: false }).pipe(
        Effect.provideService(Client.Beanstalkd, client),
        Effect.forkScoped
      )
      const hearsOf = (line: string) => eventually(Effect.sync(() => assert.include(server.received(1), line)))
      yield* hearsOf("reserve-with-timeout 30\r\n")
      yield* says(server, "WATCHING 2\r\nWATCHING 1\r\nRESERVED 7 1\r\na\r\n", 1)
      yield* hearsOf("reserve-with-timeout 0\r\n")
      yield* Deferred.succeed(mayEnd, undefined)
      yield* hearsOf("delete 7\r\n")
      // The ttr had run out, so the server gave the job to the reserve that came before the delete.
      yield* says(server, "RESERVED 7 1\r\na\r\nDELETED\r\n", 1)
      yield* Deferred.await(isWorking)
      server.sockets[1]!.destroy()
      yield* Deferred.await(isInterrupted)
    }).pipe(Effect.scoped))
})
