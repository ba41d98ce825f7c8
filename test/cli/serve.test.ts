/**
 * `serve`: the server works like any other, and ends as its help says.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import * as Cli from "../support/Cli.ts"
import { tempDir } from "../support/TempDir.ts"

const serve = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  const running = yield* Cli.start(["serve", ...args])
  yield* running.shows("\n")
  return running
})

const portOf = ({ stdout }: Cli.Running) => Number(/:(\d+)/.exec(stdout())![1])

describe("serve", () => {
  it.live("tells where it listens, drains on SIGUSR1, ends with 0 on SIGTERM", () =>
    Effect.gen(function*() {
      const server = yield* serve("--port", "0", "-z", "10")
      assert.match(server.stdout(), /^listening on 127\.0\.0\.1:\d+\n$/)
      const beanstalk = Cli.on({ port: portOf(server) })
      assert.strictEqual((yield* beanstalk(["put", "hello"])).stdout, "1\n")
      assert.match((yield* beanstalk(["put", "more than ten"])).stderr, /^JOB_TOO_BIG: /)
      yield* server.signal("SIGUSR1")
      yield* server.shows("draining")
      assert.match((yield* beanstalk(["put", "x"])).stderr, /^DRAINING: /)
      assert.strictEqual((yield* beanstalk(["reserve", "delete"])).code, 0)
      yield* server.signal("SIGTERM")
      const { code, stderr } = yield* server.ended
      assert.deepStrictEqual([code, stderr], [0, "draining: no job is accepted any more\n"])
    }).pipe(Effect.scoped))

  it.live("listens on a unix socket, which is gone after Ctrl-C", () =>
    Effect.gen(function*() {
      const path = join(yield* tempDir, "s")
      const server = yield* serve("--unix", path, "--json")
      assert.strictEqual(server.stdout(), `{"listening":"unix:${path}"}\n`)
      assert.strictEqual((yield* Cli.run(["put", "hello", "--url", `unix://${path}`])).stdout, "1\n")
      yield* server.signal("SIGINT")
      assert.strictEqual((yield* server.ended).code, 130)
      assert.isFalse(existsSync(path))
    }).pipe(Effect.scoped))

  it.live("says so if it cannot listen there", () =>
    Effect.gen(function*() {
      const port = `${portOf(yield* serve("--port", "0"))}`
      const { code, stderr } = yield* Cli.run(["serve", "--port", port])
      assert.match(stderr, new RegExp(`^beanstalk: cannot listen on 127\\.0\\.0\\.1:${port}: .*EADDRINUSE.*\\n$`))
      assert.strictEqual(code, 1)
    }).pipe(Effect.scoped))
})
