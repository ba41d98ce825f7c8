/**
 * Servers that join a fleet, leave it, and are emptied.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue, Result, Stream } from "effect"
import { Client, Fleet, Tube, Worker } from "effect-beanstalkd"
import * as Dns from "effect/net/Dns"
import * as Host from "effect/net/Host"
import { TestClock } from "effect/testing"
import { quietly } from "../support/Fixture.ts"
import { keepLog, type Logged } from "../support/Workplace.ts"
import { keysOf, listOf, machines, onFleet, pass, putsOf, settle, statusOf } from "./Fleets.ts"

type List = ReadonlyArray<string | Fleet.ServerOptions>

const followed = Effect.fnUntraced(function*(names: ReadonlyArray<string>) {
  const all = yield* machines(names)
  const lists = yield* Queue.unbounded<List>()
  const fleet = yield* Fleet.make({ servers: Stream.fromQueue(lists) })
  const events: Array<string> = []
  yield* Effect.forkScoped(
    Stream.runForEach(fleet.events, ({ server, status }) => Effect.sync(() => events.push(`${server} ${status}`))),
    { startImmediately: true }
  )
  const tell = (list: List) => Effect.andThen(Queue.offer(lists, list), settle)
  const list = listOf(all)
  return { all, fleet, events, tell, list }
})

const linesOf = (log: ReadonlyArray<Logged>) => log.map(({ level, message }) => `${level}: ${message}`)

const namesOf = (fleet: Fleet.Service) => Effect.map(statusOf(fleet), (status) => Object.keys(status).sort().join(""))

describe("a list of servers", () => {
  it.effect("is used at once if it is the first; who is added joins after a second", () =>
    Effect.gen(function*() {
      const { fleet, list, tell } = yield* followed(["a", "b", "c"])
      yield* tell(list.slice(0, 2))
      assert.deepStrictEqual(yield* statusOf(fleet), { a: "up", b: "up" })
      yield* tell(list)
      yield* pass(990)
      assert.strictEqual(yield* namesOf(fleet), "ab")
      yield* pass(20)
      assert.deepStrictEqual(yield* statusOf(fleet), { a: "up", b: "up", c: "up" })
    }).pipe(quietly))

  it.effect("that no longer has a server which has not joined yet keeps it out", () =>
    Effect.gen(function*() {
      const { fleet, list, tell } = yield* followed(["a", "b"])
      yield* tell(list.slice(0, 1))
      yield* tell(list)
      yield* pass(500)
      yield* tell(list.slice(0, 1))
      yield* pass(2000)
      assert.strictEqual(yield* namesOf(fleet), "a")
    }).pipe(quietly))

  it.effect("that is empty or wrong changes nothing", () =>
    Effect.gen(function*() {
      const { fleet, list, tell } = yield* followed(["a", "b"])
      yield* tell(list)
      for (const wrong of [[], [list[0]!, list[0]!], ["http://x"], [{ ...list[0]!, weight: 0 }], 7, [null]]) {
        yield* tell(wrong as never)
        yield* pass(2000)
        assert.deepStrictEqual(yield* statusOf(fleet), { a: "up", b: "up" })
      }
      yield* tell(list.slice(1))
      yield* pass(2000)
      assert.strictEqual(yield* namesOf(fleet), "b")
    }).pipe(quietly))

  it.effect("without a server has it left at once, and its connections end when it is empty", () =>
    Effect.gen(function*() {
      const { all, events, fleet, list, tell } = yield* followed(["a", "b"])
      yield* tell(list)
      const { a: key } = yield* keysOf(fleet)
      yield* fleet.put("late", "x", { key: key!, delay: "3 seconds" })
      const one = yield* fleet.on("a")
      const { id } = yield* one.put("work", "bury me")
      yield* Effect.scoped(Effect.flatMap(one.reserveJob(id), (job) => job.bury()))
      yield* one.delete(yield* Effect.map(one.peekReady("keys"), ({ id }) => id))
      yield* tell(list.slice(1))
      assert.strictEqual((yield* statusOf(fleet))["a"], "leaving")
      assert.deepStrictEqual([...new Set(yield* putsOf(fleet, 20))], ["b"])
      const Late = Tube.make("late", { codec: "text" })
      const Keys = Tube.make("keys", { codec: "text" })
      const provided = Effect.provideService(Client.Beanstalkd, fleet)
      yield* Effect.forkScoped(provided(Worker.run(Keys, () => Effect.void)))
      const worker = yield* Effect.forkScoped(provided(Worker.run(Late, () => Effect.void)))
      yield* pass(2500)
      assert.strictEqual((yield* statusOf(fleet))["a"], "leaving")
      yield* pass(3500)
      assert.strictEqual(yield* namesOf(fleet), "b")
      assert.include(events, "a leaving")
      assert.include(events, "a left")
      assert.deepStrictEqual([...new Set(yield* putsOf(fleet, 20))], ["b"])
      yield* pass(2000)
      assert.strictEqual(yield* all[0]!.connectionCount, 0)
      assert.strictEqual(worker.pollUnsafe(), undefined)
    }).pipe(quietly))

  it.effect("without a server has it left only when no job of it is ready, reserved or delayed", () =>
    Effect.gen(function*() {
      const { fleet, list, tell } = yield* followed(["a", "b"])
      yield* tell(list)
      const a = yield* Effect.orDie(fleet.on("a"))
      yield* a.put("work", "x", { delay: "5 seconds" })
      yield* tell(list.slice(1))
      yield* pass(4500)
      assert.strictEqual(yield* namesOf(fleet), "ab", "it is delayed")
      yield* pass(3500)
      assert.strictEqual(yield* namesOf(fleet), "ab", "it is ready")
      yield* Effect.scoped(Effect.gen(function*() {
        const job = yield* a.reserve("work")
        yield* pass(3500)
        assert.strictEqual(yield* namesOf(fleet), "ab", "it is reserved")
        yield* job.delete
      }))
      yield* pass(2500)
      assert.strictEqual(yield* namesOf(fleet), "b")
    }).pipe(quietly))

  it.effect("without a server that cannot be reached has it left after a minute, with what it has", () =>
    Effect.gen(function*() {
      const { all, fleet, list, tell } = yield* followed(["a", "b"])
      yield* tell(list)
      yield* keysOf(fleet)
      yield* all[0]!.down
      yield* pass(100)
      yield* tell(list.slice(1))
      const second = Effect.andThen(TestClock.adjust("1 second"), settle)
      yield* Effect.repeat(second, { times: 58 })
      assert.strictEqual((yield* statusOf(fleet))["a"], "leaving")
      yield* Effect.repeat(second, { times: 4 })
      assert.strictEqual(yield* namesOf(fleet), "b")
    }).pipe(quietly))

  it.effect("gives a server another weight", () =>
    Effect.gen(function*() {
      const { fleet, list, tell } = yield* followed(["a", "b"])
      yield* tell(list)
      const keyed = Effect.map(
        Effect.forEach(Array.from({ length: 200 }), (_, i) => fleet.put("work", "", { key: `user ${i}` })),
        (refs) => refs.filter(({ server }) => server === "a").length
      )
      const before = yield* keyed
      yield* tell([{ ...list[0]!, weight: 9 }, list[1]!])
      assert.deepStrictEqual((yield* fleet.servers).map(({ weight }) => weight), [9, 1])
      assert.isAbove(yield* keyed, Math.max(150, before))
      assert.deepStrictEqual(yield* statusOf(fleet), { a: "up", b: "up" })
    }).pipe(quietly))

  it.effect("counts until the next one, be there none any more", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const list = listOf(yield* machines(["a", "b"]))
      const fleet = yield* Fleet.make({ servers: Stream.concat(Stream.make(list), Stream.die("no more")) })
      yield* settle
      assert.deepStrictEqual(yield* statusOf(fleet), { a: "up", b: "up" })
      assert.deepStrictEqual(linesOf(log).filter((line) => !line.includes("joined")), [
        "Error: there are no more lists of servers, so the last one counts"
      ])
    }).pipe(Effect.scoped, logged)
  })

  it.effect("has those who join and leave logged, and those who take no more jobs", () => {
    const { log, logged } = keepLog()
    const lines = () => linesOf(log.splice(0))
    return Effect.gen(function*() {
      const { all, fleet, list, tell } = yield* followed(["a", "b", "c"])
      yield* tell(list.slice(0, 2))
      assert.deepStrictEqual(lines(), ["Info: a has joined", "Info: b has joined"])
      yield* tell([])
      yield* tell(["http://x"])
      assert.match(
        lines().join("\n"),
        /^Warn: a list without servers is ignored\nWarn: a list of servers is ignored: .*url must be/
      )
      yield* tell(list)
      yield* pass(1100)
      assert.deepStrictEqual(lines(), ["Info: c has joined"])
      yield* all[1]!.drain
      yield* all[2]!.fill
      yield* putsOf(fleet, 30)
      assert.sameMembers([...lines()], [
        "Info: b drains, so its jobs are put elsewhere",
        "Info: c has no memory for more jobs, so they are put elsewhere"
      ])
      yield* tell(list.slice(0, 2))
      yield* pass(1000)
      assert.deepStrictEqual(lines(), [
        "Info: c is being emptied, and takes no more jobs",
        "Info: c has left: it is empty"
      ])
    }).pipe(Effect.scoped, logged)
  })

  it.effect("that has a server back while it is left keeps it", () =>
    Effect.gen(function*() {
      const { events, fleet, list, tell } = yield* followed(["a", "b"])
      yield* tell(list)
      yield* keysOf(fleet)
      for (let i = 0; i < 3; i++) {
        yield* tell(list.slice(1))
        yield* pass(100)
        assert.strictEqual((yield* statusOf(fleet))["a"], "leaving")
        yield* tell(list)
        assert.deepStrictEqual(yield* statusOf(fleet), { a: "up", b: "up" })
      }
      yield* pass(10_000)
      assert.deepStrictEqual(yield* statusOf(fleet), { a: "up", b: "up" })
      assert.notInclude(events, "a left")
    }).pipe(quietly))

  it.effect("says of a server that it is leaving: it takes no jobs, and stays", () =>
    Effect.gen(function*() {
      const { fleet, list, tell } = yield* followed(["a", "b"])
      yield* tell([{ ...list[0]!, leaving: true }, list[1]!])
      yield* pass(5000)
      assert.deepStrictEqual(yield* statusOf(fleet), { a: "leaving", b: "up" })
      assert.deepStrictEqual([...new Set(yield* putsOf(fleet, 20))], ["b"])
      yield* tell(list)
      assert.deepStrictEqual(yield* statusOf(fleet), { a: "up", b: "up" })
    }).pipe(quietly))
})

describe("drain", () => {
  it.effect("keeps puts away from the server although the list has it again", () =>
    Effect.gen(function*() {
      const { fleet, list, tell } = yield* followed(["a", "b"])
      yield* tell(list)
      const a = yield* Effect.orDie(fleet.on("a"))
      yield* a.put("work", "x", { delay: "1 hour" })
      yield* Effect.forkScoped(fleet.drain("a"), { startImmediately: true })
      yield* tell(list.slice(1))
      yield* tell(list)
      yield* pass(2000)
      assert.deepStrictEqual(yield* statusOf(fleet), { a: "leaving", b: "up" })
      assert.deepStrictEqual([...new Set(yield* putsOf(fleet, 20))], ["b"])
    }).pipe(quietly))

  it.effect("waits for consumers and delays, and reports what is buried", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet) {
        const one = yield* fleet.on("a")
        yield* one.putAll("work", ["1", "2", "3"])
        yield* one.put("work", "4", { delay: "5 seconds" })
        const { id } = yield* one.put("other", "5")
        yield* Effect.scoped(Effect.flatMap(one.reserveJob(id), (job) => job.bury()))
        const drain = yield* Effect.forkScoped(fleet.drain("a"), { startImmediately: true })
        yield* settle
        assert.strictEqual((yield* statusOf(fleet))["a"], "leaving")
        yield* Effect.forkScoped(Worker.run(Tube.make("work", { codec: "text" }), () => Effect.void))
        yield* pass(4000)
        assert.strictEqual(drain.pollUnsafe(), undefined)
        yield* pass(4000)
        assert.deepStrictEqual(yield* Fiber.join(drain), {
          server: "a",
          consumed: 4,
          moved: 0,
          left: { ready: 0, reserved: 0, delayed: 0, buried: 1 }
        })
      })
    ))

  it.effect("waits for a job that is reserved, and counts it when it is done", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet) {
        const one = yield* fleet.on("a")
        yield* one.put("work", "x")
        const job = yield* one.reserve("work")
        const drain = yield* Effect.forkScoped(fleet.drain("a"), { startImmediately: true })
        yield* pass(3000)
        assert.strictEqual(drain.pollUnsafe(), undefined)
        yield* job.delete
        yield* pass(1500)
        assert.deepStrictEqual(yield* Fiber.join(drain), {
          server: "a",
          consumed: 1,
          moved: 0,
          left: { ready: 0, reserved: 0, delayed: 0, buried: 0 }
        })
      })
    ))

  it.effect("moves what it is told to, as it was", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet) {
        const one = yield* fleet.on("a")
        const other = yield* fleet.on("b")
        yield* one.put("work", "ready", { priority: 3, ttr: "7 seconds" })
        yield* one.put("work", "delayed", { priority: 4, ttr: "8 seconds", delay: "1 hour" })
        const { id } = yield* one.put("other", "buried", { priority: 5, ttr: "9 seconds" })
        yield* Effect.scoped(Effect.flatMap(one.reserveJob(id), (job) => job.bury({ priority: 5 })))
        const drain = yield* Effect.forkScoped(fleet.drain("a", { ready: "move", delayed: "move", buried: "move" }))
        yield* pass(2000)
        const left = { ready: 0, reserved: 0, delayed: 0, buried: 0 }
        assert.deepStrictEqual(yield* Fiber.join(drain), { server: "a", consumed: 0, moved: 3, left })
        const ready = yield* other.statsJob((yield* other.peekReady("work")).id)
        assert.deepInclude(ready, { state: "ready", pri: 3, ttr: 7 })
        const delayed = yield* other.statsJob((yield* other.peekDelayed("work")).id)
        assert.deepInclude(delayed, { state: "delayed", pri: 4, ttr: 8 })
        assert.isAtLeast(delayed.timeLeft, 3595)
        const buried = yield* other.statsJob((yield* other.peekBuried("other")).id)
        assert.deepInclude(buried, { state: "buried", pri: 5, ttr: 9 })
      })
    ))

  it.effect("reports what is left when its time is over", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet) {
        const one = yield* fleet.on("a")
        yield* one.put("work", "x")
        const drain = yield* Effect.forkScoped(fleet.drain("a", { timeout: "3 seconds" }))
        yield* pass(3500)
        assert.deepInclude(yield* Fiber.join(drain), { left: { ready: 1, reserved: 0, delayed: 0, buried: 0 } })
      })
    ))

  it.effect("refuses a name and options that there are not", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet) {
        assert.strictEqual((yield* Effect.flip(fleet.drain("z")))._tag, "NotFound")
        const wrong: ReadonlyArray<object> = [{ ready: "x" }, { delayed: 1 }, { buried: "wait" }, { timeout: -1 }]
        for (const options of wrong) {
          const error = yield* Effect.flip(fleet.drain("a", options))
          assert.include(error.message, "Fleet.drain: ")
        }
        assert.deepStrictEqual(yield* statusOf(fleet), { a: "up", b: "up" })
      })
    ))
})

describe("servers by DNS", () => {
  it.effect("have their names from SRV records; a lookup that fails changes nothing", () =>
    Effect.gen(function*() {
      let fails = false
      const record = (host: string, port: number, weight: number) =>
        Result.getOrThrow(
          Dns.makeRecord("SRV", { priority: 0, weight, port, target: Host.domainNameFromStringUnsafe(host) })
        )
      const zone = Result.getOrThrow(Dns.makeStatic({
        records: {
          "_beanstalkd._tcp.jobs.local": [record("one.jobs.local", 11_301, 2), record("two.jobs.local", 0, 0)]
        }
      }))
      const dns: typeof zone = {
        ...zone,
        resolve: (name, type) => zone.resolve(fails ? "nowhere.local" : name, type)
      }
      const fleet = yield* Fleet.make({ servers: Fleet.fromDns("jobs.local", { service: "beanstalkd" }) }).pipe(
        Effect.provideService(Dns.Dns, dns)
      )
      yield* settle
      const names = ["one.jobs.local:11301", "two.jobs.local:11300"]
      assert.deepStrictEqual((yield* fleet.servers).map(({ server, weight }) => [server, weight]), [
        [names[0], 2],
        [names[1], 1]
      ])
      fails = true
      yield* pass(21_000)
      assert.deepStrictEqual((yield* fleet.servers).map(({ server }) => server), names)
    }).pipe(quietly, Effect.scoped))
})
