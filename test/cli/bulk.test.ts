/**
 * The commands on many jobs. They lose no job, change nothing else, and count exactly, even when they are interrupted, when
 * the server goes away, and when nothing reads their output.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { Client, Connection, Protocol } from "effect-beanstalkd"
import { randomBytes, randomInt } from "node:crypto"
import { ask, parseStats } from "../support/Ask.ts"
import * as Cli from "../support/Cli.ts"
import { eventually } from "../support/Eventually.ts"
import * as RealServer from "../support/RealServer.ts"
import { describeAnyServer, describeServers } from "./servers.ts"

const numbers = (count: number) => Array.from({ length: count }, (_, i) => `${i + 1}`).join("\n")

const statsOfTube = (port: number, tube: string) =>
  Effect.map(Effect.orDie(ask(port, `stats-tube ${tube}`)), (answer): Record<string, number> => {
    const stats = parseStats(answer)
    const count = (key: string) => Number(stats[`current-jobs-${key}`] ?? 0)
    return { ready: count("ready"), delayed: count("delayed"), buried: count("buried"), reserved: count("reserved") }
  })

// Random bodies in all states. The client keeps every fourth job reserved for as long as it lives.
const fill = Effect.fnUntraced(function*(port: number, tube: string, count: number, longest: number) {
  const client = yield* Client.make({ port, maxConnections: count })
  for (let i = 0; i < count; i++) {
    const priority = randomInt(2 ** 32)
    const { id } = yield* client.put(tube, randomBytes(randomInt(longest)), {
      priority,
      ttr: `${randomInt(1000, 9000)} seconds`,
      delay: i % 4 === 1 ? `${randomInt(1000, 9000)} seconds` : 0
    })
    if (i % 4 === 2) yield* (yield* client.reserveJob(id)).bury()
    if (i % 4 === 3) yield* client.reserveJob(id)
  }
})

// The jobs without their ids and counters, which are new after every copy.
const look = Effect.fnUntraced(function*(port: number, tube: string) {
  const connection = yield* Connection.make({ port, use: "elsewhere" })
  const newest = yield* connection.put("")
  yield* connection.delete(newest)
  const ids = Array.from({ length: newest }, (_, i) => Protocol.JobId.make(i))
  const jobs = yield* Effect.forEach(
    ids,
    (id) => Effect.option(Effect.all([connection.statsJob(id), connection.peek(id)])),
    {
      concurrency: "unbounded"
    }
  )
  return jobs.flatMap(Option.toArray).filter(([stats]) => stats.tube === tube)
    .map(([{ pri, state, timeLeft, ttr }, { body }]) => ({
      body: Buffer.from(body).toString("base64"),
      pri,
      state,
      ttr,
      timeLeft
    }))
    .toSorted((a, b) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
}, Effect.scoped)

const hasSameJobs = (copies: Effect.Success<ReturnType<typeof look>>, originals: typeof copies) => {
  const timeless = (jobs: typeof copies) => jobs.map((job) => ({ ...job, timeLeft: undefined }))
  assert.deepStrictEqual(timeless(copies), timeless(originals))
  for (const [i, { state, timeLeft }] of copies.entries()) {
    if (state === "delayed") assert.approximately(timeLeft, originals[i]!.timeLeft, 20)
  }
}

describeServers("many jobs", (make) => {
  it.live("put --lines, drain", () =>
    Effect.gen(function*() {
      const { port } = yield* make
      const beanstalk = Cli.on({ port })
      const put = yield* beanstalk(["put", "--lines", "-u", "numbers"], { stdin: `${numbers(20_000)}\n` })
      assert.strictEqual(put.stdout, `${numbers(20_000)}\n`)
      assert.strictEqual(put.stderr, "")
      assert.include(yield* statsOfTube(port, "numbers"), { ready: 20_000 })
      yield* beanstalk(["bury", "1", "2"])
      const buried = yield* beanstalk(["drain", "numbers", "--state", "buried"])
      assert.deepStrictEqual(buried, { code: 0, stdout: "2\n", stderr: "" })
      const drain = yield* Cli.start(["--port", `${port}`, "drain", "numbers"])
      yield* eventually(Effect.gen(function*() {
        assert.isBelow((yield* statsOfTube(port, "numbers"))["ready"]!, 19_998)
      }))
      yield* drain.signal("SIGINT")
      const { code, stderr, stdout } = yield* drain.ended
      const left = (yield* statsOfTube(port, "numbers"))["ready"]!
      const deleted = Number(stdout)
      assert.strictEqual(code, 130)
      assert.strictEqual(deleted + left, 19_998)
      assert.strictEqual(stderr, `interrupted: ${deleted} of 19998 jobs deleted\n`)
    }).pipe(Effect.scoped))

  it.live("export and import are lossless, and export changes nothing", () =>
    Effect.gen(function*() {
      const source = yield* make
      const target = yield* make
      yield* fill(source.port, "src", 60, 60_000)
      const before = yield* look(source.port, "src")
      const exported = yield* Cli.on(source)(["export", "src"])
      assert.deepStrictEqual([exported.code, exported.stderr], [0, "60 jobs exported\n"])
      const imported = yield* Cli.on(target)(["import"], { stdin: exported.stdout })
      assert.deepStrictEqual(imported, { code: 0, stdout: "60\n", stderr: "" })
      hasSameJobs(yield* look(source.port, "src"), before)
      const originals = before.map((job) =>
        job.state === "reserved" ? { ...job, state: "ready" as const, timeLeft: 0 } : job
      )
      hasSameJobs(yield* look(target.port, "src"), originals)
      // A second time: only the buried jobs, into another tube, and deleted at the source.
      const again = yield* Cli.on(source)(["export", "src", "--state", "buried", "--delete"])
      assert.strictEqual(again.stderr, "15 jobs exported, 15 of them deleted\n")
      assert.strictEqual(
        (yield* Cli.on(target)(["import", "other", "--json"], { stdin: again.stdout })).stdout,
        "{\"imported\":15}\n"
      )
      assert.include(yield* statsOfTube(target.port, "other"), { ready: 0, buried: 15 })
      assert.include(yield* statsOfTube(source.port, "src"), { ready: 15, delayed: 15, buried: 0, reserved: 15 })
    }).pipe(Effect.scoped))

  it.live("move keeps state, priority, ttr and delay, within a server and to another", () =>
    Effect.gen(function*() {
      const source = yield* make
      const target = yield* make
      const beanstalk = Cli.on(source)
      yield* fill(source.port, "a", 20, 1000)
      const movable = (yield* look(source.port, "a")).filter(({ state }) => state !== "reserved")
      assert.deepStrictEqual(yield* beanstalk(["move", "a", "b"]), { code: 0, stdout: "15\n", stderr: "" })
      hasSameJobs(yield* look(source.port, "b"), movable)
      assert.deepStrictEqual(yield* statsOfTube(source.port, "a"), { ready: 0, delayed: 0, buried: 0, reserved: 5 })
      const away = ["move", "b", "b", "--to-url", `beanstalk://127.0.0.1:${target.port}`, "--json"]
      assert.strictEqual((yield* beanstalk(away)).stdout, "{\"tube\":\"b\",\"moved\":15}\n")
      hasSameJobs(yield* look(target.port, "b"), movable)
      yield* Cli.on(target)(["move", "b", "c", "--state", "buried", "--state", "delayed", "--ready"])
      assert.deepStrictEqual(yield* statsOfTube(target.port, "c"), { ready: 10, delayed: 0, buried: 0, reserved: 0 })
    }).pipe(Effect.scoped))
})

describeAnyServer("what is told of many jobs", (make) => {
  it.live("import takes lines by hand, and tells the number of one that is wrong", () =>
    Effect.gen(function*() {
      const { port } = yield* make
      const beanstalk = Cli.on({ port })
      const good = "{\"body\":\"h\u00e9\",\"tube\":\"a\",\"delay\":10,\"state\":\"delayed\"}\n\r\n \n{\"body\":\"\"}\n"
      assert.strictEqual((yield* beanstalk(["import"], { stdin: good })).stdout, "2\n")
      assert.include(yield* statsOfTube(port, "a"), { delayed: 1 })
      const bad: ReadonlyArray<readonly [string, RegExp]> = [
        ["nonsense", /^BAD_INPUT: not JSON \(line 2; 1 job imported\)\n$/],
        ["{\"tube\":\"a\"}", /^BAD_INPUT: not an exported job: .*body.* \(line 2; 1 job imported\)\n$/],
        ["{\"body\":\"x\",\"tube\":\"-\"}", /^BAD_INPUT: not an exported job: .* \(line 2; /],
        ["{\"body\":\"!\",\"encoding\":\"base64\"}", /^BAD_INPUT: the body is not base64 \(line 2; /]
      ]
      for (const [line, message] of bad) {
        const ended = yield* beanstalk(["import"], { stdin: `{"body":"x"}\n${line}\n\n{"body":"y"}\n` })
        assert.match(ended.stderr, message)
        assert.strictEqual(ended.code, 1)
      }
    }))

  it.live("jobs filters by tube, state, age and body", () =>
    Effect.gen(function*() {
      const server = yield* make
      const beanstalk = Cli.on(server)
      yield* beanstalk(["put", "--lines", "-u", "a"], { stdin: "one\ntwo\u001b[2J\nthree\n" })
      yield* beanstalk(["put", "-u", "b", "-d", "100", "two and \u{1F600}"])
      yield* beanstalk(["bury", "3"])
      const ids = (...args: ReadonlyArray<string>) =>
        Effect.map(beanstalk(["jobs", ...args]), ({ stdout }) =>
          stdout.split("\n").map((line) => line.split("\t")[0]).join(" ").trim())
      assert.strictEqual(yield* ids(), "1 2 3 4")
      assert.strictEqual(yield* ids("b", "a", "--body", "two"), "2 4")
      assert.strictEqual(yield* ids("--state", "buried", "--state", "delayed"), "3 4")
      assert.strictEqual(yield* ids("--older", "1 hour"), "")
      assert.strictEqual(yield* ids("--younger", "1 hour", "a"), "1 2 3")
      const missing = yield* beanstalk(["jobs", "nosuch"])
      assert.deepStrictEqual(missing, {
        code: 0,
        stdout: "",
        stderr: `there is no tube nosuch on 127.0.0.1:${server.port}\n`
      })
      const { stdout } = yield* beanstalk(["jobs", "a", "--body", "two"])
      assert.match(stdout, /^2\ta\tready\t2147483648\t\d+\t0\t120\t0\ttwo\\u001b\[2J\n$/)
      assert.notInclude(yield* Effect.orDie(ask(server.port, "list-tubes")), "scratch")
    }))
})

RealServer.describeReal("many jobs, on a server with its moods", () => {
  it.live("whoever reads no further ends it quietly", () =>
    Effect.gen(function*() {
      const { port } = yield* RealServer.make()
      const beanstalk = Cli.on({ port })
      yield* beanstalk(["put", "--lines"], { stdin: numbers(20_000) })
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, number]> = [
        [["jobs"], 0],
        [["export", "--delete"], 1],
        [["reserve", "delete"], 1],
        [["tail", "delete"], 1]
      ]
      for (const [args, exitCode] of cases) {
        const running = yield* Cli.start(["--port", `${port}`, ...args])
        yield* running.closeStdout
        const { code, stderr } = yield* running.ended
        assert.deepStrictEqual([stderr, code], ["", exitCode], args.join(" "))
      }
      assert.include(yield* statsOfTube(port, "default"), { ready: 20_000 })
    }).pipe(Effect.scoped))

  it.live("one that drains is read to the last job", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const beanstalk = Cli.on(server)
      yield* beanstalk(["put", "--lines", "-u", "a"], { stdin: "one\ntwo\nthree\n" })
      yield* beanstalk(["delete", "1"])
      yield* server.signal("SIGUSR1")
      yield* eventually(Effect.map(server.stats, ({ draining }) => assert.strictEqual(draining, "true")))
      const exported = yield* beanstalk(["export", "--delete"])
      assert.strictEqual(exported.stderr, "2 jobs exported, 2 of them deleted\n")
      assert.deepStrictEqual(Cli.ndjson(exported).map(({ body }) => body), ["two", "three"])
      const put = yield* beanstalk(["put", "more"])
      assert.match(put.stderr, /^DRAINING: /)
      assert.strictEqual(put.code, 1)
    }).pipe(Effect.scoped))

  it.live("one that dies meanwhile: the error, and how far it came", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const drained = yield* Cli.start(["--port", `${server.port}`, "put", "--lines"])
      yield* drained.type("one\ntwo\n")
      yield* drained.shows("2\n")
      yield* server.kill
      yield* drained.type("three\n")
      const { code, stderr, stdout } = yield* drained.ended
      assert.match(
        stderr,
        /(nothing from line 3 on was put|line 3 was not put|line 3 may have been put)[^]*\nCONNECTION_LOST: .*\n$/
      )
      assert.match(stderr, /; 2 jobs put into default\n/)
      assert.deepStrictEqual([code, stdout], [4, "1\n2\n"])
    }).pipe(Effect.scoped))

  it.live("put --lines that is interrupted has printed the ids of all that it has put", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const put = yield* Cli.start(["--port", `${server.port}`, "put", "--lines"])
      yield* put.type("one\ntwo\n")
      yield* put.shows("2\n")
      yield* put.signal("SIGINT")
      assert.deepStrictEqual(yield* put.ended, {
        code: 130,
        stdout: "1\n2\n",
        stderr: "interrupted: nothing from line 3 on was put; 2 jobs put into default\n"
      })
    }).pipe(Effect.scoped))

  it.live("import that is interrupted says how many it has put", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const running = yield* Cli.start(["--port", `${server.port}`, "import"])
      yield* running.type("{\"body\":\"x\"}\n")
      yield* eventually(Effect.map(server.stats, (stats) => assert.strictEqual(stats["current-jobs-ready"], "1")))
      yield* running.signal("SIGINT")
      assert.deepStrictEqual(yield* running.ended, { code: 130, stdout: "", stderr: "interrupted: 1 job imported\n" })
    }).pipe(Effect.scoped))

  it.live("move keeps the order in which jobs were buried, and that of those that are ready", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const beanstalk = Cli.on(server)
      yield* beanstalk(["put", "--lines", "-u", "a"], { stdin: "one\ntwo\nthree\nfour\nfive\n" })
      for (const id of ["3", "1"]) yield* beanstalk(["bury", id])
      yield* beanstalk(["move", "a", "b"])
      yield* beanstalk(["kick", "-u", "b"])
      const bodies = Cli.ndjson(yield* beanstalk(["tail", "delete", "-w", "b", "-t", "0", "--json"])).map(({ body }) =>
        body
      )
      assert.deepStrictEqual(bodies, ["two", "four", "five", "three"])
    }).pipe(Effect.scoped))

  it.live("move to a server that refuses some jobs moves the others, and leaves these as they were", () =>
    Effect.gen(function*() {
      const source = yield* RealServer.make()
      const target = yield* RealServer.make({ args: ["-z", "10"] })
      const beanstalk = Cli.on(source)
      yield* beanstalk(["put", "--lines", "-u", "a", "-p", "7"], { stdin: "one\ntoo long for it\nthree\n" })
      const { code, stderr, stdout } = yield* beanstalk([
        "move",
        "a",
        "b",
        "--to-url",
        `beanstalk://127.0.0.1:${target.port}`
      ])
      assert.match(stderr, /^stopped: 2 of 3 jobs moved\nJOB_TOO_BIG: /)
      assert.deepStrictEqual([code, stdout], [1, "2\n"])
      assert.include(yield* statsOfTube(target.port, "b"), { ready: 2 })
      const [stats] = Cli.ndjson(yield* beanstalk(["stats-job", "2", "--json"]))
      assert.include(stats, { state: "ready", pri: 7, reserves: 1, releases: 1 })
      const itself = ["move", "a", "a", "--to-url", `beanstalk://localhost:${source.port}`]
      assert.match((yield* beanstalk(itself)).stderr, /the two tubes are the same/)
    }).pipe(Effect.scoped))

  it.live("move that is interrupted has lost nothing", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const { port } = server
      yield* Cli.on(server)(["put", "--lines", "-u", "a"], { stdin: numbers(20_000) })
      const move = yield* Cli.start(["--port", `${port}`, "move", "a", "b"])
      yield* eventually(Effect.gen(function*() {
        assert.isAbove((yield* statsOfTube(port, "b"))["ready"]!, 10)
      }))
      yield* move.signal("SIGINT")
      const { code, stdout } = yield* move.ended
      const moved = Number(stdout)
      assert.strictEqual(code, 130)
      assert.include(yield* statsOfTube(port, "a"), { ready: 20_000 - moved, reserved: 0 })
      assert.include(yield* statsOfTube(port, "b"), { ready: moved })
    }).pipe(Effect.scoped))
})
