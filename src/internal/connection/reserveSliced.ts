/**
 * A long wait for a job, sent as several short reserves. The server says nothing to a connection that waits, so only a
 * reserve that ends now and then tells a server that waits from one that is gone.
 */
import * as Effect from "effect/Effect"
import * as Errors from "../../Errors.ts"
import { commands, type Failure, type Success } from "../../Protocol.ts"
import type { Pipeline } from "./pipeline.ts"

/** How long one reserve waits on the wire, in seconds. */
export const RESERVE_SLICE_SECONDS = 30

/**
 * Waits for a job for this many seconds, forever if that is `Infinity`. `TimedOut` tells the whole wait.
 */
export const reserveSliced = (
  pipeline: Pick<Pipeline, "server" | "run">,
  seconds: number
): Effect.Effect<Success<"reserveWithTimeout">, Failure<"reserveWithTimeout">> => {
  const slice = (left: number): Effect.Effect<Success<"reserveWithTimeout">, Failure<"reserveWithTimeout">> =>
    pipeline.run(commands.reserveWithTimeout, Math.min(left, RESERVE_SLICE_SECONDS) * 1000).pipe(
      Effect.catchTag("TimedOut", () =>
        left > RESERVE_SLICE_SECONDS
          ? slice(left - RESERVE_SLICE_SECONDS)
          : Effect.fail(new Errors.TimedOut({ server: pipeline.server, timeoutSeconds: seconds })))
    )
  return slice(seconds)
}
