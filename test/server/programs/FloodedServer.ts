/**
 * Serves clients that send too much, and one that behaves, and reports the most memory that this took.
 *
 * Arguments: what is sent, how many send it; see `Flooders.ts`.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import * as Connection from "../../../src/Connection.ts"
import * as Server from "../../../src/Server.ts"
import { memory } from "./memory.ts"
import type * as Stats from "../../../src/Stats.ts"

const [what, clients] = process.argv.slice(2) as [string, string]

const MAX_CONNECTIONS = 101

/** How many clients have a place beside the one that behaves. */
const admitted = Math.min(Number(clients), MAX_CONNECTIONS - 1)

// What has been executed for a while is all that will be: they do not read.
const CALM = 20
let calm = 0
let looks = 0
const isStalled = ({ cmdPeekReady }: Stats.ServerStats): boolean => {
  calm = cmdPeekReady === looks && looks > admitted ? calm + 1 : 0
  looks = cmdPeekReady
  return calm === CALM
}

const isFlooded: Readonly<Record<string, (stats: Stats.ServerStats) => boolean>> = {
  replies: (stats) => stats.cmdPut === admitted && isStalled(stats),
  bodies: ({ cmdPut }) => cmdPut === admitted,
  line: ({ cmdListTubeUsed }) => cmdListTubeUsed === admitted
}

const program = Effect.gen(function*() {
  const server = yield* Server.make({ port: 0, maxMemory: 4 * 1024 * 1024, maxClients: MAX_CONNECTIONS })
  const connection = yield* Connection.make(server.clientOptions)
  yield* connection.stats
  const before = yield* memory
  const flooders = fileURLToPath(new URL("Flooders.ts", import.meta.url))
  const child = spawn(process.execPath, [flooders, String(server.port), what, clients], { stdio: "inherit" })
  let most = before
  let connections = 0
  while (true) {
    const stats = yield* connection.stats
    most = Math.max(most, yield* memory)
    connections = Math.max(connections, stats.currentConnections)
    if (isFlooded[what]!(stats)) break
    yield* Effect.sleep("5 millis")
  }
  child.kill("SIGKILL")
  yield* Effect.promise(() => once(child, "exit"))
  while ((yield* server.connectionCount) > 1) yield* Effect.sleep("5 millis")
  // There is room again.
  yield* connection.put(new Uint8Array(65_535))
  return { most: most - before, after: (yield* memory) - before, connections }
}).pipe(Effect.scoped)

process.stdout.write(JSON.stringify(await Effect.runPromise(program)))
