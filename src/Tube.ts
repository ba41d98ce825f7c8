/**
 * Typed tubes: a tube name, a Schema for its jobs, a codec, and the server that the tube lives on. Producers and
 * consumers share one definition, so they cannot disagree.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Inspectable from "effect/Inspectable"
import type * as Pipeable from "effect/Pipeable"
import type * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import type * as Client from "./Client.ts"
import type * as Consumer from "./Consumer.ts"
import type * as Envelope from "./Envelope.ts"
import type * as Errors from "./Errors.ts"
import type { JobRef } from "./internal/protocol/jobRef.ts"
import type { JobId } from "./internal/protocol/scalars.ts"
import { makeTube } from "./internal/tube/makeTube.ts"
import * as Prototype from "./internal/tube/prototype.ts"
import type { Job } from "./Job.ts"
import type * as Protocol from "./Protocol.ts"
import type * as Stats from "./Stats.ts"

/**
 * The type ID of tubes.
 *
 * @since 0.1.0
 * @category type IDs
 */
export type TypeId = "~effect-beanstalkd/Tube"

/**
 * The type ID of tubes.
 *
 * @since 0.1.0
 * @category type IDs
 */
export const TypeId: TypeId = Prototype.TypeId

/**
 * A reserved job, and the value that its body decodes to.
 *
 * @since 0.1.0
 * @category models
 */
export interface TypedJob<out A> extends Job {
  /** The value in the body. */
  readonly value: A
  /** What the envelope of the body says, if it has one that the tube reads. */
  readonly envelope: Envelope.Head | undefined
}

/**
 * A job that was read without being reserved, and the value that its body decodes to.
 *
 * @since 0.1.0
 * @category models
 */
export interface PeekedJob<out A> {
  /** The id that the server gave the job. */
  readonly id: JobId
  /** The address of the server that has the job. */
  readonly server: string
  /** The job among those of all servers. */
  readonly ref: JobRef
  /** The body, every byte as it was put. */
  readonly body: Uint8Array
  /** The body read as UTF-8. */
  readonly text: string
  /** The value in the body. */
  readonly value: A
  /** What the envelope of the body says, if it has one that the tube reads. */
  readonly envelope: Envelope.Head | undefined
}

/**
 * A reserved job whose body does not decode, and the error that says why.
 *
 * @since 0.1.0
 * @category models
 */
export interface Undecodable {
  /** The job, which you must settle. */
  readonly job: Job
  /** The reason, with the bytes of the body. */
  readonly error: Errors.DecodeError
}

/**
 * How values travel:
 *
 * - `json`: JSON text, of any Schema
 * - `text`: UTF-8 text. The encoded side of the Schema must be a string; without a Schema the value is the text
 * - `bytes`: plain bytes. The encoded side of the Schema must be a `Uint8Array`; without a Schema the value is the bytes
 * - `binary`: Effect's compact binary format (`effect/encoding/SchemaBinary`), of any Schema
 *
 * @since 0.1.0
 * @category models
 */
export type CodecName = "json" | "text" | "bytes" | "binary"

/**
 * The options of a put into a tube: those of the client, and what the envelope is to say. Tubes that write no envelope refuse
 * the latter.
 *
 * @since 0.1.0
 * @category models
 */
export interface PutOptions extends Client.PutOptions {
  /**
   * The idempotency key, which stays the same through retries, dead letters and further puts. Default: what the option
   * `envelope` of the tube makes of the value, or a new UUID of version 7.
   */
  readonly id?: string | undefined

  /**
   * After how long nobody needs the job any more, longer than its `delay`; a plain number is milliseconds. It counts from the
   * put. Workers run no handler for a job that has expired, see their `onExpired`. Default: never.
   */
  readonly expiresIn?: Duration.Input | undefined

  /** The tube in which an answer is awaited. Default: none. */
  readonly replyTo?: string | undefined

  /** What the job belongs to: the request that it answers, the pipeline that it is part of. Default: nothing. */
  readonly correlationId?: string | undefined

  /** How many attempts the job has, at least 1, in place of the `maxAttempts` of its worker. Default: what the worker says. */
  readonly maxAttempts?: number | undefined

  /** Who puts the job, such as the name of a service. Default: the `Envelope.Sender`. */
  readonly by?: string | undefined
}

/**
 * The options of a tube. `priority`, `delay` and `ttr` are the defaults of its puts; each put can override them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<S extends Schema.Constraint, C> extends Omit<Client.PutOptions, "key"> {
  /** The Schema of the values. `text` and `bytes` work without one. */
  readonly schema: S
  /** How values become bodies. Default: `"json"`. */
  readonly codec?: CodecName | undefined
  /** How urgent the jobs are, from 0 to 4294967295; 0 is the most urgent. Default: 2147483648. */
  readonly priority?: number | undefined
  /** How long a job waits before it is ready, rounded up to whole seconds. Default: 0. */
  readonly delay?: Duration.Input | undefined
  /** How long a worker may hold a job, rounded up to whole seconds, at least 1 second. Default: 2 minutes. */
  readonly ttr?: Duration.Input | undefined
  /**
   * The key of a value: jobs of the same key go to the same server of a fleet, in order, for as long as it takes them. With
   * one server it changes nothing. Default: none, so that a fleet chooses the server.
   */
  readonly key?: ((value: S["Type"]) => string | undefined) | undefined
  /**
   * Whether jobs carry an envelope, see `Envelope`: `true` writes one around each payload; `"accept"` writes none, for
   * consumers that are deployed before their producers write envelopes; `"cloudevents"` writes CloudEvents; an object says
   * more. All of them read envelopes, CloudEvents and bare bodies. Default: `false`, which reads bare bodies alone.
   */
  readonly envelope?: boolean | "accept" | "cloudevents" | Envelope.EnvelopeOptions<S["Type"]> | undefined
  /** The service tag of the client for the server that the tube lives on. Default: `Client.Beanstalkd`. */
  readonly client?: Context.Key<C, Client.Service> | undefined
}

type Failure<K extends Protocol.CommandName> = Protocol.Failure<K>

/**
 * A tube of values of type `A`. Its effects need `C`, the client; they need `RD` and `RE` if the Schema needs services
 * to decode and to encode.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tube<in out A, out C = Client.Beanstalkd, out RD = never, out RE = never>
  extends Pipeable.Pipeable, Inspectable.Inspectable
{
  readonly [TypeId]: TypeId

  /** The name of the tube on the server. */
  readonly name: string

  /** The client of the server that the tube lives on. */
  readonly client: Effect.Effect<Client.Service, never, C>

  /**
   * Puts a value and gives the reference of its job. A value that the Schema does not allow is an `InvalidArgument`,
   * and nothing is sent. (protocol: `put`)
   */
  readonly put: (value: A, options?: PutOptions) => Effect.Effect<JobRef, Failure<"put">, C | RE>

  /**
   * Puts many values, pipelined, and gives the references in order. The first failure ends it with a `PutAllError`,
   * which has the references of the jobs that were put; see `putAll` of the client.
   */
  readonly putAll: <E = never, R = never>(
    values: Iterable<A> | Stream.Stream<A, E, R>,
    options?: PutOptions
  ) => Effect.Effect<ReadonlyArray<JobRef>, E | Errors.PutAllError, C | RE | R>

  /**
   * A `Sink` that puts what a stream gives, pipelined, and gives the number of jobs when the stream ends. At most 512 puts
   * are in flight, and it pulls no more until one is acknowledged, so a stream may be endless. It fails as `putAll`: the
   * first failure ends it, also while the stream is quiet, with a `PutAllError`. That has the last 10,000 references of the
   * jobs that were put, and in `omitted` the number of those before. For the references of all, take `putAll`.
   *
   * ```ts
   * import { Tube } from "effect-beanstalkd"
   * import { Effect, Schema, Stream } from "effect"
   *
   * const Clicks = Tube.make("clicks", { schema: Schema.Struct({ page: Schema.String }) })
   *
   * declare const clicks: Stream.Stream<{ readonly page: string }>
   *
   * const forward = Stream.run(clicks, Clicks.sink({ priority: 10 })).pipe(
   *   Effect.tap((count) => Effect.log(`${count} jobs were put`))
   * )
   * ```
   *
   * (protocol: `put`)
   */
  readonly sink: (options?: PutOptions) => Sink.Sink<number, A, never, Errors.PutAllError, C | RE>

  /**
   * Reserves jobs as a stream; see `Consumer.stream`. A job whose body does not decode is buried, logged and counted,
   * and the stream continues.
   */
  readonly stream: (
    options?: Consumer.Options
  ) => Stream.Stream<TypedJob<A>, Errors.BeanstalkdError, C | RD>

  /** Like `stream`, but a job whose body does not decode arrives as a failed `Result`, and you must settle it. */
  readonly streamResult: (
    options?: Consumer.Options
  ) => Stream.Stream<Result.Result<TypedJob<A>, Undecodable>, Errors.BeanstalkdError, C | RD>

  /** Decodes the body of a job. */
  readonly decode: (job: Pick<Job, "id" | "body">) => Effect.Effect<A, Errors.DecodeError, RD>

  /** Reads the next ready job without reserving it. (protocol: `peek-ready`) */
  readonly peekReady: Effect.Effect<PeekedJob<A>, Failure<"peekReady"> | Errors.DecodeError, C | RD>

  /** Reads the delayed job whose delay ends first. (protocol: `peek-delayed`) */
  readonly peekDelayed: Effect.Effect<PeekedJob<A>, Failure<"peekDelayed"> | Errors.DecodeError, C | RD>

  /** Reads the job that was buried first. (protocol: `peek-buried`) */
  readonly peekBuried: Effect.Effect<PeekedJob<A>, Failure<"peekBuried"> | Errors.DecodeError, C | RD>

  /**
   * Makes at most `bound` (default 1) buried jobs ready, or delayed jobs if none is buried, and gives their number.
   * (protocol: `kick`)
   */
  readonly kick: (bound?: number) => Effect.Effect<number, Failure<"kick">, C>

  /** Stops all reserves from the tube until the delay is over; 0 ends the pause. (protocol: `pause-tube`) */
  readonly pause: (delay: Duration.Input) => Effect.Effect<void, Failure<"pauseTube">, C>

  /** The statistics of the tube. (protocol: `stats-tube`) */
  readonly stats: Effect.Effect<Stats.TubeStats, Failure<"statsTube">, C>
}

/**
 * Whether a value is a {@link Tube}.
 *
 * @since 0.1.0
 * @category guards
 */
export const isTube: (value: unknown) => value is Tube<unknown, unknown, unknown, unknown> = Prototype.isTube

type TubeOf<S extends Schema.Constraint, C> = Tube<S["Type"], C, S["DecodingServices"], S["EncodingServices"]>

// The options of a tube without a Schema.
type Plain<Name extends CodecName, A, C> = Omit<Options<Schema.Schema<A>, C>, "schema"> & {
  readonly codec: Name
  readonly schema?: undefined
}

/**
 * Defines a tube. It needs no connection and never fails: a name or an option that makes no sense is refused by the
 * first effect that needs it. Streams and workers refuse it with the reason `InvalidOptions`, everything else with an
 * `InvalidArgument`.
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
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  <S extends Schema.Constraint, C = Client.Beanstalkd>(name: string, options: Options<S, C>): TubeOf<S, C>
  <C = Client.Beanstalkd>(
    name: string,
    options: Plain<"text", string, C>
  ): Tube<string, C>
  <C = Client.Beanstalkd>(
    name: string,
    options: Plain<"bytes", Uint8Array, C>
  ): Tube<Uint8Array, C>
} = makeTube
