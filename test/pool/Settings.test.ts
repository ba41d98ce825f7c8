/**
 * The options of a pool: what each is when it is left out, and what it may not be.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Schedule } from "effect"
import { Errors, type Pool } from "effect-beanstalkd"
import { resolve, snapshot } from "../../src/internal/pool/settings.ts"

const settingsOf = (options: Pool.Options) => Effect.runSync(resolve("Pool.make", options))

describe("the options of a pool", () => {
  it("have the defaults that the documentation names", () => {
    const { connection, reconnect, ...settings } = settingsOf({})
    assert.deepStrictEqual(settings, {
      server: "127.0.0.1:11300",
      maxConnections: 10,
      minConnections: 0,
      idleTimeout: Duration.seconds(60),
      acquireTimeout: undefined,
      patience: Duration.seconds(10)
    })
    assert.strictEqual(connection.maxUnanswered, 1024)
    assert.isTrue(Schedule.isSchedule(reconnect))
  })

  it("are what they are set to", () => {
    const reconnect = Schedule.recurs(1)
    const settings = settingsOf({
      port: 5,
      maxConnections: 1,
      minConnections: 1,
      idleTimeout: 1,
      acquireTimeout: "2 seconds",
      commandTimeout: "3 seconds",
      reconnect
    })
    const { acquireTimeout, idleTimeout, maxConnections, minConnections, patience, server } = settings
    assert.deepStrictEqual({ acquireTimeout, idleTimeout, maxConnections, minConnections, patience, server }, {
      server: "127.0.0.1:5",
      maxConnections: 1,
      minConnections: 1,
      idleTimeout: Duration.millis(1),
      acquireTimeout: Duration.seconds(2),
      patience: Duration.seconds(3)
    })
    assert.strictEqual(settings.reconnect, reconnect)
  })

  it("ask for no more connections to be kept than there may be", () => {
    assert.strictEqual(settingsOf({ maxConnections: 3, minConnections: 5 }).minConnections, 3)
    assert.strictEqual(settingsOf({ maxConnections: 3, minConnections: 2 }).minConnections, 2)
  })

  const wrong: ReadonlyArray<readonly [options: unknown, argument: string]> = [
    [{ maxConnections: 0 }, "maxConnections"],
    [{ maxConnections: 1.5 }, "maxConnections"],
    [{ minConnections: -1 }, "minConnections"],
    [{ idleTimeout: 0 }, "idleTimeout"],
    [{ acquireTimeout: 0 }, "acquireTimeout"],
    [{ reconnect: 5 }, "reconnect"],
    [{ port: 0 }, "port"],
    [{ watch: "-" }, "watch"]
  ]
  it.each(wrong)("are refused, in the name of the pool and with its server: %o", (options, argument) => {
    const { command, reason, sent } = Effect.runSync(Effect.flip(resolve("Pool.make", options as Pool.Options)))
    assert.deepStrictEqual([command, sent, reason._tag], ["Pool.make", false, "InvalidOptions"])
    assert.deepInclude(reason, { argument, operation: "Pool.make" })
  })

  it("are read once, all that a pool and its connections have and no others", () => {
    const options = { host: "queue", maxConnections: 2, watch: ["a"], other: 5 }
    const copy = Effect.runSync(snapshot("Pool.make", options))
    options.watch.push("b")
    options.maxConnections = 3
    assert.deepStrictEqual(copy, { host: "queue", maxConnections: 2, watch: ["a"] })
  })

  it.effect("reconnect sooner at first, and at least every 5 seconds for ever", () =>
    Effect.gen(function*() {
      const step = yield* Schedule.toStep(settingsOf({}).reconnect)
      const reason = new Errors.ConnectionClosed({ detail: "gone" })
      const error = new Errors.BeanstalkdError({ command: "put", server: "x", sent: false, reason })
      const delays: Array<number> = []
      for (let now = 0; delays.length < 30; now += delays.at(-1)!) {
        const [, delay] = yield* Effect.orDie(step(now, error))
        delays.push(Duration.toMillis(delay))
      }
      // Jittered by a fifth.
      assert.isAtMost(delays[0]!, 60)
      assert.isAtLeast(delays[0]!, 40)
      for (const delay of delays) assert.isAtMost(delay, 6000)
      for (const delay of delays.slice(10)) assert.isAtLeast(delay, 4000)
    }))
})
