/**
 * The commands on single jobs and tubes: their output, its form, and their exit codes.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { ask, parseStats } from "../support/Ask.ts"
import * as Cli from "../support/Cli.ts"
import { eventually } from "../support/Eventually.ts"
import { describeAnyServer, describeServers } from "./servers.ts"

const failed = (ended: Cli.Ended, line: string, code: number) => {
  assert.strictEqual(ended.stderr, `${line}\n`)
  assert.strictEqual(ended.stdout, "")
  assert.strictEqual(ended.code, code)
}

const printed = (ended: Cli.Ended, stdout: string) => {
  assert.strictEqual(ended.stderr, "")
  assert.strictEqual(ended.stdout, stdout)
  assert.strictEqual(ended.code, 0)
}

const job = (id: number, body: string) => `{\n  "body": ${JSON.stringify(body)},\n  "id": ${id}\n}\n`

// The statistics as the server has them, without any code of this package in between.
const statsOf = (port: number, command: string) => Effect.map(Effect.orDie(ask(port, command)), parseStats)

describeServers("beanstalk", (make) => {
  it.live("puts and reserves as in the README of beanstalkt", () =>
    Effect.gen(function*() {
      const beanstalk = Cli.on(yield* make)
      printed(yield* beanstalk(["put", "A job to work on"]), "1\n")
      printed(yield* beanstalk(["reserve", "delete"]), job(1, "A job to work on"))
      printed(yield* beanstalk(["list"]), "default\n")
    }))

  it.live("put takes tube, priority, delay and ttr, also written together with their values", () =>
    Effect.gen(function*() {
      const { port } = yield* make
      const beanstalk = Cli.on({ port })
      const put = yield* beanstalk(["put", "-uemails", "-p10", "-d", "2 minutes", "-t", "300", "--json", "1"])
      printed(put, "{\"id\":1}\n")
      const [stats] = Cli.ndjson(yield* beanstalk(["stats-job", "1", "--json"]))
      assert.include(stats, { id: 1, tube: "emails", state: "delayed", pri: 10, delay: 120, ttr: 300 })
      assert.include(yield* statsOf(port, "stats-job 1"), { tube: "emails", pri: "10", delay: "120", ttr: "300" })
      printed(yield* beanstalk(["peek", "1"]), job(1, "1"))
      printed(yield* beanstalk(["peek-delayed", "-u", "emails", "--json"]), "{\"body\":\"1\",\"id\":1}\n")
    }))

  it.live("put --lines puts one job a line, and prints the ids in order", () =>
    Effect.gen(function*() {
      const beanstalk = Cli.on(yield* make)
      const { code, stdout } = yield* beanstalk(["put", "--lines", "-u", "l"], { stdin: "one\n\nthree\r\nfour" })
      assert.deepStrictEqual([code, stdout], [0, "1\n2\n3\n4\n"])
      const bodies = Cli.ndjson(yield* beanstalk(["jobs", "l", "--json"])).map(({ body }) => body)
      assert.deepStrictEqual(bodies, ["one", "", "three\r", "four"])
      const asJson = yield* beanstalk(["put", "--lines", "--base64", "--json", "-"], { stdin: "aGk=\n" })
      // The listing has used up id 5 to learn which id is the newest.
      assert.strictEqual(asJson.stdout, "{\"id\":6}\n")
    }))

  it.live("put --lines passes over bad lines, and tells each of them", () =>
    Effect.gen(function*() {
      const server = yield* make
      const beanstalk = Cli.on(server)
      const bad = yield* beanstalk(["put", "--lines", "--base64"], { stdin: "aGk=\nb\"\n!\naGk=\n!\n" })
      assert.strictEqual(
        bad.stderr,
        "lines 2-3, 5 were not put: BAD_INPUT: not base64\n3 lines were not put; 2 jobs put into default\n"
      )
      assert.deepStrictEqual([bad.code, bad.stdout], [1, "1\n2\n"])
      const long = yield* beanstalk(["put", "--lines", "-u", "l"], { stdin: `x\n${"y".repeat(70_000)}\nz\n` })
      assert.match(
        long.stderr,
        /^line 2 was not put: JOB_TOO_BIG: a body of 70000 bytes .*\n1 line was not put; 2 jobs put into l\n$/
      )
      assert.deepStrictEqual([long.code, long.stdout], [1, "3\n4\n"])
      assert.include(yield* statsOf(server.port, "stats-tube l"), { "current-jobs-ready": "2" })
    }))

  it.live("put --lines that cannot go on tells the line to resume from", () =>
    Effect.gen(function*() {
      const beanstalk = Cli.on(yield* make)
      const endless = yield* beanstalk(["put", "--lines"], { stdin: `x\n${"y".repeat(1_000_000)}` })
      assert.strictEqual(endless.stdout, "1\n")
      assert.match(
        endless.stderr,
        /^stopped: nothing from line 2 on was put; 1 job put into default\nJOB_TOO_BIG: line 2 is longer than anything/
      )
      assert.match((yield* beanstalk(["put", "-"], { stdin: "y".repeat(1_000_000) })).stderr, /^JOB_TOO_BIG: /)
    }))

  it.live("reserve releases and buries, with the job's own priority or another", () =>
    Effect.gen(function*() {
      const { port } = yield* make
      const beanstalk = Cli.on({ port })
      yield* beanstalk(["put", "-u", "a", "-p", "7", "hello"])
      printed(yield* beanstalk(["reserve", "release", "-w", "a", "-d", "60"]), job(1, "hello"))
      const state = statsOf(port, "stats-job 1")
      assert.include(yield* state, { state: "delayed", pri: "7", releases: "1", delay: "60" })
      printed(yield* beanstalk(["kick-job", "1"]), "")
      printed(yield* beanstalk(["reserve", "-w", "a"]), job(1, "hello"))
      assert.include(yield* state, { state: "ready", pri: "7", reserves: "2" })
      printed(yield* beanstalk(["reserve", "bury", "-w", "a", "-p", "3", "-t", "5"]), job(1, "hello"))
      assert.include(yield* state, { state: "buried", pri: "3", buries: "1" })
      printed(yield* beanstalk(["peek-buried", "-u", "a"]), job(1, "hello"))
      const none = yield* beanstalk(["reserve", "delete", "-t", "0"])
      assert.match(none.stderr, /^TIMED_OUT: no job became ready on 127\.0\.0\.1:\d+ within 0 s\n$/)
      assert.deepStrictEqual([none.code, none.stdout], [3, ""])
    }))

  it.live("tail shows jobs as they come, and ends them", () =>
    Effect.gen(function*() {
      const server = yield* make
      const beanstalk = Cli.on(server)
      yield* beanstalk(["put", "--lines", "-u", "a"], { stdin: "one\ntab\there\n" })
      const tail = yield* Cli.start(["--port", `${server.port}`, "tail", "delete", "-i", "-w", "a", "-n", "3"])
      yield* tail.shows("2\ta\ttab\\there\n")
      yield* beanstalk(["put", "-u", "a", "late"])
      assert.deepStrictEqual(yield* tail.ended, {
        code: 0,
        stdout: "1\ta\tone\n2\ta\ttab\\there\n3\ta\tlate\n",
        stderr: ""
      })
      yield* beanstalk(["put", "aside"])
      const bury = yield* beanstalk(["tail", "bury", "-t", "0", "--json"])
      printed(bury, "{\"id\":4,\"tube\":\"default\",\"body\":\"aside\"}\n")
      const released = yield* beanstalk(["kick", "--json"])
      printed(released, "{\"kicked\":1}\n")
      const release = yield* beanstalk(["tail", "release", "-t", "0", "-d", "60"])
      printed(release, "4\tdefault\taside\n")
    }))

  it.live("delete, bury, kick and kick-job: all ids that can be done are done, the others told", () =>
    Effect.gen(function*() {
      const server = yield* make
      const beanstalk = Cli.on(server)
      const where = `127.0.0.1:${server.port}`
      yield* beanstalk(["put", "--lines"], { stdin: "a\nb\nc\nd\n" })
      printed(yield* beanstalk(["bury", "1", "2", "-p", "5"]), "")
      assert.include(yield* statsOf(server.port, "stats-job 2"), { state: "buried", pri: "5" })
      printed(yield* beanstalk(["kick"]), "1\n")
      printed(yield* beanstalk(["kick-job", "2", "--json"]), "{\"id\":2}\n")
      const bury = yield* beanstalk(["bury", "99"])
      failed(bury, `NOT_FOUND: no job 99 on ${where}`, 3)
      const gone = yield* beanstalk(["delete", "--json", "1", "42", "3", "43"])
      assert.strictEqual(gone.stdout, "{\"id\":1}\n{\"id\":3}\n")
      assert.strictEqual(gone.stderr, `NOT_FOUND: no job 42 on ${where}\nNOT_FOUND: no job 43 on ${where}\n`)
      assert.strictEqual(gone.code, 3)
      failed(yield* beanstalk(["peek", "42"]), `NOT_FOUND: no job 42 on ${where}`, 3)
      failed(yield* beanstalk(["kick-job", "2"]), `NOT_FOUND: no buried or delayed job 2 on ${where}`, 3)
      failed(yield* beanstalk(["peek-ready", "-u", "x"]), `NOT_FOUND: no ready job in tube x on ${where}`, 3)
    }))

  it.live("stats are JSON with the server's own names, numbers as numbers", () =>
    Effect.gen(function*() {
      const server = yield* make
      const beanstalk = Cli.on(server)
      yield* beanstalk(["put", "-u", "0123", "x"])
      const stats = JSON.parse((yield* beanstalk(["stats"])).stdout) as Record<string, unknown>
      assert.deepInclude(stats, { "current-jobs-ready": 1, "cmd-put": 1, draining: false, "max-job-size": 65_535 })
      assert.isString(stats["version"])
      const tube = yield* beanstalk(["stats-tube", "0123", "--json"])
      assert.match(tube.stdout, /^\{"name":"0123","current-jobs-urgent":0,"current-jobs-ready":1,.*\}\n$/)
      printed(yield* beanstalk(["list", "--json"]), "{\"tube\":\"default\"}\n{\"tube\":\"0123\"}\n")
      printed(yield* beanstalk(["pause", "0123", "-d", "90", "--json"]), "{\"tube\":\"0123\",\"delay\":90}\n")
      assert.include(yield* statsOf(server.port, "stats-tube 0123"), { pause: "90" })
      printed(yield* beanstalk(["unpause", "0123"]), "")
      assert.include(yield* statsOf(server.port, "stats-tube 0123"), { pause: "0" })
      failed(yield* beanstalk(["stats-tube", "nosuch"]), `NOT_FOUND: no tube nosuch on 127.0.0.1:${server.port}`, 3)
      failed(yield* beanstalk(["unpause", "nosuch"]), `NOT_FOUND: no tube nosuch on 127.0.0.1:${server.port}`, 3)
    }))

  it.live("bench measures, and leaves nothing behind, even if it is interrupted", () =>
    Effect.gen(function*() {
      const server = yield* make
      const beanstalk = Cli.on(server)
      const [figures] = Cli.ndjson(yield* beanstalk(["bench", "-n", "500", "--json"]))
      assert.hasAllKeys(figures, [
        "jobs",
        "size",
        "putPerSecond",
        "reservePerSecond",
        "deletePerSecond",
        "roundTripMicros"
      ])
      const human = yield* beanstalk(["bench", "-n", "10", "--size", "0"])
      assert.match(
        human.stdout,
        /^10 jobs of 0 bytes .*\nput +\d+\/s\nreserve +\d+\/s\ndelete +\d+\/s\nround trip +\d+ us/
      )
      const cut = yield* Cli.start(["--port", `${server.port}`, "bench", "-n", "10000000"])
      yield* eventually(
        Effect.gen(function*() {
          assert.notInclude(yield* statsOf(server.port, "stats"), { "current-jobs-ready": "0" })
        }),
        { within: "30 seconds" }
      )
      yield* cut.signal("SIGINT")
      assert.strictEqual((yield* cut.ended).code, 130)
      assert.include(yield* statsOf(server.port, "stats"), { "current-jobs-ready": "0", "current-tubes": "1" })
    }).pipe(Effect.scoped))
})

describeAnyServer("bodies", (make) => {
  it.live("put takes its body from stdin, to the last byte, and from base64", () =>
    Effect.gen(function*() {
      const beanstalk = Cli.on(yield* make)
      printed(yield* beanstalk(["put", "-"], { stdin: Uint8Array.of(0, 255, 13, 10) }), "1\n")
      printed(yield* beanstalk(["peek", "1", "--json"]), "{\"body\":\"AP8NCg==\",\"encoding\":\"base64\",\"id\":1}\n")
      printed(yield* beanstalk(["put", "--base64", "-"], { stdin: "aGVs\nbG8=\n" }), "2\n")
      const [asBase64] = Cli.ndjson(yield* beanstalk(["peek", "2", "--base64", "--json"]))
      assert.deepStrictEqual(asBase64, { body: "aGVsbG8=", encoding: "base64", id: 2 })
      printed(yield* beanstalk(["put", "--", "--dashed"]), "3\n")
      failed(yield* beanstalk(["put", "--base64", "!"]), "BAD_INPUT: the body is not base64", 1)
    }))
})
