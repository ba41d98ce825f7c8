/**
 * How a client takes jobs for a stream or a worker.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Client from "../../Client.ts"
import * as Fetcher from "./fetcher.ts"
import type { Intake, IntakeSettings } from "./intake.ts"

/** Makes intakes over connections to the server of this client, beside its pool. */
export const fetcherOf =
  (client: Client.Service) => (settings: IntakeSettings): Effect.Effect<Intake, never, Scope.Scope> =>
    Fetcher.make(client.pool, settings)
