/**
 * The bodies of the jobs of a tube: a payload, which its codec writes and reads, and an envelope around it if the tube has one.
 */
import * as Effect from "effect/Effect"
import * as Errors from "../../Errors.ts"
import type { Job } from "../../Job.ts"
import type { Moment } from "../envelope/moment.ts"
import type { Opened } from "../envelope/line.ts"
import { expanded, Opener } from "../envelope/opening.ts"
import type { Settings } from "../envelope/options.ts"
import { type Change, Rewriter } from "../envelope/rewriting.ts"
import { type Sealed, Sealer, type Terms } from "../envelope/sealing.ts"
import type { Body } from "../job/putAll.ts"
import { describeCause } from "../protocol/describe.ts"
import type { Codec } from "./codec.ts"

/** A job as far as its body is concerned. */
export type Received = Pick<Job, "id" | "body">

/** What makes and reads the bodies of a tube. */
export class Bodies<in out A, out RD, out RE> {
  readonly #tube: string
  readonly #codec: Codec<A, RD, RE>
  readonly #sealer: Sealer<A>
  readonly #opener: Opener
  readonly #rewriter: Rewriter
  readonly envelope: Settings | undefined

  constructor(tube: string, codec: Codec<A, RD, RE>, envelope: Settings | undefined) {
    this.#tube = tube
    this.#codec = codec
    const wrapping = { tube, contentType: codec.name, settings: envelope }
    this.#sealer = new Sealer(wrapping)
    this.#opener = new Opener(wrapping)
    this.#rewriter = new Rewriter(wrapping)
    this.envelope = envelope
  }

  /** The payload of a value. */
  encode(value: A): Effect.Effect<Body, Errors.InvalidArgument, RE> {
    return Effect.mapError(
      // A value that cannot even be read is none that the Schema allows.
      Effect.catchDefect(this.#codec.encode(value), Effect.fail),
      (error) =>
        new Errors.InvalidArgument({
          operation: "put",
          argument: "value",
          value,
          rule: `as the Schema of tube ${this.#tube} says (${describeCause(error)})`
        })
    )
  }

  /** The body that carries this payload. Tubes that write no envelope need no moment. */
  seal(
    payload: Body,
    value: A,
    terms: Terms,
    moment: Moment | undefined
  ): Sealed {
    return this.#sealer.seal(payload, value, terms, moment)
  }

  /** Takes the body of a job apart, without reading its payload. */
  open(job: Received): Opened | Errors.DecodeError {
    const opened = this.#opener.open(job.body)
    return typeof opened === "string" ? this.#error(job, opened) : opened
  }

  /** The value in a payload. */
  decode(job: Received, opened: Opened): Effect.Effect<A, Errors.DecodeError, RD> {
    return Effect.mapError(this.#decode(opened), (cause) => this.#error(job, cause))
  }

  /** The body of a job that is put once more. */
  rewrite(body: Uint8Array, change: Change, now: number): Uint8Array {
    return this.#rewriter.rewrite(body, change, now)
  }

  #decode(opened: Opened): Effect.Effect<A, unknown, RD> {
    const upcast = this.#opener.upcasting(opened.head)
    const decode = (payload: Uint8Array) =>
      upcast === undefined ? this.#codec.decode(payload) : this.#codec.decodeOld(payload, upcast)
    if (opened.head?.compression === undefined) return decode(opened.payload)
    return Effect.flatMap(
      Effect.mapError(expanded(opened), (error) => `its payload does not expand (${describeCause(error)})`),
      decode
    )
  }

  #error({ body, id }: Received, cause: unknown): Errors.DecodeError {
    return new Errors.DecodeError({ tube: this.#tube, id, body, cause })
  }
}
