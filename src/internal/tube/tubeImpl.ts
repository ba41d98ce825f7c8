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
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type * as Client from "../../Client.ts"
import * as Consumer from "../../Consumer.ts"
import * as Errors from "../../Errors.ts"
import type { RawJob } from "../../Protocol.ts"
import type { PeekedJob, Tube, TypedJob, Undecodable } from "../../Tube.ts"
import { decoded } from "../job/decodedJob.ts"
import { putAll, putPulled } from "../job/putAll.ts"
import { countJob } from "../telemetry/jobRecorder.ts"
import type { Bodies, Received } from "./bodies.ts"
import type { Producer } from "./producer.ts"
import { bodies, TubePrototype } from "./prototype.ts"

/** What a body says: its value, and its envelope if it has one. */
type Understood<A> = Pick<TypedJob<A>, "value" | "envelope">

const buryUndecodable = Effect.fnUntraced(function*({ error, job }: Undecodable) {
  yield* Effect.logError(`buried: ${error.message}`).pipe(
    Effect.annotateLogs({ server: job.server, tube: error.tube, job: job.id })
  )
  // The job can be gone: its lease has ended, or its connection. Then the next one who reserves it buries it.
  yield* Effect.ignore(Effect.andThen(job.bury(), countJob("buried", { server: job.server, tube: error.tube })))
})

/** A tube with options that make sense. Its name may still be one that the commands refuse. */
export class TubeImpl<in out A, out C, out RD, out RE> extends TubePrototype<C> implements Tube<A, C, RD, RE> {
  readonly #producer: Producer<A, RD, RE>
  readonly [bodies]: Bodies<A, RD, RE>

  constructor(
    name: string,
    client: Context.Key<C, Client.Service>,
    ownBodies: Bodies<A, RD, RE>,
    producer: Producer<A, RD, RE>
  ) {
    super(name, client)
    this[bodies] = ownBodies
    this.#producer = producer
  }

  readonly put: Tube<A, C, RD, RE>["put"] = (value, options) =>
    Effect.flatMap(this.client, (client) => this.#producer.put(client, value, options))

  readonly putAll: Tube<A, C, RD, RE>["putAll"] = (values, options) =>
    Effect.flatMap(
      this.client,
      (client) => this.#producer.putMany(client, options, (put) => putAll(put, values), (refs) => refs.length)
    )

  readonly sink: Tube<A, C, RD, RE>["sink"] = (options) =>
    Sink.fromTransform((upstream) =>
      Effect.flatMap(
        this.client,
        (client) => this.#producer.putMany(client, options, (put) => putPulled(put, upstream), identity)
      ).pipe(Effect.map((count): Sink.End<number> => [count]))
    )

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

  readonly decode: Tube<A, C, RD, RE>["decode"] = (job) => Effect.map(this.#open(job), ({ value }) => value)

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

  #open(job: Received): Effect.Effect<Understood<A>, Errors.DecodeError, RD> {
    const opened = this[bodies].open(job)
    if (opened instanceof Errors.DecodeError) return Effect.fail(opened)
    return Effect.map(this[bodies].decode(job, opened), (value) => ({ value, envelope: opened.head }))
  }

  #peek<E>(look: (client: Client.Service) => Effect.Effect<RawJob, E>) {
    return Effect.flatMap(
      Effect.flatMap(this.client, look),
      (job) =>
        Effect.map(this.#open(job), (understood): PeekedJob<A> => {
          const { body, id, ref, server, text } = job
          return { id, server, ref, body, text, ...understood }
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
              Effect.matchEffect(this.#open(job), {
                onFailure: (error) => onUndecodable({ job, error }),
                onSuccess: ({ envelope, value }) => Effect.succeed(onJob(decoded(job, value, envelope)))
              })
          )
      )
    )
  }
}
