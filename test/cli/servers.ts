/**
 * The servers for tests of the command line: the real one and the embedded one.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { describe } from "vitest"
import { Server } from "effect-beanstalkd"
import * as RealServer from "../support/RealServer.ts"

export interface CliServer {
  readonly port: number
}

const embedded: Effect.Effect<CliServer, never, Scope.Scope> = Server.make({ port: 0 }).pipe(
  Effect.map(({ port }) => ({ port: port! })),
  Effect.orDie
)

type Body = (make: Effect.Effect<CliServer, never, Scope.Scope>) => void

/** Runs the same tests on both servers. */
export const describeServers = (name: string, body: Body): void => {
  RealServer.describeReal(`${name}, the real server`, () => body(RealServer.make()))
  describe(`${name}, the embedded server`, () => body(embedded))
}

/** Runs tests for which the server makes no difference: on the real one, if there is one. */
export const describeAnyServer = (name: string, body: Body): void => {
  describe(name, () => body(RealServer.available ? RealServer.make() : embedded))
}
