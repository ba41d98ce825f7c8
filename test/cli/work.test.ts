/**
 * `work`: a command per job. Each job is done at least once or buried after its attempts, whatever happens to the process;
 * nothing stays reserved, and no command outlives it.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Client, Envelope } from "effect-beanstalkd"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Cli from "../support/Cli.ts"
import { eventually } from "../support/Eventually.ts"
import * as RealServer from "../support/RealServer.ts"
import { tempDir } from "../support/TempDir.ts"
import { areIn } from "../support/Workplace.ts"

const JOBS = 1000
const KILLS = 2

const open = Effect.gen(function*() {
  const server = yield* RealServer.make()
  const client = yield* Client.make(server.clientOptions)
  const file = join(yield* tempDir, "log")
  writeFileSync(file, "")
  const start = (...args: ReadonlyArray<string>) =>
    Cli.start(["--port", `${server.port}`, "work", ...args], { LOG: file })
  const lines = () => readFileSync(file, "utf8").split("\n").filter((line) => line !== "")
  return { client, file, lines, server, start }
})

const shell = (script: string) => ["--", "sh", "-c", script]

/** Waits until a process is gone. Signal 0 only asks. */
const isGone = (pid: number) => Effect.sync(() => assert.throws(() => process.kill(pid, 0), "ESRCH"))

const soon = { within: "30 seconds" } as const

RealServer.describeReal("work", () => {
  it.live(
    `${JOBS} jobs of which one in 50 always fails, killed ${KILLS} times: each is done or buried, nothing is left reserved`,
    () =>
      Effect.gen(function*() {
        const { client, lines, start } = yield* open
        const ids = (yield* client.putAll(
          "a",
          Array.from({ length: JOBS }, (_, i) => `${i + 1}`),
          { ttr: "5 minutes" }
        ))
          .map(({ id }) => id)
        const script = "read -r n; echo $BEANSTALK_JOB_ID $n >> \"$LOG\"; [ $((n % 50)) -ne 0 ]"
        const spawn = start("-w", "a", "-c", "4", "--max-attempts", "4", "--retry-delay", "1", ...shell(script))
        let worker = yield* spawn
        for (let kill = 1; kill <= KILLS; kill++) {
          yield* eventually(Effect.sync(() => assert.isAtLeast(lines().length, kill * 100)), soon)
          yield* worker.signal("SIGKILL")
          assert.isNull((yield* worker.ended).code)
          assert.isAbove((yield* client.statsTube("a")).currentJobsReady, 0, "killed while there was work")
          worker = yield* spawn
        }
        yield* eventually(areIn(client, { buried: JOBS / 50 }, "a"), { within: "60 seconds", every: "50 millis" })
        yield* worker.signal("SIGTERM")
        const { code, stderr } = yield* worker.ended
        assert.strictEqual(code, 0)
        assert.match(stderr, /\n\d+ jobs done, \d+ attempts failed, 20 jobs buried\n$/)

        const runs = lines().map((line) => line.split(" ").map(Number) as [id: number, n: number])
        // A command whose worker was killed before it got the body has done nothing: it has no number.
        const good = runs.filter(([, n]) => n % 50 > 0)
        const done = new Set(good.map(([id]) => id))
        assert.strictEqual(done.size, JOBS - JOBS / 50)
        assert.isAtMost(
          good.length,
          done.size + KILLS * 4,
          "ran again after a kill only"
        )
        for (const id of ids.filter((id) => !done.has(id))) {
          const attempts = runs.filter(([ran]) => ran === id).length
          // A job that was running when its worker was killed has crashed: it can be reserved and sent back to wait for its turn
          // alone, and both count.
          assert.isAtLeast(attempts, 1)
          assert.isAtMost(attempts, 4)
          assert.deepInclude(yield* client.statsJob(id), { state: "buried" })
        }
      }).pipe(Effect.scoped)
  )

  it.live("the command gets the body, and what there is to know, and shares stdout and stderr", () =>
    Effect.gen(function*() {
      const { client, server, start } = yield* open
      yield* client.put("a b".replace(" ", "-"), Uint8Array.of(0, 255, 10))
      const script =
        "od -An -tx1; echo $BEANSTALK_JOB_ID $BEANSTALK_TUBE $BEANSTALK_ATTEMPT $BEANSTALK_SERVER; echo err >&2"
      const worker = yield* start("-w", "a-b", ...shell(script))
      yield* worker.shows(`1 a-b 1 127.0.0.1:${server.port}`)
      yield* eventually(areIn(client, {}, "a-b"))
      yield* worker.signal("SIGINT")
      assert.deepStrictEqual(yield* worker.ended, {
        code: 130,
        stdout: ` 00 ff 0a\n1 a-b 1 127.0.0.1:${server.port}\n`,
        stderr: "err\n1 job done, 0 attempts failed, 0 jobs buried\n"
      })
    }).pipe(Effect.scoped))

  it.live("a job with an envelope, or a CloudEvent, is its payload and what its head says, unless it has expired", () =>
    Effect.gen(function*() {
      const { client, lines, start } = yield* open
      const at = 5
      const tp = `00-${"1".repeat(32)}-${"2".repeat(16)}-01`
      yield* client.putAll("a", [
        yield* Envelope.encode("{}", {
          id: "j",
          at,
          contentType: "json",
          correlationId: "c",
          replyTo: "r",
          version: 7,
          traceparent: tp,
          tracestate: "k=v"
        }),
        yield* Envelope.encode("gone", { id: "e", exp: 1 }),
        yield* Envelope.encode("x".repeat(20), { id: "z\0", at, contentType: "text", compression: "gzip" }),
        `{"specversion":"1.0","id":"v","source":"s","type":"t","subject":"7","data": [1.0]}`,
        `{"bare":1}`
      ])
      const script = "echo \"$(cat)|$BEANSTALK_MESSAGE_ID|$BEANSTALK_CORRELATION_ID|$BEANSTALK_REPLY_TO|" +
        "$BEANSTALK_CONTENT_TYPE|$TRACEPARENT|$TRACESTATE|$BEANSTALK_ENVELOPE\" >> \"$LOG\""
      const worker = yield* start("-w", "a", ...shell(script))
      yield* eventually(areIn(client, {}, "a"), soon)
      yield* worker.signal("SIGTERM")
      const { stderr } = yield* worker.ended
      assert.include(stderr, "\n4 jobs done, 0 attempts failed, 0 jobs buried\n")
      assert.include(stderr, "it has expired at 1970-01-01T00:00:00.001Z")
      const head = JSON.stringify({
        id: "j",
        at,
        traceparent: tp,
        tracestate: "k=v",
        contentType: "json",
        version: 7,
        replyTo: "r",
        correlationId: "c"
      })
      assert.deepStrictEqual(lines(), [
        `{}|j|c|r|json|${tp}|k=v|${head}`,
        // No environment has a NUL; JSON writes it in another way.
        `${"x".repeat(20)}||||text|||` + JSON.stringify({ id: "z\0", at, contentType: "text", compression: "gzip" }),
        `[1.0]|v||||||${JSON.stringify({ id: "v", by: "s", other: { type: "t", subject: "7" } })}`,
        `{"bare":1}|||||||`
      ])
    }).pipe(Effect.scoped))

  it.live("exit code 75, any other, and a signal are failed attempts: tried again with a delay, buried in the end", () =>
    Effect.gen(function*() {
      const { client, lines, start } = yield* open
      yield* client.putAll("a", ["exit 75", "exit 3", "kill -9 $$"])
      const script = "read -r body; echo $BEANSTALK_JOB_ID $BEANSTALK_ATTEMPT >> \"$LOG\"; eval \"$body\""
      const worker = yield* start("-w", "a", "-c", "3", "--max-attempts", "2", "--retry-delay", "1", ...shell(script))
      yield* eventually(areIn(client, { delayed: 3 }, "a"))
      yield* eventually(areIn(client, { buried: 3 }, "a"), soon)
      assert.sameMembers(lines(), ["1 1", "2 1", "3 1", "1 2", "2 2", "3 2"])
      for (const text of ["sh exited with code 75 (try again later)", "sh exited with code 3", "sh ended by SIGKILL"]) {
        yield* worker.shows(text)
      }
    }).pipe(Effect.scoped))

  it.live("keeps the lease of a job that takes longer than its time to run", () =>
    Effect.gen(function*() {
      const { client, lines, start } = yield* open
      yield* client.put("a", "x", { ttr: "1 second" })
      yield* start("-w", "a", "-c", "2", ...shell("echo began >> \"$LOG\"; sleep 3; echo ended >> \"$LOG\""))
      yield* eventually(areIn(client, {}, "a"), soon)
      assert.deepStrictEqual(lines(), ["began", "ended"])
      assert.strictEqual((yield* client.stats).jobTimeouts, 0)
    }).pipe(Effect.scoped))

  it.live("ends in order: it takes no more, and waits for the commands that run", () =>
    Effect.gen(function*() {
      const { client, file, lines, start } = yield* open
      yield* client.putAll("a", ["one", "two"])
      const script = "echo began >> \"$LOG\"; until [ -e \"$LOG.go\" ]; do sleep 0.05; done; echo ended >> \"$LOG\""
      const worker = yield* start("-w", "a", ...shell(script))
      yield* eventually(Effect.sync(() => assert.deepStrictEqual(lines(), ["began"])), soon)
      yield* worker.signal("SIGTERM")
      writeFileSync(`${file}.go`, "")
      assert.deepInclude(yield* worker.ended, { code: 0, stderr: "1 job done, 0 attempts failed, 0 jobs buried\n" })
      assert.deepStrictEqual(lines(), ["began", "ended"])
      yield* areIn(client, { ready: 1 }, "a")
    }).pipe(Effect.scoped))

  it.live("ends commands that do not end in time, with all that they have started, and releases their jobs", () =>
    Effect.gen(function*() {
      const { client, lines, start } = yield* open
      yield* client.put("a", "one")
      const script = "sleep 1000 & echo $! $$ >> \"$LOG\"; wait"
      const worker = yield* start("-w", "a", "--shutdown-timeout", "0.2", ...shell(script))
      yield* eventually(Effect.sync(() => assert.lengthOf(lines(), 1)), soon)
      const pids = lines()[0]!.split(" ").map(Number)
      yield* worker.signal("SIGTERM")
      assert.strictEqual((yield* worker.ended).code, 0)
      for (const pid of pids) yield* eventually(isGone(pid))
      yield* areIn(client, { ready: 1 }, "a")
      assert.deepInclude(yield* client.statsJob(1 as never), { releases: 1 })
    }).pipe(Effect.scoped))

  it.live("ends a command whose lease is lost, since another worker may have the job", () =>
    Effect.gen(function*() {
      const { client, lines, server, start } = yield* open
      yield* client.put("a", "one")
      yield* start("-w", "a", ...shell("echo $$ >> \"$LOG\"; sleep 1000"))
      yield* eventually(Effect.sync(() => assert.lengthOf(lines(), 1)), soon)
      const pid = Number(lines()[0])
      process.kill(pid, 0)
      yield* server.kill
      yield* eventually(isGone(pid), soon)
    }).pipe(Effect.scoped))

  it.live("ends with its terminal, and takes its commands with it", () =>
    Effect.gen(function*() {
      const { client, lines, start } = yield* open
      yield* client.put("a", "one")
      const worker = yield* start("-w", "a", "--shutdown-timeout", "0", ...shell("echo $$ >> \"$LOG\"; sleep 1000"))
      yield* eventually(Effect.sync(() => assert.lengthOf(lines(), 1)), soon)
      yield* worker.signal("SIGHUP")
      assert.strictEqual((yield* worker.ended).code, 130)
      yield* isGone(Number(lines()[0]))
      yield* areIn(client, { ready: 1 }, "a")
    }).pipe(Effect.scoped))

  it.live("a second Ctrl-C ends everything at once, and the job is given back", () =>
    Effect.gen(function*() {
      const { client, lines, start } = yield* open
      const { id } = yield* client.put("a", "one")
      const worker = yield* start("-w", "a", ...shell("trap '' TERM; echo $$ >> \"$LOG\"; while :; do sleep 0.1; done"))
      yield* eventually(Effect.sync(() => assert.lengthOf(lines(), 1)), soon)
      yield* worker.signal("SIGINT")
      // A signal of the same moment counts as the first.
      yield* eventually(Effect.andThen(worker.signal("SIGINT"), isGone(Number(lines()[0]))), {
        ...soon,
        every: "100 millis"
      })
      assert.strictEqual((yield* worker.ended).code, 130)
      yield* eventually(areIn(client, { ready: 1 }, "a"))
      assert.deepInclude(yield* client.statsJob(id), { reserves: 1, releases: 1 })
    }).pipe(Effect.scoped))

  it.live("a command that reads its stdin sees the end of it, even if work was killed meanwhile", () =>
    Effect.gen(function*() {
      const { client, file, lines, start } = yield* open
      yield* client.put("a", "x".repeat(60_000))
      const script =
        "echo $$ >> \"$LOG\"; until [ -e \"$LOG.go\" ]; do sleep 0.05; done; cat > /dev/null; echo eof >> \"$LOG\""
      const worker = yield* start("-w", "a", ...shell(script))
      yield* eventually(Effect.sync(() => assert.lengthOf(lines(), 1)), soon)
      yield* worker.signal("SIGKILL")
      yield* eventually(isGone(worker.pid))
      writeFileSync(`${file}.go`, "")
      yield* eventually(Effect.sync(() => assert.strictEqual(lines()[1], "eof")), soon)
      yield* eventually(isGone(Number(lines()[0])))
    }).pipe(Effect.scoped))

  it.live("a command that need not read its body, or that there is not, harms no job", () =>
    Effect.gen(function*() {
      const { client, file, server, start } = yield* open
      yield* client.put("a", "x".repeat(65_000))
      yield* start("-w", "a", "--", "true")
      yield* eventually(areIn(client, {}, "a"), soon)
      const { id } = yield* client.put("b", "x")
      const missing = yield* Cli.on(server)(["work", "-w", "b", "--", "no-such-command"])
      assert.match(missing.stderr, /^beanstalk: cannot run no-such-command: the PATH has no such command; -w names /)
      assert.strictEqual(missing.code, 1)
      const { stderr } = yield* Cli.on(server)(["work", "-w", "b", "--", file])
      assert.include(stderr, `beanstalk: cannot run ${file}: there is no such file that can be executed`)
      assert.deepInclude(yield* client.statsJob(id), { state: "ready", reserves: 0 })
    }).pipe(Effect.scoped))

  it.live("goes on when the server is back", () =>
    Effect.gen(function*() {
      const { client, lines, server, start } = yield* open
      yield* client.put("a", "one")
      yield* start("-w", "a", ...shell("cat >> \"$LOG\"; echo >> \"$LOG\""))
      yield* eventually(Effect.sync(() => assert.deepStrictEqual(lines(), ["one"])), soon)
      // A restart ends commands that still run.
      yield* eventually(areIn(client, {}, "a"), soon)
      yield* server.restart
      yield* Cli.on(server)(["put", "-u", "a", "two"])
      yield* eventually(Effect.sync(() => assert.deepStrictEqual(lines(), ["one", "two"])), soon)
    }).pipe(Effect.scoped))
})
