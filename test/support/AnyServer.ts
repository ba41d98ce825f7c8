/**
 * The two servers that the client must work with: the real beanstalkd, and the embedded one in memory. A suite is
 * written once and runs on both, so that each server checks the other.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { describe, type TestOptions } from "vitest"
import * as Server from "../../src/Server.ts"
import type { Connection } from "effect-beanstalkd"
import { askDialer, parseStats } from "./Ask.ts"
import { eventually } from "./Eventually.ts"
import * as RealServer from "./RealServer.ts"

export interface AnyServerOptions {
  /** The largest body that a put may have, in bytes. Default: 65,535. */
  readonly maxJobSize?: number | undefined
}

/** What a test may know of any server. A test that needs a port, a process or a signal needs a `RealServer`. */
export interface AnyServer {
  /** Options to reach the server, for `Client.make`, `Pool.make` and `Connection.make`. */
  readonly clientOptions: Pick<Connection.Options, "port" | "dialer">
  /** The address, as errors show it. */
  readonly address: string
  /** The id of the process that the server runs in. */
  readonly pid: number
  /** Sends one command on a connection of its own, as bytes and without the client; see `RealServer`. */
  readonly raw: (command: string) => Effect.Effect<string>
  /** The server's `stats`, quotes stripped. The numbers include the connection that asks. */
  readonly stats: Effect.Effect<Record<string, string>>
  /** Puts the server into drain mode forever, and returns when it is. */
  readonly drain: Effect.Effect<void>
  /** Cuts off all connections. Jobs that are not reserved may be lost. */
  readonly dropConnections: Effect.Effect<void>
}

export interface Target {
  /** A server per test, for as long as the scope is open. */
  readonly make: (options?: AnyServerOptions) => Effect.Effect<AnyServer, never, Scope.Scope>
}

/** The part of a real server that every server has. */
export const fromReal = (server: RealServer.RealServer): AnyServer => {
  const { clientOptions, pid, port, raw, restart, signal, stats } = server
  const isDraining = Effect.flatMap(
    stats,
    ({ draining }) => draining === "true" ? Effect.void : Effect.die(new Error("it does not drain yet"))
  )
  return {
    clientOptions,
    address: `127.0.0.1:${port}`,
    pid,
    raw,
    stats,
    drain: Effect.andThen(signal("SIGUSR1"), eventually(isDraining)),
    dropConnections: restart
  }
}

const real: Target = {
  make: (options) => {
    const args = options?.maxJobSize === undefined ? [] : ["-z", String(options.maxJobSize)]
    return Effect.map(RealServer.make({ args }), fromReal)
  }
}

const embedded: Target = {
  make: Effect.fnUntraced(function*(options: AnyServerOptions = {}) {
    const { clientOptions, drain, dropConnections, server } = yield* Effect.orDie(Server.makeMemory(options))
    const { dialer } = clientOptions
    if (dialer === undefined) return yield* Effect.die(new Error("a server in memory that has no dialer"))
    const raw = (command: string) => Effect.orDie(askDialer(dialer, command))
    return {
      clientOptions: { dialer },
      address: server,
      pid: process.pid,
      raw,
      stats: Effect.map(raw("stats"), parseStats),
      drain,
      dropConnections: Effect.asVoid(dropConnections)
    }
  })
}

/**
 * `describe` for tests that run on either server: once with the real one, as `describeReal` does it, and once with the
 * embedded one, wherever they run.
 */
export const describeServers = (name: string, body: (target: Target) => void, options: TestOptions = {}): void => {
  RealServer.describeReal(`${name} (real server)`, () => body(real), options)
  describe(`${name} (embedded server)`, options, () => body(embedded))
}
