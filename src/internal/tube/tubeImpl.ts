/**
 * The tube that `Tube.make` gives: each effect asks the client, and encodes or decodes the values.
 *
 * The functions are members of the instance, so that they can be passed on without the tube
 * (`Effect.flatMap(Emails.decode)`). The effects are on the prototype.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as Client from "../../Client.ts"
import * as Consumer from "../../Consumer.ts"
import * as Errors from "../../Errors.ts"
import type { RawJob } from "../../Protocol.ts"
import type { PeekedJob, Tube, TypedJob, Undecodable } from "../../Tube.ts"
import { decoded } from "../job/decodedJob.ts"
import { putAll } from "../job/putAll.ts"
import { describeCause } from "../protocol/describe.ts"
import * as Validate from "../protocol/validate.ts"
import { countJob } from "../telemetry/jobRecorder.ts"
import type { Codec } from "./codec.ts"
import { TubePrototype } from "./prototype.ts"

// An option that is there but undefined must not hide a default.
const defined = (options: Client.PutOptions | undefined) => Validate.snapshot("put", options, Validate.PUT_OPTIONS)

type KeyOf<A> = ((value: A) => string | undefined) | undefined

const buryUndecodable = Effect.fnUntraced(function*({ error, job }: Undecodable) {
  yield* Effect.logError(`buried: ${error.message}`).pipe(
    Effect.annotateLogs({ server: job.server, tube: error.tube, job: job.id })
  )
  // The job can be gone: its lease has ended, or its connection. Then the next one who reserves it buries it.
  yield* Effect.ignore(Effect.andThen(job.bury(), countJob("buried", { server: job.server, tube: error.tube })))
})

/** A tube with options that make sense. Its name may still be one that the commands refuse. */
export class TubeImpl<in out A, out C, out RD, out RE> extends TubePrototype<C> implements Tube<A, C, RD, RE> {
  readonly #codec: Codec<A, RD, RE>
  readonly #defaults: Client.PutOptions
  readonly #keyOf: KeyOf<A>

  constructor(
    name: string,
    client: Context.Key<C, Client.Service>,
    codec: Codec<A, RD, RE>,
    defaults: Client.PutOptions,
    keyOf: KeyOf<A>
  ) {
    super(name, client)
    this.#codec = codec
    this.#defaults = defaults
    this.#keyOf = keyOf
  }

  readonly put: Tube<A, C, RD, RE>["put"] = (value, options) =>
    Effect.flatMap(this.client, (client) => {
      const all = this.#putOptions(options)
      return all instanceof Errors.InvalidArgument ? Effect.fail(all) : this.#put(client, all, value)
    })

  readonly putAll: Tube<A, C, RD, RE>["putAll"] = (values, options) =>
    Effect.flatMap(this.client, (client) => {
      const all = this.#putOptions(options)
      if (all instanceof Errors.InvalidArgument) {
        return Effect.fail(new Errors.PutAllError({ inserted: [], cause: all }))
      }
      // The client checks the options even if there is nothing to put.
      return Effect.andThen(client.putAll(this.name, [], all), putAll((value) => this.#put(client, all, value), values))
    })

  readonly stream: Tube<A, C, RD, RE>["stream"] = (options) =>
    this.#reserved<TypedJob<A> | undefined>(
      options,
      (undecodable) => Effect.as(buryUndecodable(undecodable), undefined),
      identity
    ).pipe(Stream.filter(Predicate.isNotUndefined))

  readonly streamResult: Tube<A, C, RD, RE>["streamResult"] = (options) =>
    this.#reserved<Result.Result<TypedJob<A>, Undecodable>>(
      options,
      (undecodable) => Effect.succeed(Result.fail(undecodable)),
      Result.succeed
    )

  readonly decode: Tube<A, C, RD, RE>["decode"] = (job) =>
    Effect.mapError(
      this.#codec.decode(job),
      (cause) => new Errors.DecodeError({ tube: this.name, id: job.id, body: job.body, cause })
    )

  readonly kick: Tube<A, C, RD, RE>["kick"] = (bound) =>
    Effect.flatMap(this.client, (client) => client.kick(this.name, bound))

  readonly pause: Tube<A, C, RD, RE>["pause"] = (delay) =>
    Effect.flatMap(this.client, (client) => client.pauseTube(this.name, delay))

  get peekReady(): Tube<A, C, RD, RE>["peekReady"] {
    return this.#peek((client) => client.peekReady(this.name))
  }

  get peekDelayed(): Tube<A, C, RD, RE>["peekDelayed"] {
    return this.#peek((client) => client.peekDelayed(this.name))
  }

  get peekBuried(): Tube<A, C, RD, RE>["peekBuried"] {
    return this.#peek((client) => client.peekBuried(this.name))
  }

  get stats(): Tube<A, C, RD, RE>["stats"] {
    return Effect.flatMap(this.client, (client) => client.statsTube(this.name))
  }

  // A wrong name or option is refused before the value is looked at.
  #putOptions(options: Client.PutOptions | undefined): Client.PutOptions | Errors.InvalidArgument {
    const name = Validate.tube("put", "tube", this.name)
    if (name instanceof Errors.InvalidArgument) return name
    const given = defined(options)
    return given instanceof Errors.InvalidArgument ? given : { ...this.#defaults, ...given }
  }

  #put(client: Client.Service, options: Client.PutOptions, value: A) {
    return Effect.flatMap(this.#encode(value), (body) => {
      const all = this.#withKey(options, value)
      return all instanceof Errors.InvalidArgument ? Effect.fail(all) : client.put(this.name, body, all)
    })
  }

  #withKey(options: Client.PutOptions, value: A): Client.PutOptions | Errors.InvalidArgument {
    if (this.#keyOf === undefined || options.key !== undefined) return options
    try {
      return { ...options, key: this.#keyOf(value) }
    } catch (thrown) {
      const rule = `one of which the key of tube ${this.name} can be told (${describeCause(thrown)})`
      return new Errors.InvalidArgument({ operation: "put", argument: "value", value, rule })
    }
  }

  #encode(value: A) {
    return Effect.mapError(
      // A value that cannot even be read is none that the Schema allows.
      Effect.catchDefect(this.#codec.encode(value), Effect.fail),
      (error) =>
        new Errors.InvalidArgument({
          operation: "put",
          argument: "value",
          value,
          rule: `as the Schema of tube ${this.name} says (${describeCause(error)})`
        })
    )
  }

  #peek<E>(look: (client: Client.Service) => Effect.Effect<RawJob, E>) {
    return Effect.flatMap(
      Effect.flatMap(this.client, look),
      (job) =>
        Effect.map(this.decode(job), (value): PeekedJob<A> => {
          const { body, id, ref, server, text } = job
          return { id, server, ref, body, text, value }
        })
    )
  }

  #reserved<B>(
    options: Consumer.Options | undefined,
    onUndecodable: (undecodable: Undecodable) => Effect.Effect<B>,
    onJob: (job: TypedJob<A>) => B
  ): Stream.Stream<B, Errors.BeanstalkdError, C | RD> {
    return Stream.unwrap(
      Effect.map(
        this.client,
        (client) =>
          Stream.mapEffect(
            Consumer.fromClient(client, this.name, options),
            (job) =>
              Effect.matchEffect(this.decode(job), {
                onFailure: (error) => onUndecodable({ job, error }),
                onSuccess: (value) => Effect.succeed(onJob(decoded(job, value)))
              })
          )
      )
    )
  }
}
