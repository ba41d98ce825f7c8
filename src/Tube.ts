/**
 * A tube whose jobs are values: its name, the Schema of what is in it, how that is encoded, and which server it lives on.
 * Producers and consumers share one definition, and cannot disagree.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { refused } from "./internal/protocol/invalidOptions.ts"
import * as Validate from "./internal/protocol/validate.ts"
import * as Client from "./Client.ts"
import * as Codec from "./internal/tube/codec.ts"
import * as Consumer from "./Consumer.ts"
import * as Errors from "./Errors.ts"
import { describeCause } from "./internal/protocol/describe.ts"
import type { Job } from "./Job.ts"
import { countJob } from "./internal/telemetry/jobRecorder.ts"
import type * as Protocol from "./Protocol.ts"
import { putAll } from "./internal/job/putAll.ts"
import type * as Stats from "./Stats.ts"
import type { JobRef } from "./internal/protocol/jobRef.ts"
import type { JobId } from "./internal/protocol/scalars.ts"

/** A reserved job and what its body means. */
export interface TypedJob<out A> extends Job {
  readonly value: A
}

/** A job that was only looked at, and what its body means. */
export interface PeekedJob<out A> {
  readonly id: JobId
  readonly server: string
  readonly ref: JobRef
  readonly body: Uint8Array
  readonly text: string
  readonly value: A
}

/** A reserved job whose body does not decode, and why. */
export interface Undecodable {
  readonly job: Job
  readonly error: Errors.DecodeError
}

/**
 * What a tube can be told.
 *
 * - `schema`: of the values
 * - `codec`: how they are encoded, default `json`, see `Codec.Name`; with `text` and `bytes` the schema may be left out
 * - `priority`, `delay`, `ttr`: of the jobs that are put, unless the put says otherwise; the defaults are those of `put`
 * - `client`: the tag of the client of the server that the tube lives on, default `Client.Beanstalkd`
 */
export interface Options<S extends Schema.Constraint, C> extends Client.PutOptions {
  readonly schema: S
  readonly codec?: Codec.Name | undefined
  readonly client?: Context.Key<C, Client.Service> | undefined
}

type Failure<K extends Protocol.CommandName> = Protocol.Failure<K>

/**
 * A tube of values of type `A`. `C` is the client that it needs, `RD` and `RE` what its Schema needs to decode and encode.
 */
export interface Tube<in out A, out C = Client.Beanstalkd, out RD = never, out RE = never> {
  readonly name: string

  /** The client of the server that it lives on. */
  readonly client: Effect.Effect<Client.Service, never, C>

  /** Puts a value. One that the Schema does not allow is an `InvalidArgument`, and is not sent. (protocol: `put`) */
  readonly put: (value: A, options?: Client.PutOptions) => Effect.Effect<JobRef, Failure<"put">, C | RE>

  /** Puts many, pipelined; see `putAll` of the client. */
  readonly putAll: <E = never, R = never>(
    values: Iterable<A> | Stream.Stream<A, E, R>,
    options?: Client.PutOptions
  ) => Effect.Effect<ReadonlyArray<JobRef>, E | Errors.PutAllError, C | RE | R>

  /**
   * A stream of reserved jobs, see `Consumer.stream`. A job whose body does not decode is buried, logged and counted, and
   * the stream goes on.
   */
  readonly stream: (
    options?: Consumer.Options
  ) => Stream.Stream<TypedJob<A>, Errors.BeanstalkdError, C | RD>

  /** The same, where a job whose body does not decode is a failed `Result` with the job in hand. */
  readonly streamResult: (
    options?: Consumer.Options
  ) => Stream.Stream<Result.Result<TypedJob<A>, Undecodable>, Errors.BeanstalkdError, C | RD>

  /** The value in the body of a job. */
  readonly decode: (job: Pick<Job, "id" | "body">) => Effect.Effect<A, Errors.DecodeError, RD>

  /** Looks at the next ready job. (protocol: `peek-ready`) */
  readonly peekReady: Effect.Effect<PeekedJob<A>, Failure<"peekReady"> | Errors.DecodeError, C | RD>

  /** Looks at the job whose delay ends first. (protocol: `peek-delayed`) */
  readonly peekDelayed: Effect.Effect<PeekedJob<A>, Failure<"peekDelayed"> | Errors.DecodeError, C | RD>

  /** Looks at the job that was buried first. (protocol: `peek-buried`) */
  readonly peekBuried: Effect.Effect<PeekedJob<A>, Failure<"peekBuried"> | Errors.DecodeError, C | RD>

  /** Makes at most `bound` (default 1) buried jobs ready, or if there are none, delayed ones. (protocol: `kick`) */
  readonly kick: (bound?: number) => Effect.Effect<number, Failure<"kick">, C>

  /** Lets nobody reserve from it for a while; 0 ends the pause. (protocol: `pause-tube`) */
  readonly pause: (delay: Duration.Input) => Effect.Effect<void, Failure<"pauseTube">, C>

  /** Its statistics. (protocol: `stats-tube`) */
  readonly stats: Effect.Effect<Stats.TubeStats, Failure<"statsTube">, C>
}

type TubeOf<S extends Schema.Constraint, C> = Tube<S["Type"], C, S["DecodingServices"], S["EncodingServices"]>

// An option that is there but undefined must not hide a default.
const defined = (options: Client.PutOptions | undefined) =>
  Validate.snapshot("put", options, ["priority", "delay", "ttr"])

const buryUndecodable = Effect.fnUntraced(function*(server: string, { error, job }: Undecodable) {
  yield* Effect.logError(`buried: ${error.message}`).pipe(
    Effect.annotateLogs({ tube: error.tube, job: job.id })
  )
  // If its time has run out, or the connection is gone, somebody else will meet it.
  yield* Effect.ignore(Effect.andThen(job.bury(), countJob("buried", { server, tube: error.tube })))
})

// Streams and workers open connections of their own, and must end as they do when these have wrong options, not bury all
// that does not decode.
const refusing = (client: Client.Service, wrong: Errors.InvalidArgument): Client.Service => ({
  ...client,
  intake: ({ onFailure }) =>
    Effect.succeed({ taken: 0, asked: 0, fill: () => onFailure(refused(client.server, wrong)), stop: () => {} })
})

const fromCodec = <A, C, RD, RE>(
  name: string,
  defaults: Client.PutOptions,
  tag: Context.Key<C, Client.Service>,
  codec: Codec.Codec<A, RD, RE>,
  wrong: Errors.InvalidArgument | undefined
): Tube<A, C, RD, RE> => {
  const client = wrong === undefined ? tag : Effect.map(tag, (client) => refusing(client, wrong))

  const withClient = <B, E, R>(f: (client: Client.Service) => Effect.Effect<B, E, R>) =>
    Effect.flatMap(
      client,
      (client): Effect.Effect<B, E | Errors.InvalidArgument, R> => wrong === undefined ? f(client) : Effect.fail(wrong)
    )

  const encode = (value: A) =>
    Effect.mapError(
      // A value that cannot even be read is none that the Schema allows.
      Effect.catchDefect(codec.encode(value), Effect.fail),
      (error) =>
        new Errors.InvalidArgument({
          operation: "put",
          argument: "value",
          value,
          rule: `as the Schema of tube ${name} says (${describeCause(error)})`
        })
    )

  const decode = (job: Pick<Job, "id" | "body">) =>
    Effect.mapError(
      codec.decode(job),
      (cause) => new Errors.DecodeError({ tube: name, id: job.id, body: job.body, cause })
    )

  // What is wrong is said whatever there is to put.
  const all = (options: Client.PutOptions | undefined): Client.PutOptions | Errors.InvalidArgument => {
    const checked = Validate.tube("put", "tube", name)
    if (checked instanceof Errors.InvalidArgument) return checked
    const own = defined(options)
    return own instanceof Errors.InvalidArgument ? own : { ...defaults, ...own }
  }

  const putInto = (client: Client.Service, options: Client.PutOptions) => (value: A) =>
    Effect.flatMap(encode(value), (body) => client.put(name, body, options))

  const peek = <E>(look: (client: Client.Service) => Effect.Effect<Protocol.RawJob, E>) =>
    withClient(look).pipe(
      Effect.flatMap((job) =>
        Effect.map(decode(job), (value): PeekedJob<A> => ({
          id: job.id,
          server: job.server,
          ref: job.ref,
          body: job.body,
          text: job.text,
          value
        }))
      )
    )

  const reserved = <B, E, R>(
    options: Consumer.Options | undefined,
    onUndecodable: (server: string, undecodable: Undecodable) => Effect.Effect<B, E, R>,
    onJob: (job: TypedJob<A>) => B
  ) =>
    Stream.unwrap(
      Effect.map(client, (client) =>
        Stream.mapEffect(Consumer.fromClient(client, name, options), (job) =>
          Effect.matchEffect(decode(job), {
            onFailure: (error) =>
              onUndecodable(client.server, { job, error }),
            onSuccess: (value) => Effect.succeed(onJob(Object.assign(job, { value })))
          })))
    )

  return {
    name,
    client,
    decode,
    put: (value, options) =>
      withClient((client): Effect.Effect<JobRef, Failure<"put">, RE> => {
        const own = all(options)
        return own instanceof Errors.InvalidArgument ? Effect.fail(own) : putInto(client, own)(value)
      }),
    putAll: <E, R>(values: Iterable<A> | Stream.Stream<A, E, R>, options?: Client.PutOptions) =>
      Effect.flatMap(client, (client): Effect.Effect<ReadonlyArray<JobRef>, E | Errors.PutAllError, R | RE> => {
        const own = wrong ?? all(options)
        return own instanceof Errors.InvalidArgument
          ? Effect.fail(new Errors.PutAllError({ inserted: [], cause: own }))
          // It checks them.
          : Effect.andThen(client.putAll(name, [], own), putAll(putInto(client, own), values))
      }),
    stream: (options) =>
      reserved<TypedJob<A> | undefined, never, never>(
        options,
        (server, undecodable) => Effect.as(buryUndecodable(server, undecodable), undefined),
        identity
      ).pipe(Stream.filter(Predicate.isNotUndefined)),
    streamResult: (options) =>
      reserved<Result.Result<TypedJob<A>, Undecodable>, never, never>(
        options,
        (_, undecodable) => Effect.succeed(Result.fail(undecodable)),
        Result.succeed
      ),
    peekReady: peek((client) => client.peekReady(name)),
    peekDelayed: peek((client) => client.peekDelayed(name)),
    peekBuried: peek((client) => client.peekBuried(name)),
    kick: (bound) => withClient((client) => client.kick(name, bound)),
    pause: (delay) => withClient((client) => client.pauseTube(name, delay)),
    stats: withClient((client) => client.statsTube(name))
  }
}

const OPTIONS = Validate.optionNames<Options<never, never>>({
  schema: true,
  codec: true,
  priority: true,
  delay: true,
  ttr: true,
  client: true
})

const isTag = (tag: unknown): boolean => {
  try {
    return Context.isKey(tag)
  } catch {
    return false
  }
}

/**
 * Defines a tube. A name that no tube can have, and options that make no sense, are refused by the first command that
 * needs it: by all as an `InvalidArgument`, by streams and workers with the reason `InvalidOptions`.
 *
 * ```ts
 * import { Tube } from "effect-beanstalkd"
 * import { Effect, Schema, Stream } from "effect"
 *
 * const Emails = Tube.make("emails", {
 *   schema: Schema.Struct({ to: Schema.String, subject: Schema.String }),
 *   ttr: "1 minute"
 * })
 *
 * const program = Effect.gen(function*() {
 *   yield* Emails.put({ to: "ada@example.com", subject: "hello" }, { priority: 10 })
 *   yield* Emails.stream().pipe(
 *     Stream.mapEffect((job) => Effect.andThen(Effect.log(job.value.subject), job.delete)),
 *     Stream.take(1),
 *     Stream.runDrain
 *   )
 * })
 * ```
 */
export const make: {
  <S extends Schema.Constraint, C = Client.Beanstalkd>(name: string, options: Options<S, C>): TubeOf<S, C>
  <C = Client.Beanstalkd>(
    name: string,
    options: Omit<Options<never, C>, "schema"> & { readonly codec: "text"; readonly schema?: undefined }
  ): Tube<string, C>
  <C = Client.Beanstalkd>(
    name: string,
    options: Omit<Options<never, C>, "schema"> & { readonly codec: "bytes"; readonly schema?: undefined }
  ): Tube<Uint8Array, C>
} = <S extends Schema.Constraint, C = Client.Beanstalkd>(
  name: string,
  given: Omit<Options<S, C>, "schema"> & { readonly schema?: S | undefined }
): never => {
  const refuse = (wrong: Errors.InvalidArgument) =>
    fromCodec(name, {}, Client.Beanstalkd, Codec.refusing(wrong), wrong) as never
  const options = Validate.snapshot("tube", given, OPTIONS)
  if (options instanceof Errors.InvalidArgument) return refuse(options)
  const { client = Client.Beanstalkd, codec: codecName = "json", schema, ...defaults } = options
  const codec = Codec.make(codecName, schema)
  if (codec instanceof Errors.InvalidArgument) return refuse(codec)
  if (!isTag(client)) {
    const rule = "the tag of a client"
    return refuse(new Errors.InvalidArgument({ operation: "tube", argument: "client", value: client, rule }))
  }
  return fromCodec(name, defaults, client as Context.Key<C, Client.Service>, codec, undefined) as never
}
