/**
 * Processes and servers that are killed, with a beanstalkd that syncs each job to the disk.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Schema from "effect/Schema"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Claims from "../../src/Claims.ts"
import * as Client from "../../src/Client.ts"
import * as PersistedQueueStore from "../../src/PersistedQueueStore.ts"
import * as Binary from "../support/Binary.ts"
import { eventually } from "../support/Eventually.ts"
import { describeReal, make } from "../support/RealServer.ts"
import { tempDir } from "../support/TempDir.ts"
import { areIn } from "../support/Workplace.ts"

const program = (name: string) => fileURLToPath(new URL(`programs/${name}.ts`, import.meta.url))

const durable = Effect.gen(function*() {
  const dir = yield* tempDir
  const server = yield* make({ binlogDir: yield* tempDir, args: ["-f", "0"] })
  writeFileSync(join(dir, "log"), "")
  const told = (line: string) =>
    readFileSync(join(dir, "log"), "utf8").split("\n").filter((told) => told.startsWith(line))
  const hasTold = (line: string, times = 1) =>
    eventually(Effect.sync(() => assert.isAtLeast(told(line).length, times, readFileSync(join(dir, "log"), "utf8"))), {
      within: "20 seconds"
    })
  return { dir, server, told, hasTold, open: (gate: string) => writeFileSync(join(dir, gate), "") }
})

describeReal("a workflow with steps in durable queues", () => {
  it.live("survives the death of its process and of the server, and does each step once by its key", () =>
    Effect.gen(function*() {
      const { dir, hasTold, open, server, told } = yield* durable
      const service = Binary.start(process.execPath, [program("Orders"), String(server.port), dir, "7"], {
        stdio: ["ignore", "ignore", "inherit"]
      })
      const first = yield* service
      yield* hasTold("began reserve 7")
      yield* first.stop
      yield* server.restart
      open("reserve")
      yield* service
      yield* hasTold("began charge 7")
      // The handler goes on without its server, and its success is known although its job cannot be deleted.
      yield* server.restart
      open("charge")
      yield* hasTold("done reserve 7, charge 7")
      assert.deepStrictEqual(told("effect"), ["effect reserve 7", "effect charge 7"])
      assert.isAtLeast(told("began reserve 7").length, 2)
      assert.strictEqual(told("began charge 7").length, 1)
      const beanstalkd = yield* Client.make({ port: server.port })
      for (const step of ["reserve", "charge"]) {
        yield* areIn(beanstalkd, {}, `pq.DurableQueue/${step}.failed`)
      }
    }))
})

describeReal("a producer that is killed between put and claim", () => {
  it.live("has lost nothing, and its element is delivered once however often it is offered again", () =>
    Effect.gen(function*() {
      const { server } = yield* durable
      const producer = yield* Binary.start(process.execPath, [program("Producer"), String(server.port), "own"])
      yield* eventually(Effect.sync(() => assert.strictEqual(producer.child.signalCode, "SIGKILL")), {
        within: "20 seconds"
      })
      const Queues = PersistedQueue.layer.pipe(
        Layer.provide(PersistedQueueStore.layer()),
        Layer.provide([Client.layer({ port: server.port }), Claims.layerMemory])
      )
      yield* Effect.gen(function*() {
        const queue = yield* PersistedQueue.make({ name: "work", schema: Schema.String })
        const take = queue.take((value, { attempts }) => Effect.succeed([value, attempts]))
        assert.deepStrictEqual(yield* take, ["put, and not claimed", 1])
        yield* queue.offer("again", { id: "own" })
        yield* queue.offer("another")
        assert.deepStrictEqual(yield* take, ["another", 1])
      }).pipe(Effect.provide(Queues))
    }))
})
