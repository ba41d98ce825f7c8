/**
 * The options of a connection: what each means, what it is when it is left out, and what it may not be.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Result } from "effect"
import type { Connection } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { once } from "node:events"
import * as Net from "node:net"
import { vi } from "vitest"
import {
  type ConnectionSettings,
  DEFAULT_COMMAND_TIMEOUT,
  DEFAULT_SERVER,
  resolve
} from "../../src/internal/connection/options.ts"

const settingsOf = (options: Connection.Options): ConnectionSettings => {
  const settings = resolve("Connection.make", options)
  assert.isTrue(Result.isSuccess(settings), String(settings))
  return Result.getOrThrow(settings)
}

/** The option that is refused, and for what reason. */
const refusalOf = (options: unknown): { readonly argument: string; readonly server: string; readonly rule: string } => {
  const settings = resolve("Connection.make", options as Connection.Options)
  if (Result.isSuccess(settings)) return { argument: "none", server: "", rule: "" }
  const { command, reason, sent, server } = settings.failure
  assert.deepStrictEqual([command, sent], ["Connection.make", false])
  if (reason._tag !== "InvalidOptions") return { argument: reason._tag, server, rule: "" }
  return { argument: reason.argument, server, rule: reason.rule }
}

describe("what is left out", () => {
  it("has the values that the documentation names", () => {
    const { dialer, ...settings } = settingsOf({})
    assert.strictEqual(dialer.server, "127.0.0.1:11300")
    assert.deepStrictEqual(settings, {
      server: DEFAULT_SERVER,
      use: undefined,
      watch: ["default"],
      commandTimeoutMillis: 10_000,
      maxReplySize: 67_108_864,
      maxUnanswered: 1024,
      maxUnsentBytes: 262_144
    })
    assert.strictEqual(Duration.toMillis(DEFAULT_COMMAND_TIMEOUT), 10_000)
  })
})

describe("the server", () => {
  const servers: ReadonlyArray<readonly [options: Connection.Options, server: string]> = [
    [{ host: "queue" }, "queue:11300"],
    [{ port: 1 }, "127.0.0.1:1"],
    [{ port: 65_535 }, "127.0.0.1:65535"],
    [{ host: "::1", port: 5 }, "[::1]:5"],
    [{ path: "/x.sock" }, "unix:/x.sock"],
    [{ path: "/x.sock", host: "queue", port: 5 }, "unix:/x.sock"],
    [{ url: "beanstalk://queue" }, "queue:11300"],
    [{ url: "beanstalk://queue/" }, "queue:11300"],
    [{ url: "beanstalk://queue:5" }, "queue:5"],
    [{ url: "beanstalk://[::1]:5" }, "[::1]:5"],
    [{ url: "beanstalk+tls://queue:5" }, "queue:5"],
    [{ url: "unix:///x%20y.sock" }, "unix:/x y.sock"],
    [{ url: "beanstalk://queue:5", port: 6 }, "queue:6"],
    [{ url: "beanstalk://queue:5", host: "other" }, "other:5"]
  ]
  it.each(servers)("of %o is %s", (options, server) => {
    assert.strictEqual(settingsOf(options).server, server)
  })

  it.each([
    "queue",
    "",
    "http://queue",
    "beanstalk://",
    "beanstalk:///x",
    "beanstalk://queue/tube",
    "beanstalk://me@queue",
    "beanstalk://queue?tube=x",
    "beanstalk://queue#x",
    "beanstalk://queue:65536",
    "unix://queue/x",
    "unix:///%E0%A4%A",
    5,
    null
  ])("is not named by the URL %o", (url) => {
    const { argument, rule, server } = refusalOf({ url })
    assert.strictEqual(argument, "url")
    assert.include(rule, "beanstalk://host:port")
    assert.strictEqual(server, String(url))
  })

  const wrong: ReadonlyArray<readonly [options: unknown, argument: string]> = [
    [{ port: 0 }, "port"],
    [{ port: 65_536 }, "port"],
    [{ port: 1.5 }, "port"],
    [{ port: "11300" }, "port"],
    [{ url: "beanstalk://queue:0" }, "port"],
    [{ host: "" }, "host"],
    [{ host: 5 }, "host"],
    [{ path: "" }, "path"],
    [{ path: 5 }, "path"],
    [{ tls: 1 }, "tls"],
    [{ tls: null }, "tls"],
    [{ tls: "yes" }, "tls"],
    [{ tls: [] }, "tls"],
    [{ keepAlive: "often" }, "keepAlive"],
    [{ connectTimeout: 0 }, "connectTimeout"],
    [{ commandTimeout: 0 }, "commandTimeout"],
    [{ maxReplySize: 0 }, "maxReplySize"],
    [{ maxUnanswered: 0 }, "maxUnanswered"],
    [{ maxUnsentBytes: 0 }, "maxUnsentBytes"],
    [{ use: "" }, "use"],
    [{ watch: ["a", "-"] }, "watch"],
    [{ watch: 5 }, "watch"],
    [{ dialer: null }, "dialer"],
    [{ dialer: { server: "x" } }, "dialer"],
    [{ dialer: { server: 5, open: () => Effect.never } }, "dialer"],
    [null, "options"]
  ]
  it.each(wrong)("and all else is refused: %o", (options, argument) => {
    assert.strictEqual(refusalOf(options).argument, argument)
  })

  it("is not said by a dialer that cannot be read", () => {
    const dialer = new Proxy({}, {
      get: () => {
        throw new Error("no")
      }
    })
    assert.strictEqual(refusalOf({ dialer }).argument, "dialer")
  })

  it("is what a dialer says, whatever else is there", () => {
    const dialer = { server: "mine", open: () => Effect.never }
    const settings = settingsOf({ dialer, port: 0, url: "nonsense", tls: false })
    assert.strictEqual(settings.server, "mine")
    assert.strictEqual(settings.dialer, dialer)
  })
})

describe("the tubes", () => {
  it("that are watched are one or several, or default", () => {
    const watched = (watch: Connection.Options["watch"]) => settingsOf({ watch }).watch
    assert.deepStrictEqual([watched("a"), watched(["a", "b"]), watched([])], [["a"], ["a", "b"], ["default"]])
  })

  it("are those of the moment, also for connections that are opened later", () => {
    const watch = ["a"]
    const settings = settingsOf({ watch, use: "b" })
    watch.push("c")
    assert.deepStrictEqual([settings.watch, settings.use], [["a"], "b"])
  })
})

describe("the bounds", () => {
  it("are what they are set to, from 1 on", () => {
    const { commandTimeoutMillis, maxReplySize, maxUnanswered, maxUnsentBytes } = settingsOf({
      commandTimeout: 1,
      maxReplySize: 1,
      maxUnanswered: 1,
      maxUnsentBytes: 1
    })
    assert.deepStrictEqual([commandTimeoutMillis, maxReplySize, maxUnanswered, maxUnsentBytes], [1, 1, 1, 1])
  })
})

const handlers = { onData: () => {}, onDrain: () => {}, onClose: () => {} }

/** The port of a server that takes connections, and says nothing. */
const silentServer = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = Net.createServer().listen(0, "127.0.0.1")
      await once(server, "listening")
      return server
    }),
    (server) => Effect.sync(() => server.close())
  ),
  (server) => (server.address() as Net.AddressInfo).port
)

describe("keep-alive", () => {
  const cases: ReadonlyArray<readonly [keepAlive: Connection.Options["keepAlive"], millis: number | undefined]> = [
    [undefined, 30_000],
    [true, 30_000],
    ["5 seconds", 5000],
    [1, 1000],
    [false, undefined]
  ]
  it.live.each(cases)("%o begins after so many milliseconds: %o", ([keepAlive, millis]) =>
    Effect.gen(function*() {
      const port = yield* silentServer
      const setKeepAlive = vi.spyOn(Net.Socket.prototype, "setKeepAlive")
      yield* Effect.addFinalizer(() => Effect.sync(() => setKeepAlive.mockRestore()))
      yield* settingsOf({ port, keepAlive }).dialer.open(handlers)
      assert.deepStrictEqual(setKeepAlive.mock.calls, millis === undefined ? [] : [[true, millis]])
    }).pipe(Effect.scoped))
})

describe("the connect timeout", () => {
  it.effect.each([[undefined, 5000], ["1 second", 1000]] as const)(
    "%o is over after %d ms",
    ([connectTimeout, millis]) =>
      Effect.gen(function*() {
        const port = yield* silentServer
        // TLS waits for the server to speak.
        const { dialer } = settingsOf({ port, tls: true, connectTimeout })
        const opening = yield* Effect.forkChild(Effect.flip(dialer.open(handlers)), { startImmediately: true })
        yield* TestClock.adjust(millis - 1)
        assert.isUndefined(opening.pollUnsafe())
        yield* TestClock.adjust(1)
        const reason = yield* Fiber.join(opening)
        assert.deepInclude(reason, { _tag: "OpenTimeout", timeoutMillis: millis })
      }).pipe(Effect.scoped)
  )
})
