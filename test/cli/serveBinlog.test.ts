/**
 * `serve -b`: a server that keeps its jobs, with the flags of beanstalkd.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { ask } from "../support/Ask.ts"
import * as Cli from "../support/Cli.ts"
import { tempDir } from "../support/TempDir.ts"

const portOf = ({ stdout }: Cli.Running) => Number(/:(\d+)/.exec(stdout())![1])

const put = (body: string) => `put 0 0 60 ${body.length}\r\n${body}`

/** Starts a server, which answers commands. */
const serve = Effect.fnUntraced(function*(directory: string, ...args: ReadonlyArray<string>) {
  const server = yield* Cli.start(["serve", "--port", "0", "-b", directory, ...args])
  yield* server.shows("listening on")
  return { ...server, ask: (command: string) => ask(portOf(server), command) }
})

const refused = (directory: string, ...args: ReadonlyArray<string>) =>
  Cli.run(["serve", "--port", "0", "-b", directory, ...args])

const FIXTURE = join(import.meta.dirname, "../fixtures/binlog/checksums/binlog")

/** A directory with three jobs, of which one has a byte that is another. */
const damagedDirectory = Effect.map(tempDir, (directory) => {
  cpSync(FIXTURE, directory, { recursive: true })
  const path = join(directory, "binlog.1")
  const bytes = readFileSync(path)
  bytes[bytes.indexOf("hello", bytes.indexOf("beta"))]! ^= 1
  writeFileSync(path, bytes)
  return { directory, path }
})

describe("serve -b", () => {
  it.live("keeps jobs over SIGKILL and SIGTERM, with -f0 and files of -s bytes", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const first = yield* serve(directory, "-f0", "-s", "5000")
      assert.strictEqual(yield* first.ask(put("hello")), "INSERTED 1\r\n")
      assert.match(yield* first.ask("stats"), /\nbinlog-max-size: 5000\n/)
      assert.strictEqual(statSync(join(directory, "binlog.1")).size, 5000)
      yield* first.signal("SIGKILL")
      yield* first.ended
      const second = yield* serve(directory, "-f0", "-s", "5000")
      assert.strictEqual(yield* second.ask(put("world")), "INSERTED 2\r\n")
      yield* second.signal("SIGTERM")
      const { code, stderr } = yield* second.ended
      assert.deepStrictEqual([code, stderr], [0, ""])
      const third = yield* serve(directory)
      assert.strictEqual(yield* third.ask("peek 1\r\npeek 2"), "FOUND 1 5\r\nhello\r\nFOUND 2 5\r\nworld\r\n")
    }).pipe(Effect.scoped))

  it.live.each(["-F", "-f 50"])(
    "takes %s",
    (flags) =>
      Effect.gen(function*() {
        const directory = yield* tempDir
        const { ask } = yield* serve(directory, ...flags.split(" "))
        assert.strictEqual(yield* ask(put("hello")), "INSERTED 1\r\n")
        assert.isTrue(existsSync(join(directory, "binlog.1")))
      }).pipe(Effect.scoped)
  )

  it.live("says of -n and -c what beanstalkd says, and starts", () =>
    Effect.gen(function*() {
      const line = "flag was removed. binlog is always compacted.\n"
      const { stderr } = yield* serve(yield* tempDir, "-n", "-c")
      assert.strictEqual(stderr(), line + line)
    }).pipe(Effect.scoped))

  it.live("does not take both -f and -F", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* refused(yield* tempDir, "-f", "0", "-F")
      assert.strictEqual(code, 2)
      assert.match(stderr, /either --fsync or --no-fsync/)
    }).pipe(Effect.scoped))

  it.live("ends with 1 and a line that says why if the directory is missing", () =>
    Effect.gen(function*() {
      const directory = join(yield* tempDir, "none")
      const { code, stderr, stdout } = yield* refused(directory)
      assert.deepStrictEqual([code, stdout], [1, ""])
      assert.match(stderr, /^beanstalk: cannot lock \S+\/none: there is no such directory: make it first\n$/)
    }).pipe(Effect.scoped))

  it.live("ends with 1 and a line that names --salvage if a file is damaged, and changes nothing", () =>
    Effect.gen(function*() {
      const { directory, path } = yield* damagedDirectory
      const { code, stderr, stdout } = yield* refused(directory)
      assert.deepStrictEqual([code, stdout], [1, ""])
      assert.match(
        stderr,
        /^beanstalk: cannot read \S+\/binlog\.1 at \d+: binlog\.1 is damaged at \d+: .*--salvage.*\n$/
      )
      assert.include(stderr, path)
      assert.deepStrictEqual(readdirSync(directory).toSorted(), ["binlog.1", "binlog.2", "lock"])
    }).pipe(Effect.scoped))

  it.live("starts with --salvage and what it can read, and moves the file away", () =>
    Effect.gen(function*() {
      const { directory } = yield* damagedDirectory
      const { ask, shows } = yield* serve(directory, "--salvage")
      yield* shows(/binlog\.1 is damaged at \d+/)
      yield* shows(`moved to ${join(directory, "damaged", "binlog.1")}`)
      assert.strictEqual(
        yield* ask("peek 1\r\npeek 2\r\npeek 3"),
        "FOUND 1 5\r\nhello\r\nNOT_FOUND\r\nFOUND 3 5\r\nhello\r\n"
      )
      assert.deepStrictEqual(readdirSync(join(directory, "damaged")), ["binlog.1"])
    }).pipe(Effect.scoped))

  it.live("refuses a put for which a file would get too large, says so, and goes on", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const command = ["serve", "--port", "0", "-z", "1000000", "-s", "4096", "-b", directory]
      const server = yield* Cli.startWithSmallFiles(command, 100)
      yield* server.shows("listening on")
      assert.strictEqual(yield* ask(portOf(server), put("small")), "INSERTED 1\r\n")
      assert.strictEqual(yield* ask(portOf(server), put("x".repeat(200_000))), "OUT_OF_MEMORY\r\n")
      yield* server.shows(/EFBIG.*: no put is accepted until there is room/)
      assert.strictEqual(yield* ask(portOf(server), "delete 1"), "DELETED\r\n")
    }).pipe(Effect.scoped))
})
