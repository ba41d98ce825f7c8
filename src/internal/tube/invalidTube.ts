/**
 * The tube that `Tube.make` gives for options that it refuses. A tube is defined where nothing can fail yet, so all
 * effects of this one do, with the reason why.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type * as Client from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import type { Job } from "../../Job.ts"
import type { Tube } from "../../Tube.ts"
import { refused } from "../protocol/invalidOptions.ts"
import { refusal, reservingClient, TubePrototype } from "./prototype.ts"

class InvalidTube<out C> extends TubePrototype<C> implements Tube<never, C> {
  readonly #error: Errors.InvalidArgument

  constructor(name: string, client: Context.Key<C, Client.Service>, error: Errors.InvalidArgument) {
    super(name, client)
    this.#error = error
  }

  override get [reservingClient](): Effect.Effect<never, Errors.BeanstalkdError, C> {
    return Effect.flatMap(this.client, ({ server }) => Effect.fail(refused(server, this.#error)))
  }

  override get [refusal](): Errors.InvalidArgument {
    return this.#error
  }

  override toJSON(): unknown {
    return { _id: "Tube", name: this.name, error: this.#error.message }
  }

  readonly put = () => this.#failure
  readonly kick = () => this.#failure
  readonly pause = () => this.#failure
  readonly stream = () => this.#failedStream
  readonly streamResult = () => this.#failedStream

  readonly putAll = () => Effect.fail(this.#notPut)
  readonly sink = () => Sink.fail(this.#notPut)

  readonly decode = ({ body, id }: Pick<Job, "id" | "body">) =>
    Effect.fail(new Errors.DecodeError({ tube: this.name, id, body, cause: this.#error }))

  get peekReady() {
    return this.#failure
  }

  get peekDelayed() {
    return this.#failure
  }

  get peekBuried() {
    return this.#failure
  }

  get stats() {
    return this.#failure
  }

  get #failure() {
    return Effect.fail(this.#error)
  }

  get #notPut() {
    return new Errors.PutAllError({ inserted: [], cause: this.#error })
  }

  get #failedStream() {
    return Stream.fromEffect(this[reservingClient])
  }
}

/** A tube whose effects all fail with this error. Streams and workers fail with the reason `InvalidOptions`. */
export const invalidTube = <C>(
  name: string,
  client: Context.Key<C, Client.Service>,
  error: Errors.InvalidArgument
): Tube<never, C> => new InvalidTube(name, client, error)
