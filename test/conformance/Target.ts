/**
 * The servers that are tested, all in the same way: over TCP.
 */
import * as Server from "effect-beanstalkd/Server"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as RealServer from "../support/RealServer.ts"

export interface StartOptions {
  readonly maxJobSize?: number | undefined
}

export interface Running {
  readonly host: string
  readonly port: number
  /** Puts the server into drain mode, for good. What is sent from then on meets it so. */
  readonly drain: Effect.Effect<void>
}

export interface Target {
  readonly name: string
  readonly available: boolean
  /** Whether `start` gives a server that nobody has asked anything yet. */
  readonly untouched: boolean
  /** A server of one's own, for as long as the scope is open. */
  readonly start: (options?: StartOptions) => Effect.Effect<Running, never, Scope.Scope>
}

export const real: Target = {
  name: "real",
  available: RealServer.available,
  // Whether it is up is found out by asking for its stats.
  untouched: false,
  start: Effect.fnUntraced(function*(options: StartOptions = {}) {
    const args = options.maxJobSize === undefined ? [] : ["-z", String(options.maxJobSize)]
    const server = yield* RealServer.make({ args })
    return {
      host: server.host,
      port: server.port,
      // It takes effect before the server reads anything that is sent from now on.
      drain: server.signal("SIGUSR1")
    }
  })
}

export const embedded: Target = {
  name: "embedded",
  available: true,
  untouched: true,
  start: Effect.fnUntraced(function*({ maxJobSize }: StartOptions = {}) {
    const server = yield* Effect.orDie(Server.make({ host: "127.0.0.1", port: 0, maxJobSize }))
    return { host: "127.0.0.1", port: server.port!, drain: server.drain }
  })
}

export const targets: ReadonlyArray<Target> = [real, embedded]
