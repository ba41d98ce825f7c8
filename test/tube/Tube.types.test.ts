/**
 * The types of a tube: its values, the services that its effects need, and the errors that they can fail with.
 */
import { describe, expectTypeOf, it } from "@effect/vitest"
import { Context, Effect, type Result, Schema, SchemaGetter, type Stream } from "effect"
import { type Client, type Consumer, type Errors, type Job, Tube } from "effect-beanstalkd"

type Ref = Job.JobRef
type Invalid = Errors.InvalidArgument
type Any = Errors.BeanstalkdError
type PutFailure = Invalid | Errors.JobTooBig | Errors.JobBuried | Errors.Draining | Errors.OutOfMemory | Any
type Decode = Errors.DecodeError

interface Email {
  readonly to: string
  readonly at: Date
}

const Email = Schema.Struct({ to: Schema.String, at: Schema.Date })
const Emails = Tube.make("emails", { schema: Email, ttr: "1 minute" })

class Billing extends Context.Service<Billing, Client.Service>()("test/Billing") {}
class Keys extends Context.Service<Keys, { readonly key: string }>()("test/Keys") {}
class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}

const read = (text: string) => Effect.map(Keys, ({ key }) => `${key} ${text}`)
const Secret = Schema.String.pipe(
  Schema.decode({
    decode: SchemaGetter.transformEffect<string, string, Keys>(read),
    encode: SchemaGetter.transform((text: string) => text)
  })
)

describe("the type of a tube", () => {
  it("is that of the values of its Schema, on the server of the one client", () => {
    expectTypeOf(Emails).toEqualTypeOf<Tube.Tube<Email>>()
    expectTypeOf(Emails.put).toEqualTypeOf<
      (value: Email, options?: Tube.PutOptions) => Effect.Effect<Ref, PutFailure, Client.Beanstalkd>
    >()
    expectTypeOf(Emails.stream).toEqualTypeOf<
      (options?: Consumer.Options) => Stream.Stream<Tube.TypedJob<Email>, Any, Client.Beanstalkd>
    >()
    expectTypeOf(Emails.streamResult).toEqualTypeOf<
      (
        options?: Consumer.Options
      ) => Stream.Stream<Result.Result<Tube.TypedJob<Email>, Tube.Undecodable>, Any, Client.Beanstalkd>
    >()
    expectTypeOf(Emails.peekReady).toEqualTypeOf<
      Effect.Effect<
        Tube.PeekedJob<Email>,
        Invalid | Errors.NotFound | Errors.ReplyTooLarge | Any | Decode,
        Client.Beanstalkd
      >
    >()
    expectTypeOf(Emails.decode).toEqualTypeOf<(job: Pick<Job.Job, "id" | "body">) => Effect.Effect<Email, Decode>>()
    expectTypeOf(Emails.kick).toEqualTypeOf<
      (bound?: number) => Effect.Effect<number, Invalid | Any, Client.Beanstalkd>
    >()
  })

  it("has a job that is a job, with a value", () => {
    expectTypeOf<Tube.TypedJob<Email>>().toExtend<Job.Job>()
    expectTypeOf<Tube.TypedJob<Email>["value"]>().toEqualTypeOf<Email>()
    expectTypeOf<keyof Tube.PeekedJob<Email>>().toEqualTypeOf<
      "id" | "server" | "ref" | "body" | "text" | "value" | "envelope"
    >()
  })

  it("putAll fails as a stream does besides, and needs what it needs", () => {
    const fromArray = () => Emails.putAll([{ to: "", at: new Date() }])
    const fromStream = (stream: Stream.Stream<Email, Broken, Keys>) => Emails.putAll(stream)
    expectTypeOf(fromArray).returns.toEqualTypeOf<
      Effect.Effect<ReadonlyArray<Ref>, Errors.PutAllError, Client.Beanstalkd>
    >()
    expectTypeOf(fromStream).returns.toEqualTypeOf<
      Effect.Effect<ReadonlyArray<Ref>, Broken | Errors.PutAllError, Client.Beanstalkd | Keys>
    >()
  })

  it("needs the client of another server, if it lives there", () => {
    const Invoices = Tube.make("invoices", { schema: Schema.Int, client: Billing })
    expectTypeOf(Invoices).toEqualTypeOf<Tube.Tube<number, Billing>>()
    expectTypeOf(Invoices.put).returns.toEqualTypeOf<Effect.Effect<Ref, PutFailure, Billing>>()
    expectTypeOf(Invoices.stream).returns.toEqualTypeOf<Stream.Stream<Tube.TypedJob<number>, Any, Billing>>()
    expectTypeOf(Tube.make("t", { codec: "text", client: Billing })).toEqualTypeOf<Tube.Tube<string, Billing>>()
  })

  it("needs what its Schema needs, where it needs it", () => {
    const Secrets = Tube.make("secrets", { schema: Secret, codec: "text" })
    expectTypeOf(Secrets).toEqualTypeOf<Tube.Tube<string, Client.Beanstalkd, Keys>>()
    expectTypeOf(Secrets.put).returns.toEqualTypeOf<Effect.Effect<Ref, PutFailure, Client.Beanstalkd>>()
    expectTypeOf(Secrets.stream).returns.toEqualTypeOf<
      Stream.Stream<Tube.TypedJob<string>, Any, Client.Beanstalkd | Keys>
    >()
    expectTypeOf(Secrets.decode).returns.toEqualTypeOf<Effect.Effect<string, Decode, Keys>>()
  })

  it("may do without a Schema for text and bytes, and not otherwise", () => {
    expectTypeOf(Tube.make("t", { codec: "text" })).toEqualTypeOf<Tube.Tube<string>>()
    expectTypeOf(Tube.make("t", { codec: "bytes" })).toEqualTypeOf<Tube.Tube<Uint8Array>>()
    // @ts-expect-error JSON of what?
    const json = () => Tube.make("t", {})
    // @ts-expect-error binary of what?
    const binary = () => Tube.make("t", { codec: "binary" })
    expectTypeOf([json, binary]).toBeArray()
  })

  it("does not take what is no value of it", () => {
    // @ts-expect-error a date is missing
    const missing = () => Emails.put({ to: "ada@example.com" })
    // @ts-expect-error it is a Date, not its encoded side
    const encoded = () => Emails.put({ to: "ada@example.com", at: "2026-11-22" })
    expectTypeOf([missing, encoded]).toBeArray()
  })
})

describe("a stream of jobs", () => {
  it("takes undefined for every option", () => {
    expectTypeOf<{ [K in keyof Consumer.Options]-?: undefined }>().toExtend<Consumer.Options>()
  })
})
