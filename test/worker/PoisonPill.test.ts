/**
 * A job that kills the process of its worker, among healthy ones, under a supervisor that starts the process again.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventually } from "../support/Eventually.ts"
import { onServer } from "../support/Fixture.ts"
import * as RealServer from "../support/RealServer.ts"
import { tempDir } from "../support/TempDir.ts"
import { areIn, TUBE } from "../support/Workplace.ts"
import { type Service, service } from "./Processes.ts"

RealServer.describeReal("a poison pill among three long healthy jobs, with concurrency 4", () => {
  it.live.each([1, 4])(
    "and %i supervised processes is buried after 3 crashes, and every healthy job is done",
    (processes) =>
      Effect.gen(function*() {
        const { beanstalkd, server } = yield* onServer(RealServer)()
        const dir = yield* tempDir
        const [pill, ...healthy] = (yield* beanstalkd.putAll(TUBE, ["kills later", "long", "long", "long"])).map(
          ({ id }) => id
        )
        const lives: Array<Service> = []
        const supervise = Effect.gen(function*() {
          while (true) {
            const life = yield* service(server.port, dir, { concurrency: 4 })
            lives.push(life)
            yield* life.exited
          }
        })
        for (let n = 0; n < processes; n++) yield* Effect.forkScoped(supervise)
        yield* eventually(areIn(beanstalkd, { buried: 1 }), { within: "60 seconds", every: "50 millis" })
        const deaths = lives.filter(({ child }) => child.signalCode === "SIGKILL").length
        assert.strictEqual(deaths, 3)
        const stats = yield* beanstalkd.statsJob(pill!)
        assert.deepInclude(stats, { state: "buried", kicks: 0 })
        const ended = lives.flatMap(({ told }) => told("ended"))
        assert.deepStrictEqual(ended.toSorted((a, b) => a - b), healthy)
        assert.strictEqual(lives.flatMap(({ told }) => told("began")).filter((id) => id === pill).length, 3)
      }),
    90_000
  )
}, { concurrent: true })
