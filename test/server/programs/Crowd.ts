/**
 * Serves a crowd of clients that wait in a reserve and go away, several times, and reports what is left after each time.
 *
 * Arguments: `memory` or `tcp`; how many clients. Those of `tcp` are in a process of their own, see `Dialers.ts`.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import * as Connection from "../../../src/Connection.ts"
import * as Server from "../../../src/Server.ts"
import * as Runtime from "../../support/Runtime.ts"
import { memory } from "./memory.ts"

const way = process.argv[2] ?? ""
const clients = Number(process.argv[3])
const TIMES = 3

let fibers = 0
const countFibers = Effect.provideService(Metric.FiberRuntimeMetrics, {
  recordFiberStart: () => {
    fibers++
  },
  recordFiberEnd: () => {
    fibers--
  }
})

// Each gives the effect that makes its clients go away.
const waitInMemory = Effect.fnUntraced(function*(server: Server.Service) {
  const scope = yield* Scope.make()
  for (let n = 0; n < clients; n++) {
    const { reserve } = yield* Scope.provide(Connection.make(server.clientOptions), scope)
    yield* Effect.forkIn(Effect.ignore(reserve), scope)
  }
  return { leave: Scope.close(scope, Exit.void) }
})

const dialers = fileURLToPath(new URL("Dialers.ts", import.meta.url))

// Every other crowd closes its sockets, the others are killed.
const waitOverTcp = (server: Server.Service, time: number) =>
  Effect.sync(() => {
    const child = spawn(process.execPath, [dialers, String(server.port), String(clients)], { stdio: "inherit" })
    const leave = Effect.promise(() => {
      Runtime.signal(child, time % 2 === 0 ? "SIGKILL" : "SIGTERM")
      return once(child, "exit")
    })
    return { leave }
  })

const isEmpty = Effect.fnUntraced(function*(server: Server.Service) {
  while ((yield* server.connectionCount) > 0) yield* Effect.sleep("5 millis")
})

const crowd = Effect.fnUntraced(function*(server: Server.Service, time: number) {
  const { leave } = yield* (way === "memory" ? waitInMemory(server) : waitOverTcp(server, time))
  yield* server.awaitReservers("default", clients)
  const full = yield* memory
  yield* leave
  yield* isEmpty(server)
  const { currentWaiting, currentWorkers, totalConnections } = yield* Effect.flatMap(
    Connection.make(server.clientOptions),
    (connection) => connection.stats
  )
  return { full, currentWaiting, currentWorkers, totalConnections }
}, Effect.scoped)

const program = Effect.gen(function*() {
  const server = yield* way === "memory" ? Server.makeMemory() : Server.make({ port: 0 })
  const times = []
  for (let time = 0; time < TIMES; time++) {
    const seen = yield* crowd(server, time)
    yield* isEmpty(server)
    times.push({ ...seen, empty: yield* memory })
  }
  return times
}).pipe(Effect.scoped, countFibers)

const times = await Effect.runPromise(program)
// A handle is closed in the turn after it was told to.
await new Promise(setImmediate)
const resources = process.getActiveResourcesInfo().filter((name) => name !== "PipeWrap" && name !== "TTYWrap")
process.stdout.write(JSON.stringify({ times, resources, fibers }))
