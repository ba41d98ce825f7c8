/**
 * A put comes through few files of `src/`, so that a newcomer can follow it. CONTRIBUTING.md walks the same ways.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import type { Walks } from "./walks.ts"

const walk = (): Walks =>
  JSON.parse(
    execFileSync(process.execPath, ["--no-warnings", join(import.meta.dirname, "walks.ts")], { encoding: "utf8" })
  )

let walked: Walks | undefined
const walks = (): Walks => walked ??= walk()

describe("a put", () => {
  it("comes from the client to the resumed fiber through 10 files, none of which it enters more than 4 times", () => {
    assert.deepStrictEqual(Object.keys(walks().client), [
      "internal/client/clientImpl.ts",
      "internal/connection/pipeline.ts",
      "internal/connection/pipelineState.ts",
      "internal/connection/silenceTimer.ts",
      "internal/connection/transport.ts",
      "internal/pool/reconnectingConnection.ts",
      "internal/protocol/replyReader.ts",
      "internal/protocol/requestWriter.ts",
      "internal/protocol/validate.ts",
      "internal/telemetry/commandRecorder.ts"
    ])
    for (const [file, entries] of Object.entries(walks().client)) assert.isAtMost(entries, 4, file)
  })

  const inServer = (entrance: string) => [
    "internal/server/collections.ts",
    "internal/server/commands.ts",
    "internal/server/engine.ts",
    "internal/server/entities.ts",
    entrance,
    "internal/server/requestParser.ts",
    "internal/server/serverConnection.ts",
    "internal/server/store.ts"
  ]

  it("comes through the embedded server, from the socket and back, through 8 files", () => {
    assert.sameMembers(Object.keys(walks().server), inServer("internal/server/socket.ts"))
  })

  it("comes through a server in memory through 8 files", () => {
    assert.sameMembers(Object.keys(walks().loopback), inServer("internal/server/loopback.ts"))
  })
})
