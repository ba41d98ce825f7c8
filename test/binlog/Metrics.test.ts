/**
 * What the metrics tell of a binlog.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import * as Connection from "../../src/Connection.ts"
import * as Metrics from "../../src/Metrics.ts"
import * as Server from "../../src/Server.ts"
import { eventually } from "../support/Eventually.ts"
import { tempDir } from "../support/TempDir.ts"

const BODY = 1000

// The tube is `default`: 4 bytes of length, 7 of name, 80 of the job, and CR LF.
const RECORD = 4 + 7 + 80 + BODY + 2

describe("the metrics of a binlog", () => {
  it.live("count bytes, syncs and files", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const server = yield* Server.make({ port: 0, directory, sync: "always", fileSize: 4000 })
      const connection = yield* Connection.make(server.clientOptions)
      const of = <I, S>(metric: Metric.Metric<I, S>) => Metric.value(Metric.withAttributes(metric, { directory }))
      const [before, syncs] = [yield* of(Metrics.binlogWrittenBytes), yield* of(Metrics.binlogSyncDuration)]
      yield* connection.put("x".repeat(BODY))
      assert.isAtLeast((yield* of(Metrics.binlogWrittenBytes)).count - before.count, RECORD)
      assert.isAbove((yield* of(Metrics.binlogSyncDuration)).count, syncs.count)
      yield* eventually(Effect.gen(function*() {
        yield* connection.put("x".repeat(BODY))
        const names = readdirSync(directory).filter((name) => name.startsWith("binlog."))
        assert.isAbove(names.length, 2)
        assert.strictEqual((yield* of(Metrics.binlogFiles)).value, names.length)
        const bytes = names.reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)
        assert.strictEqual((yield* of(Metrics.binlogBytes)).value, bytes)
      }))
    }))
})
