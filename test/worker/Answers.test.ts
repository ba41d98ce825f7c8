/**
 * How a worker reacts to what the server says of a lease. The server is scripted.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Latch } from "effect"
import { Client, Worker } from "effect-beanstalkd"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"
import { silently, Texts } from "../support/Workplace.ts"

const RESERVE = "reserve-with-timeout 30\r\n"
const ASK = "reserve-with-timeout 0\r\n"
const HELLO = "RESERVED 1 5\r\nhello\r\n"
const STATS = "---\nid: 1\ntube: work\nstate: reserved\npri: 7\nage: 1\ndelay: 0\nttr: 1\ntime-left: 0\nfile: 0\n" +
  "reserves: 1\ntimeouts: 0\nreleases: 0\nburies: 0\nkicks: 0\n"

/** What the worker sends on its connection, and the reply. */
const exchange = (expect: string, reply: string): ReadonlyArray<FakeServer.Step> => [
  { conn: 1, expect },
  { conn: 1, reply }
]

const asked = (stats: string) => exchange("stats-job 1\r\n", `OK ${stats.length}\r\n${stats}\r\n`)
const ASKED = asked(STATS)
const AT_WORK = exchange("watch work\r\nignore default\r\n", "WATCHING 2\r\nWATCHING 1\r\n")

const workAt = Effect.fnUntraced(function*<E = never>(
  peer: FakeServer.ScriptedServer,
  events: Array<string>,
  options: Worker.Options<string, E, never> = {},
  first: Effect.Effect<void, E | Worker.Snooze> = Effect.never
) {
  const client = yield* Client.make({ port: peer.port })
  let runs = 0
  const handler = () =>
    Effect.suspend(() => {
      const run = ++runs
      events.push(`began ${run}`)
      return Effect.onInterrupt(
        run === 1 ? first : Effect.void,
        () => Effect.sync(() => events.push(`interrupted ${run}`))
      )
    })
  return yield* Worker.run(Texts, handler, { crashGuard: false, shutdownTimeout: 0, ...options }).pipe(
    Effect.provideService(Client.Beanstalkd, client),
    silently,
    Effect.forkScoped
  )
})

describe("what the server says of a lease", () => {
  it.live("NOT_FOUND to a touch ends it, and the next one is another", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const peer = yield* FakeServer.make([
        ...AT_WORK,
        ...exchange(RESERVE, HELLO),
        ...ASKED,
        ...exchange("touch 1\r\n", "NOT_FOUND\r\n"),
        ...exchange(ASK, HELLO),
        ...exchange(`delete 1\r\n${ASK}`, "DELETED\r\nTIMED_OUT\r\n")
      ])
      yield* workAt(peer, events)
      yield* peer.done
      assert.deepStrictEqual(events, ["began 1", "interrupted 1", "began 2"])
    }))

  it.live("RESERVED for a job that is in hand ends the older lease, whose handle then touches nothing", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const peer = yield* FakeServer.make([
        ...AT_WORK,
        ...exchange(RESERVE, HELLO),
        ...exchange(ASK, HELLO),
        ...exchange(`${ASK}delete 1\r\n${ASK}`, "TIMED_OUT\r\nDELETED\r\nTIMED_OUT\r\n")
      ])
      yield* workAt(peer, events, { concurrency: 2, maxConnections: 1 })
      yield* peer.done
      assert.deepStrictEqual(events, ["began 1", "interrupted 1", "began 2"])
    }))

  it.live("RESERVED for a job whose handler goes on all the same makes no room for a third", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const goOn = yield* Latch.make()
      const peer = yield* FakeServer.make([
        ...AT_WORK,
        ...exchange(RESERVE, HELLO),
        ...exchange(ASK, HELLO),
        ...exchange(`delete 1\r\n${ASK}`, "DELETED\r\n"),
        { conn: 1, reply: "TIMED_OUT\r\n" }
      ])
      yield* workAt(peer, events, { concurrency: 2, maxConnections: 1 }, Effect.uninterruptible(goOn.await))
      yield* peer.done
      assert.deepStrictEqual(events, ["began 1", "began 2"])
      yield* goOn.open
      yield* eventually(Effect.sync(() => assert.deepStrictEqual(events, ["began 1", "began 2", "interrupted 1"])))
    }))

  it.live("INTERNAL_ERROR to what would settle it: the connection is closed rather than the job kept forever", () =>
    Effect.gen(function*() {
      const peer = yield* FakeServer.make([
        ...AT_WORK,
        ...exchange(RESERVE, HELLO),
        ...exchange(`delete 1\r\n${ASK}`, "INTERNAL_ERROR\r\nTIMED_OUT\r\n"),
        ...asked(STATS.replace("ttr: 1\n", "ttr: 60\n")),
        ...Array.from({ length: 6 }, () => exchange("release 1 7 0\r\n", "INTERNAL_ERROR\r\n")).flat()
      ])
      yield* workAt(peer, [], {}, Effect.void)
      yield* peer.done
      yield* eventually(Effect.sync(() => assert.isTrue(peer.sockets[1]!.readableEnded || peer.sockets[1]!.destroyed)))
    }))

  it.live("INTERNAL_ERROR to the question of the crash guard: the job is not kept forever either", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const peer = yield* FakeServer.make([
        ...AT_WORK,
        ...exchange(RESERVE, HELLO),
        ...exchange("stats-job 1\r\n", "INTERNAL_ERROR\r\n"),
        ...ASKED,
        ...exchange(`release 1 7 0\r\n${ASK}`, "RELEASED\r\nTIMED_OUT\r\n"),
        { conn: 1, expect: RESERVE }
      ])
      yield* workAt(peer, events, { crashGuard: true })
      yield* peer.done
      assert.deepStrictEqual(events, [])
    }))

  it.live("INTERNAL_ERROR to every question: the job is released rather than its connection closed, a crash of all", () =>
    Effect.gen(function*() {
      const refused = exchange("stats-job 1\r\n", "INTERNAL_ERROR\r\n")
      const peer = yield* FakeServer.make([
        ...AT_WORK,
        ...exchange(RESERVE, HELLO),
        ...refused,
        ...refused,
        ...exchange(`release 1 2147483648 0\r\n${ASK}`, "RELEASED\r\nTIMED_OUT\r\n"),
        { conn: 1, expect: RESERVE }
      ])
      yield* workAt(peer, [], { crashGuard: true })
      yield* peer.done
    }))

  it.live("INTERNAL_ERROR to the delete of a snoozed job: it is deleted when it comes again, not copied once more", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const peer = yield* FakeServer.make([
        ...AT_WORK,
        ...exchange(RESERVE, HELLO),
        ...ASKED,
        { expect: "use work\r\nput 7 0 1 5\r\nhello\r\n" },
        { reply: "USING work\r\nINSERTED 2\r\n" },
        ...exchange(`delete 1\r\n${ASK}`, "INTERNAL_ERROR\r\nTIMED_OUT\r\n"),
        ...exchange("release 1 7 0\r\n", "RELEASED\r\n"),
        ...exchange(RESERVE, HELLO),
        ...asked(STATS.replace("reserves: 1", "reserves: 2")),
        { conn: 1, expect: "delete 1\r\n" }
      ])
      yield* workAt(peer, events, {}, Worker.snooze(0))
      yield* peer.done
      assert.deepStrictEqual(events, ["began 1"])
    }))
})
