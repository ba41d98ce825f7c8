/**
 * A torn job: beanstalkd 1.12 was killed between two writes to its binlog, and had written only the length of the job. The
 * test wipes the body out of the file.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Logger, Stream } from "effect"
import { Client, Consumer } from "effect-beanstalkd"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as RealServer from "../support/RealServer.ts"
import { tempDir } from "../support/TempDir.ts"

const TORN = "the body that was not written\r\n"

const wipe = (dir: string): void => {
  for (const name of readdirSync(dir).filter((name) => name.startsWith("binlog."))) {
    const bytes = readFileSync(join(dir, name))
    const at = bytes.indexOf(TORN)
    if (at !== -1) writeFileSync(join(dir, name), bytes.fill(0, at, at + TORN.length))
  }
}

RealServer.describeReal("a torn job of a server that was killed", () => {
  it.live("is deleted by the first stream that meets it, which goes on to the next job", () =>
    Effect.gen(function*() {
      const binlogDir = yield* tempDir
      const server = yield* RealServer.make({ binlogDir, args: ["-f0"] })
      yield* server.raw(`use work\r\nput 0 0 60 ${TORN.length - 2}\r\n${TORN}put 0 0 60 5\r\nhello`)
      yield* server.kill
      wipe(binlogDir)
      yield* server.restart
      assert.include(yield* server.raw("peek 1"), "FOUND 1 29\r\n\0\0\0")
      const bodies = yield* Consumer.stream("work").pipe(
        Stream.mapEffect((job) => Effect.as(job.delete, job.text)),
        Stream.take(1),
        Stream.runCollect,
        Effect.provide([Client.layer({ port: server.port }), Logger.layer([])])
      )
      assert.deepStrictEqual(bodies, ["hello"])
      assert.include(yield* server.raw("peek 1"), "NOT_FOUND")
    }))
})
