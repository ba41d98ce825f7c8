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

/** Runs the same tests with either server. */
export const describeServers = (
  name: string,
  body: (make: Effect.Effect<CliServer, never, Scope.Scope>) => void
): void => {
  RealServer.describeReal(`${name}, the real server`, () => body(RealServer.make()))
  describe(`${name}, the embedded server`, () => body(embedded))
}
