/**
 * The servers that the command line is tested with: the real one, and the one that it brings along.
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

/** Runs the same tests with either server. */
export const describeServers = (name: string, body: Body): void => {
  RealServer.describeReal(`${name}, the real server`, () => body(RealServer.make()))
  describe(`${name}, the embedded server`, () => body(embedded))
}

/** Runs tests to which it is all one which server they have: with the real one, if there is one. */
export const describeAnyServer = (name: string, body: Body): void => {
  describe(name, () => body(RealServer.available ? RealServer.make() : embedded))
}
