/**
 * The command line over several servers: which of them a command works on, what is printed of each, and what happens when one
 * of them is down.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { Dns, Host } from "effect/net"
import { Client, Server } from "effect-beanstalkd"
import { ndjson } from "../support/Cli.ts"
import { eventually } from "../support/Eventually.ts"
import { freePort } from "../support/FreePort.ts"
import * as RealServer from "../support/RealServer.ts"
import { silent } from "../support/Serve.ts"
import * as InProcess from "./inProcess.ts"

const one = Effect.gen(function*() {
  const server = yield* Server.make({ port: 0 })
  const client = yield* Client.make(server.clientOptions)
  return { client, name: `127.0.0.1:${server.port}`, server }
})

const onUrl = (...names: ReadonlyArray<string>) => (...args: ReadonlyArray<string>) =>
  InProcess.run(["--url", names.join(","), ...args])

/** Two servers, and a command on both. */
const two = Effect.gen(function*() {
  const [a, b] = [yield* one, yield* one]
  return { a, b, on: onUrl(a.name, b.name) }
})

const lines = (text: string) => text.split("\n").filter((line) => line !== "")

describe("a command on several servers", () => {
  it.live("put names the server of each job, and fills all", () =>
    Effect.gen(function*() {
      const { a, b, on } = yield* two
      const { code, stderr, stdout } = yield* on("put", "-u", "t", "hello")
      assert.deepStrictEqual([code, stderr], [0, ""])
      assert.include([`${a.name}/1\n`, `${b.name}/1\n`], stdout)
      const json = yield* on("put", "x", "--json")
      assert.include([a.name, b.name], ndjson(json)[0]!["server"])
    }))

  it.live("stats are sums, with those of each server", () =>
    Effect.gen(function*() {
      const { a, b, on } = yield* two
      yield* a.client.putAll("t", ["1", "2"])
      yield* b.client.put("t", "3")
      const stats = JSON.parse((yield* on("stats", "--json")).stdout)
      assert.strictEqual(stats["current-jobs-ready"], 3)
      assert.notProperty(stats, "pid")
      assert.strictEqual(stats.servers[a.name]["current-jobs-ready"], 2)
      const tube = JSON.parse((yield* on("stats-tube", "t", "--json")).stdout)
      assert.deepStrictEqual([tube["current-jobs-ready"], tube.servers[b.name]["current-jobs-ready"]], [3, 1])
    }))

  it.live("a tube of one server has statistics, and one of none is not found", () =>
    Effect.gen(function*() {
      const { a, on } = yield* two
      yield* a.client.put("only", "1")
      const { servers } = JSON.parse((yield* on("stats-tube", "only", "--json")).stdout)
      assert.deepStrictEqual(Object.keys(servers), [a.name])
      const none = yield* on("stats-tube", "nowhere")
      assert.deepStrictEqual([none.code, none.stdout], [3, ""])
    }))

  it.live("list has each tube once, and its servers", () =>
    Effect.gen(function*() {
      const { a, b, on } = yield* two
      yield* b.client.put("t", "1")
      assert.strictEqual((yield* on("list")).stdout, "default\nt\n")
      assert.deepStrictEqual(ndjson(yield* on("list", "--json")), [
        { tube: "default", servers: [a.name, b.name] },
        { tube: "t", servers: [b.name] }
      ])
    }))

  it.live("top adds up, and shows each server", () =>
    Effect.gen(function*() {
      const { a, b, on } = yield* two
      yield* a.client.put("t", "1")
      yield* b.client.putAll("t", ["2", "3"])
      const [sample] = ndjson(yield* on("top", "--json", "-n", "1"))
      assert.strictEqual(sample!["ready"], 3)
      assert.deepStrictEqual((sample!["servers"] as ReadonlyArray<{ ready: number }>).map(({ ready }) => ready), [1, 2])
      const text = yield* on("top", "-n", "1")
      assert.include(text.stdout, `${b.name}: 2 ready`)
    }))

  it.live("jobs and export name the server of each job", () =>
    Effect.gen(function*() {
      const { a, b, on } = yield* two
      yield* a.client.put("t", "1")
      yield* b.client.put("t", "2")
      const jobs = yield* on("jobs", "t")
      assert.deepStrictEqual(lines(jobs.stdout).map((line) => line.split("\t")[0]), [`${a.name}/1`, `${b.name}/1`])
      for (const command of [["jobs", "t", "--json"], ["export", "t"]]) {
        const found = ndjson(yield* on(...command)).map(({ body, server }) => [server, body])
        assert.deepStrictEqual(found, [[a.name, "1"], [b.name, "2"]])
      }
      assert.strictEqual((yield* on("export", "t")).stderr, "2 jobs exported\n")
    }))

  it.live("drain and move work on each server, and -n is for all together", () =>
    Effect.gen(function*() {
      const { a, b, on } = yield* two
      yield* a.client.putAll("t", ["1", "2"])
      yield* b.client.putAll("t", ["3", "4"])
      assert.strictEqual((yield* on("move", "t", "u", "-n", "3")).stdout, `${a.name}\t2\n${b.name}\t1\n`)
      assert.strictEqual((yield* b.client.statsTube("u")).currentJobsReady, 1)
      assert.deepStrictEqual(ndjson(yield* on("drain", "u", "--json")), [
        { tube: "u", deleted: 2, server: a.name },
        { tube: "u", deleted: 1, server: b.name }
      ])
      assert.strictEqual((yield* on("drain", "t", "--ids", `${b.name}/2`)).stdout, `${b.name}\t1\n`)
    }))

  it.live("a reference leads to its server, and an id alone is refused", () =>
    Effect.gen(function*() {
      const { a, b, on } = yield* two
      yield* a.client.put("t", "1")
      yield* b.client.put("t", "2")
      assert.strictEqual(JSON.parse((yield* on("peek", `${b.name}/1`)).stdout).body, "2")
      assert.strictEqual(JSON.parse((yield* on("stats-job", `${a.name}/1`, "--json")).stdout).id, 1)
      for (const args of [["delete", "1"], ["peek", "1"], ["drain", "t", "--ids", "1"]]) {
        const { code, stderr, stdout } = yield* on(...args)
        assert.deepStrictEqual([code, stdout], [2, ""])
        assert.include(stderr, `each of 2 servers may have a job 1: write ${a.name}/1, or name one server with --url`)
      }
      const foreign = yield* on("delete", `${a.name}/1`, "other:1/1")
      assert.strictEqual(foreign.code, 2)
      assert.include(foreign.stderr, "other:1/1 is a job of none of")
      assert.strictEqual((yield* on("delete", `${a.name}/1`, `${b.name}/1`)).code, 0)
      assert.strictEqual((yield* on("jobs", "t")).stdout, "")
    }))

  it.live("of one server says so", () =>
    Effect.gen(function*() {
      const { on } = yield* two
      for (
        const args of [["reserve"], ["kick"], ["bench"], ["tail", "delete"], ["import"], ["pause", "t", "-d", "1"]]
      ) {
        const { code, stderr, stdout } = yield* on(...args)
        assert.deepStrictEqual([code, stdout], [2, ""])
        assert.include(stderr, "this command works on one server")
        assert.include(stderr, "name one of them with --url")
      }
      assert.strictEqual((yield* on("list", "--port", "1")).code, 2)
      assert.include((yield* InProcess.run(["list", "--url", "a,a"])).stderr, "servers of different names")
    }))

  it.live("the environment names them as well, with or without a scheme", () =>
    Effect.gen(function*() {
      const { a, b } = yield* two
      for (const url of [`${a.name},${b.name}`, `beanstalk://${a.name},${b.name}`]) {
        const { stdout, value: { code } } = yield* InProcess.printedBy(
          InProcess.ending(["fleet", "status"], { BEANSTALKD_URL: url })
        )
        assert.deepStrictEqual([code, lines(stdout).length], [0, 2])
      }
    }))

  it.live("DNS knows them", () =>
    Effect.gen(function*() {
      const { a, b } = yield* two
      const records = [a, b].map(({ server }) =>
        Dns.makeRecord("SRV", {
          target: Host.domainNameFromStringUnsafe("localhost"),
          port: server.port!,
          priority: 0,
          weight: 3
        })
      )
      const dns = Dns.layerStatic({ records: { "jobs.test": yield* Effect.fromResult(Result.all(records)) } })
      const { stdout } = yield* Effect.provide(
        InProcess.run(["--url", "beanstalk+srv://jobs.test", "fleet", "status"]),
        dns
      )
      assert.deepStrictEqual(lines(stdout).map((line) => line.split("\t")[3]), ["3", "3"])
    }))
})

describe("a server that is down", () => {
  it.live("is told, and the others are worked on", () =>
    Effect.gen(function*() {
      const a = yield* one
      const down = `127.0.0.1:${yield* freePort}`
      const frozen = `127.0.0.1:${(yield* silent()).port}`
      yield* a.client.put("t", "1")
      const on = onUrl(down, frozen, a.name)
      const commands = [["stats"], ["list"], ["jobs", "t"], ["export"], ["move", "t", "u"], ["drain", "u"]]
      for (const args of commands) {
        const { code, stderr, stdout } = yield* on(...args, "--server-timeout", "0.3")
        assert.strictEqual(code, 4, args.join(" "))
        assert.notStrictEqual(stdout, "")
        assert.include(stderr, `UNREACHABLE: nobody listens on ${down}`)
        assert.include(stderr, `NO_ANSWER: 2 of 3 servers did not answer: ${down}, ${frozen}\n`)
      }
      assert.include((yield* on("put", "x", "--server-timeout", "0.3")).stdout, `${a.name}/`)
      const [sample] = ndjson(yield* on("top", "--json", "-n", "1", "--server-timeout", "0.3"))
      assert.strictEqual((sample!["servers"] as ReadonlyArray<object>).filter((server) => "reason" in server).length, 2)
    }))

  it.live("is down in fleet status, whose exit code says whether any is up", () =>
    Effect.gen(function*() {
      const a = yield* one
      const down = `127.0.0.1:${yield* freePort}`
      const some = yield* onUrl(a.name, down)("fleet", "status", "--json")
      assert.strictEqual(some.code, 0)
      assert.deepStrictEqual(ndjson(some).map(({ server, status }) => [server, status]), [[a.name, "up"], [
        down,
        "down"
      ]])
      yield* a.server.drain
      const draining = yield* onUrl(a.name, down)("fleet", "status")
      assert.deepStrictEqual([draining.code, draining.stdout.includes("draining")], [1, true])
      const none = yield* onUrl(down, `127.0.0.1:${yield* freePort}`)("fleet", "status")
      assert.strictEqual(none.code, 4)
      assert.include(none.stderr, "2 of 2 servers did not answer")
    }))

  it.live("all of them: nothing is put", () =>
    Effect.gen(function*() {
      const on = onUrl(`127.0.0.1:${yield* freePort}`, `127.0.0.1:${yield* freePort}`)
      const { code, stderr, stdout } = yield* on("put", "x", "--server-timeout", "0.2")
      assert.deepStrictEqual([code, stdout], [4, ""])
      assert.match(stderr, /^UNREACHABLE: /)
    }))
})

describe("fleet drain", () => {
  it.live("moves the jobs of a server to the others, and says what it did", () =>
    Effect.gen(function*() {
      const { a, b, on } = yield* two
      yield* a.client.put("t", "ready")
      yield* a.client.put("t", "delayed", { delay: "1 hour" })
      yield* a.client.put("t", "buried")
      yield* Effect.scoped(Effect.flatMap(a.client.reserve("t"), (job) => job.bury()))
      const moved = yield* on("fleet", "drain", a.name, "--ready", "move", "--delayed", "move", "--buried", "move")
      assert.deepStrictEqual([moved.code, moved.stderr], [0, ""])
      assert.strictEqual(
        moved.stdout,
        `${a.name}: 3 moved, 0 consumed; left: 0 ready, 0 reserved, 0 delayed, 0 buried\n`
      )
      const { currentJobsBuried, currentJobsDelayed, currentJobsReady } = yield* b.client.statsTube("t")
      assert.deepStrictEqual([currentJobsReady, currentJobsDelayed, currentJobsBuried], [1, 1, 1])
    }))

  it.live("waits for the consumers, and no longer than --timeout", () =>
    Effect.gen(function*() {
      const { a, on } = yield* two
      yield* a.client.put("t", "1")
      const left = yield* on("fleet", "drain", a.name, "--timeout", "0.1", "--json")
      assert.strictEqual(left.code, 3)
      assert.deepStrictEqual((ndjson(left)[0]!["left"] as { ready: number }).ready, 1)
      const [drained] = yield* Effect.all([
        on("fleet", "drain", a.name, "--json"),
        Effect.scoped(Effect.flatMap(a.client.reserve("t"), (job) => job.delete))
      ], { concurrency: 2 })
      assert.strictEqual(drained.code, 0)
      assert.strictEqual((yield* on("fleet", "drain", "nowhere:1")).code, 3)
    }))
})

RealServer.describeReal("a real server and an embedded one", () => {
  it.live("are one fleet, also when the real one is killed", () =>
    Effect.gen(function*() {
      const real = yield* RealServer.make()
      const a = yield* one
      const on = onUrl(a.name, `127.0.0.1:${real.port}`)
      yield* real.raw("put 0 0 60 4\r\nreal")
      assert.strictEqual(JSON.parse((yield* on("stats", "--json")).stdout)["current-jobs-ready"], 1)
      const moved = yield* on("fleet", "drain", `127.0.0.1:${real.port}`, "--ready", "move")
      assert.deepStrictEqual([moved.code, moved.stderr], [0, ""])
      yield* eventually(Effect.map(a.client.stats, ({ currentJobsReady }) => assert.strictEqual(currentJobsReady, 1)))
      yield* real.kill
      assert.strictEqual((yield* on("list")).code, 4)
    }))
})
