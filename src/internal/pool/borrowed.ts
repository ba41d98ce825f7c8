/**
 * What a borrower gets: the connection for as long as it is lent. The pipeline itself outlives that, and the next borrower
 * must not find commands of the last one on it.
 */
import * as Effect from "effect/Effect"
import * as Errors from "../../Errors.ts"
import type * as Protocol from "../../Protocol.ts"
import type { Pipeline } from "../connection/pipeline.ts"

const GIVEN_BACK = new Errors.ConnectionClosed({ detail: "it was given back to the pool" })

/** A pipeline that can be taken away from whoever has it. */
export interface Revocable extends Pick<Pipeline, "server" | "death" | "run"> {
  /** After this it looks closed. */
  readonly revoke: () => void
}

/** The pipeline, until it is revoked. */
export const revocable = (pipeline: Pipeline): Revocable => {
  let isRevoked = false
  const { server } = pipeline
  return {
    server,
    get death() {
      return isRevoked ? GIVEN_BACK : pipeline.death
    },
    run: <Args extends ReadonlyArray<unknown>, Invalid, A, E>(
      command: Protocol.Command<Args, Invalid, A, E>,
      ...args: Args
    ): Effect.Effect<A, Invalid | E | Errors.BeanstalkdError> =>
      Effect.suspend(() =>
        isRevoked
          ? Effect.fail(new Errors.BeanstalkdError({ command: command.name, server, sent: false, reason: GIVEN_BACK }))
          : pipeline.run(command, ...args)
      ),
    revoke: () => {
      isRevoked = true
    }
  }
}
