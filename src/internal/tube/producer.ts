/**
 * The half of a tube that puts: options checked, values encoded, bodies sealed, and the span of the put, if the jobs say in
 * which one they were put.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Tracer from "effect/Tracer"
import type * as Client from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import type { Failure } from "../../Protocol.ts"
import type { PutOptions } from "../../Tube.ts"
import { type Moment, momentOf } from "../envelope/moment.ts"
import { HEAD_OPTIONS, type Terms, termsOf } from "../envelope/sealing.ts"
import type { Body } from "../job/putAll.ts"
import { describeCause } from "../protocol/describe.ts"
import type { JobRef } from "../protocol/jobRef.ts"
import * as Validate from "../protocol/validate.ts"
import * as Spans from "../telemetry/spans.ts"
import type { Bodies } from "./bodies.ts"

/** What tells the key of a value. */
export type KeyOf<A> = ((value: A) => string | undefined) | undefined

/** What the puts of one call have in common. */
interface Call {
  readonly client: Client.Service
  readonly options: Client.PutOptions
  readonly head: Terms
}

/** When and in which span a job is put, of tubes whose jobs say so. */
type MaybeMoment = Moment | undefined

const PUT_OPTIONS = [...Validate.PUT_OPTIONS, ...HEAD_OPTIONS]

const reportPut = (span: Tracer.Span, exit: Exit.Exit<JobRef, unknown>): void => {
  if (Exit.isFailure(exit)) return Spans.markFailure(span, exit)
  span.attribute("messaging.message.id", String(exit.value.id))
  // A fleet chooses the server.
  Spans.setServer(span, exit.value.server)
}

/** Puts the values of one tube. */
export class Producer<in out A, out RD, out RE> {
  readonly #tube: string
  readonly #bodies: Bodies<A, RD, RE>
  readonly #defaults: Client.PutOptions
  readonly #keyOf: KeyOf<A>

  constructor(tube: string, bodies: Bodies<A, RD, RE>, defaults: Client.PutOptions, keyOf: KeyOf<A>) {
    this.#tube = tube
    this.#bodies = bodies
    this.#defaults = defaults
    this.#keyOf = keyOf
  }

  put(client: Client.Service, value: A, options?: PutOptions): Effect.Effect<JobRef, Failure<"put">, RE> {
    const call = this.#callOf(client, options)
    if (call instanceof Errors.InvalidArgument) return Effect.fail(call)
    return this.#inSpan(client, (moment) => this.#put(call, value, moment), reportPut)
  }

  /** Puts many values: `putEach` is given what puts one, and `countOf` tells how many it has put. */
  putMany<B, E, R>(
    client: Client.Service,
    options: PutOptions | undefined,
    putEach: (put: (value: A) => Effect.Effect<JobRef, Failure<"put">, RE>) => Effect.Effect<B, E, R>,
    countOf: (result: B) => number
  ): Effect.Effect<B, E | Errors.PutAllError, R> {
    const call = this.#callOfMany(client, options)
    if (call instanceof Errors.InvalidArgument) {
      return Effect.fail(new Errors.PutAllError({ inserted: [], cause: call }))
    }
    return this.#inSpan<B, E | Errors.PutAllError, R>(
      client,
      // The client checks the options even if there is nothing to put.
      (moment) => Effect.andThen(this.#checkOptions(call), putEach((value) => this.#put(call, value, moment))),
      (span, exit) => {
        if (Exit.isSuccess(exit)) span.attribute("messaging.batch.message_count", countOf(exit.value))
        else Spans.markFailure(span, exit)
      }
    )
  }

  // A wrong name or option is refused before the value is looked at.
  #callOf(client: Client.Service, options: PutOptions | undefined): Call | Errors.InvalidArgument {
    const name = Validate.tube("put", "tube", this.#tube)
    if (name instanceof Errors.InvalidArgument) return name
    // An option that is there but undefined must not hide a default.
    const given = Validate.snapshot<PutOptions>("put", options, PUT_OPTIONS)
    if (given instanceof Errors.InvalidArgument) return given
    const { by, correlationId, expiresIn, id, maxAttempts, replyTo, ...own } = given
    const all = { ...this.#defaults, ...own }
    const said = { by, correlationId, expiresIn, id, maxAttempts, replyTo }
    const head = termsOf(this.#bodies.envelope, said, all.delay)
    return head instanceof Errors.InvalidArgument ? head : { client, options: all, head }
  }

  #callOfMany(client: Client.Service, options: PutOptions | undefined): Call | Errors.InvalidArgument {
    const call = this.#callOf(client, options)
    if (call instanceof Errors.InvalidArgument || call.head.id === undefined) return call
    const rule = "left out, since many jobs are put (the option envelope of the tube can give each its own)"
    return Validate.refuse("putAll", "id", call.head.id, rule)
  }

  #put(call: Call, value: A, moment: MaybeMoment): Effect.Effect<JobRef, Failure<"put">, RE> {
    return Effect.flatMap(this.#bodies.encode(value), (payload): Effect.Effect<JobRef, Failure<"put">> => {
      const sealed = this.#bodies.seal(payload, value, call.head, moment)
      if (sealed instanceof Errors.InvalidArgument) return Effect.fail(sealed)
      return Effect.isEffect(sealed)
        ? Effect.flatMap(sealed, (body) => this.#send(call, value, body))
        : this.#send(call, value, sealed)
    })
  }

  #send({ client, options }: Call, value: A, body: Body): Effect.Effect<JobRef, Failure<"put">> {
    const all = this.#withKey(options, value)
    return all instanceof Errors.InvalidArgument ? Effect.fail(all) : client.put(this.#tube, body, all)
  }

  #withKey(options: Client.PutOptions, value: A): Client.PutOptions | Errors.InvalidArgument {
    if (this.#keyOf === undefined || options.key !== undefined) return options
    try {
      return { ...options, key: this.#keyOf(value) }
    } catch (thrown) {
      const rule = `one of which the key of tube ${this.#tube} can be told (${describeCause(thrown)})`
      return Validate.refuse("put", "value", value, rule)
    }
  }

  #checkOptions({ client, options }: Call): Effect.Effect<unknown, Errors.PutAllError> {
    return client.putAll(this.#tube, [], options)
  }

  // Where nobody hears of spans, jobs still carry on the span that is there.
  #inSpan<B, E, R>(
    client: Client.Service,
    put: (moment: MaybeMoment) => Effect.Effect<B, E, R>,
    report: (span: Tracer.Span, exit: Exit.Exit<B, E>) => void
  ): Effect.Effect<B, E, R> {
    const { envelope } = this.#bodies
    if (envelope === undefined || envelope.writes === "bare") return put(undefined)
    return Effect.withFiber((fiber) => {
      if (!Spans.isTraced(fiber)) return put(momentOf(fiber, fiber.cache.span))
      const kind = envelope.trace === "none" ? "client" : "producer"
      return Effect.useSpan(`send ${this.#tube}`, { kind }, (span) => {
        Spans.describePut(span, this.#tube, client.server)
        return Effect.onExit(put(momentOf(fiber, span)), (exit) => {
          report(span, exit)
          return Effect.void
        })
      })
    })
  }
}
