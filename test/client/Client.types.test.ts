/**
 * What the compiler promises to those who use the client: for each member of the service exactly what it takes, gives
 * and can fail with; and seven programs as one would write them, with what they need and how they can fail. The proofs
 * are in the types, so it is `tsc` that runs this file.
 */
import { describe, expectTypeOf, it } from "@effect/vitest"
import { Config, Context, Duration, Effect, Layer, Option, Schedule, Schema, type Scope, Stream } from "effect"
import { Client, type Connection, type Errors, type Job, Pool, type Protocol, type Stats } from "effect-beanstalkd"
import { type HttpBody, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"

type Id = Protocol.JobId
type Ref = Job.JobRef
type Peeked = Protocol.RawJob
type Invalid = Errors.InvalidArgument
type Any = Errors.BeanstalkdError
type PutFailure = Invalid | Errors.JobTooBig | Errors.JobBuried | Errors.Draining | Errors.OutOfMemory | Any

declare const beanstalkd: Client.Service

class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}
class Archive extends Context.Service<Archive, { readonly lines: Stream.Stream<string, Broken> }>()("test/Archive") {}

describe("the type of the client", () => {
  it("has these members and no others", () => {
    expectTypeOf<keyof Client.Service>().toEqualTypeOf<
      | "server"
      | "put"
      | "putAll"
      | "reserve"
      | "reserveJob"
      | "delete"
      | "peek"
      | "peekReady"
      | "peekDelayed"
      | "peekBuried"
      | "kick"
      | "kickJob"
      | "pauseTube"
      | "stats"
      | "statsTube"
      | "statsJob"
      | "listTubes"
      | "connection"
      | "health"
      | "poolStats"
      | "run"
      | "intake"
    >()
    expectTypeOf<Client.Service["server"]>().toEqualTypeOf<string>()
  })

  it("put takes a tube and a body, and fails in five ways and the one of all commands", () => {
    expectTypeOf<Client.Service["put"]>().toEqualTypeOf<
      (tube: string, body: Uint8Array | string, options?: Client.PutOptions) => Effect.Effect<Ref, PutFailure>
    >()
    expectTypeOf<keyof Client.PutOptions>().toEqualTypeOf<"priority" | "delay" | "ttr" | "key">()
  })

  it("putAll of an iterable fails with PutAllError, and needs nothing", () => {
    type All = Effect.Effect<ReadonlyArray<Ref>, Errors.PutAllError>
    const generated = function*() {
      yield "a"
      yield new Uint8Array(1)
    }
    const fromArray = () => beanstalkd.putAll("jobs", ["a", "b"])
    const fromSet = () => beanstalkd.putAll("jobs", new Set([new Uint8Array(1)]), { priority: 1 })
    const fromGenerator = () => beanstalkd.putAll("jobs", generated())
    expectTypeOf(fromArray).returns.toEqualTypeOf<All>()
    expectTypeOf(fromSet).returns.toEqualTypeOf<All>()
    expectTypeOf(fromGenerator).returns.toEqualTypeOf<All>()
    expectTypeOf<Errors.PutAllError["inserted"]>().toEqualTypeOf<ReadonlyArray<Ref>>()
    expectTypeOf<Errors.PutAllError["cause"]>().toEqualTypeOf<PutFailure>()
  })

  it("putAll of a stream fails as the stream does besides, and needs what it needs", () => {
    const fromStream = () => beanstalkd.putAll("jobs", Stream.unwrap(Effect.map(Archive, ({ lines }) => lines)))
    expectTypeOf(fromStream).returns.toEqualTypeOf<
      Effect.Effect<ReadonlyArray<Ref>, Broken | Errors.PutAllError, Archive>
    >()
    const fromSure = () => beanstalkd.putAll("jobs", Stream.make("a"))
    expectTypeOf(fromSure).returns.toEqualTypeOf<Effect.Effect<ReadonlyArray<Ref>, Errors.PutAllError>>()
  })

  it("reserve can time out only with a timeout, and needs a Scope", () => {
    type Waits = Effect.Effect<Job.Job, Errors.ReplyTooLarge | Invalid | Any, Scope.Scope>
    type TimesOut = Effect.Effect<Job.Job, Errors.TimedOut | Errors.ReplyTooLarge | Invalid | Any, Scope.Scope>
    const forEver = () => beanstalkd.reserve("jobs")
    const ofSeveral = () => beanstalkd.reserve(["jobs", "other"], {})
    const withNone = () => beanstalkd.reserve("jobs", { timeout: undefined })
    const withTimeout = () => beanstalkd.reserve("jobs", { timeout: "10 seconds" })
    const withMaybe = (timeout?: Duration.Input) => beanstalkd.reserve("jobs", { timeout })
    expectTypeOf(forEver).returns.toEqualTypeOf<Waits>()
    expectTypeOf(ofSeveral).returns.toEqualTypeOf<Waits>()
    expectTypeOf(withNone).returns.toEqualTypeOf<Waits>()
    expectTypeOf(withTimeout).returns.toEqualTypeOf<TimesOut>()
    expectTypeOf(withMaybe).returns.toEqualTypeOf<TimesOut>()
  })

  it("reserveJob may not find the job, and needs a Scope", () => {
    expectTypeOf<Client.Service["reserveJob"]>().toEqualTypeOf<
      (
        job: Client.JobIdentifier
      ) => Effect.Effect<Job.Job, Invalid | Errors.NotFound | Errors.ReplyTooLarge | Any, Scope.Scope>
    >()
  })

  it("delete and kickJob give nothing, and may not find the job", () => {
    type OnJob = (job: Client.JobIdentifier) => Effect.Effect<void, Invalid | Errors.NotFound | Any>
    expectTypeOf<Client.Service["delete"]>().toEqualTypeOf<OnJob>()
    expectTypeOf<Client.Service["kickJob"]>().toEqualTypeOf<OnJob>()
  })

  it("peeks give what can only be looked at, or find nothing", () => {
    type Peek = (tube: string) => Effect.Effect<Peeked, Invalid | Errors.NotFound | Errors.ReplyTooLarge | Any>
    expectTypeOf<Client.Service["peek"]>().toEqualTypeOf<
      (job: Client.JobIdentifier) => Effect.Effect<Peeked, Invalid | Errors.NotFound | Errors.ReplyTooLarge | Any>
    >()
    expectTypeOf<Client.Service["peekReady"]>().toEqualTypeOf<Peek>()
    expectTypeOf<Client.Service["peekDelayed"]>().toEqualTypeOf<Peek>()
    expectTypeOf<Client.Service["peekBuried"]>().toEqualTypeOf<Peek>()
    expectTypeOf<keyof Peeked>().toEqualTypeOf<"id" | "server" | "ref" | "body" | "text">()
  })

  it("kick gives a number and always finds the tube; pauseTube may not", () => {
    expectTypeOf<Client.Service["kick"]>().toEqualTypeOf<
      (tube: string, bound?: number) => Effect.Effect<number, Invalid | Any>
    >()
    expectTypeOf<Client.Service["pauseTube"]>().toEqualTypeOf<
      (tube: string, delay: Duration.Input) => Effect.Effect<void, Invalid | Errors.NotFound | Any>
    >()
  })

  it("stats and listTubes take nothing and can only fail as any command can", () => {
    expectTypeOf<Client.Service["stats"]>().toEqualTypeOf<Effect.Effect<Stats.ServerStats, Any>>()
    expectTypeOf<Client.Service["listTubes"]>().toEqualTypeOf<Effect.Effect<ReadonlyArray<string>, Any>>()
    expectTypeOf<Client.Service["statsTube"]>().toEqualTypeOf<
      (tube: string) => Effect.Effect<Stats.TubeStats, Invalid | Errors.NotFound | Any>
    >()
    expectTypeOf<Client.Service["statsJob"]>().toEqualTypeOf<
      (job: Client.JobIdentifier) => Effect.Effect<Stats.JobStats, Invalid | Errors.NotFound | Any>
    >()
  })

  it("connection is one of one's own, in a Scope", () => {
    expectTypeOf<Client.Service["connection"]>().toEqualTypeOf<
      Effect.Effect<Connection.Service, Any, Scope.Scope>
    >()
  })

  it("wants a JobId where a plain number could be anything", () => {
    // @ts-expect-error a number is no JobId
    const deleting = () => beanstalkd.delete(42)
    expectTypeOf(deleting).toBeFunction()
    expectTypeOf<Id | Ref | Job.Job | Peeked>().toExtend<Client.JobIdentifier>()
  })
})

describe("the type of a job", () => {
  it("has these members and no others", () => {
    expectTypeOf<keyof Job.Job>().toEqualTypeOf<
      | "server"
      | "id"
      | "ref"
      | "body"
      | "text"
      | "delete"
      | "release"
      | "bury"
      | "touch"
      | "lost"
      | "stats"
      | "tube"
      | "attempt"
      | Job.TypeId
    >()
    expectTypeOf<Pick<Job.Job, "server" | "id" | "body" | "text">>().toEqualTypeOf<
      { readonly server: string; readonly id: Id; readonly body: Uint8Array; readonly text: string }
    >()
  })

  it("fails to be settled in these ways", () => {
    expectTypeOf<Job.Job["delete"]>().toEqualTypeOf<Effect.Effect<void, Invalid | Errors.NotFound | Any>>()
    expectTypeOf<Job.Job["touch"]>().toEqualTypeOf<Effect.Effect<void, Invalid | Errors.NotFound | Any>>()
    expectTypeOf<Job.Job["lost"]>().toEqualTypeOf<Effect.Effect<never, Errors.NotFound>>()
    expectTypeOf<Job.Job["release"]>().toEqualTypeOf<
      (options?: Job.ReleaseOptions) => Effect.Effect<void, Invalid | Errors.NotFound | Errors.JobBuried | Any>
    >()
    expectTypeOf<Job.Job["bury"]>().toEqualTypeOf<
      (options?: Job.BuryOptions) => Effect.Effect<void, Invalid | Errors.NotFound | Any>
    >()
  })

  it("fails to tell about itself in these ways", () => {
    type Asked<A> = Effect.Effect<A, Invalid | Errors.NotFound | Any>
    expectTypeOf<Job.Job["stats"]>().toEqualTypeOf<Asked<Stats.JobStats>>()
    expectTypeOf<Job.Job["tube"]>().toEqualTypeOf<Asked<string>>()
    expectTypeOf<Job.Job["attempt"]>().toEqualTypeOf<Asked<number>>()
  })
})

describe("making a client or a pool", () => {
  it("needs a Scope, or gives a layer that needs nothing", () => {
    expectTypeOf(Client.make).toEqualTypeOf<
      (options?: Client.Options) => Effect.Effect<Client.Service, Any, Scope.Scope>
    >()
    expectTypeOf(Client.layer).toEqualTypeOf<(options?: Client.Options) => Layer.Layer<Client.Beanstalkd, Any>>()
    expectTypeOf(Client.layerUrl).toEqualTypeOf<
      (url: string, options?: Omit<Client.Options, "url">) => Layer.Layer<Client.Beanstalkd, Any>
    >()
    expectTypeOf(Client.layerConfig).toEqualTypeOf<
      (options: Config.Wrap<Client.Options>) => Layer.Layer<Client.Beanstalkd, Any | Config.ConfigError>
    >()
    expectTypeOf(Pool.make).toEqualTypeOf<(options?: Pool.Options) => Effect.Effect<Pool.Service, Any, Scope.Scope>>()
    expectTypeOf(Pool.layer).toEqualTypeOf<(options?: Pool.Options) => Layer.Layer<Pool.Pool, Any>>()
    expectTypeOf(Pool.layerConfig).toEqualTypeOf<
      (options: Config.Wrap<Pool.Options>) => Layer.Layer<Pool.Pool, Any | Config.ConfigError>
    >()
  })

  it("takes undefined for every option, and for every option of a command", () => {
    expectTypeOf<{ [K in keyof Client.Options]-?: undefined }>().toExtend<Client.Options>()
    expectTypeOf<{ [K in keyof Client.PutOptions]-?: undefined }>().toExtend<Client.PutOptions>()
    expectTypeOf<{ [K in keyof Job.ReleaseOptions]-?: undefined }>().toExtend<Job.ReleaseOptions>()
    expectTypeOf<{ [K in keyof Job.BuryOptions]-?: undefined }>().toExtend<Job.BuryOptions>()
  })

  it("takes a Schedule of any output as it comes", () => {
    const capped = Schedule.min([Schedule.exponential("10 millis"), Schedule.spaced("1 second")])
    expectTypeOf({ reconnect: capped }).toExtend<Client.Options>()
    expectTypeOf({ reconnect: Schedule.recurs(3) }).toExtend<Client.Options>()
  })

  it("gives pool.use the errors and the needs of what is done with the connection", () => {
    const used = (pool: Pool.Service) => pool.use(() => Effect.flatMap(Archive, () => Effect.fail(new Broken())))
    expectTypeOf(used).returns.toEqualTypeOf<Effect.Effect<never, Broken | Any, Archive>>()
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// Seven programs
// ---------------------------------------------------------------------------------------------------------------------

class Ledger extends Context.Service<Ledger, { readonly book: (line: string) => Effect.Effect<void, Broken> }>()(
  "test/Ledger"
) {}

describe("a program that is written without a cast or an annotation", () => {
  it("puts in an HTTP handler: each error has its answer, and the route needs the client", () => {
    const route = HttpRouter.add(
      "POST",
      "/emails",
      Effect.gen(function*() {
        const beanstalkd = yield* Client.Beanstalkd
        const email = yield* HttpServerRequest.schemaBodyJson(Schema.Struct({ to: Schema.String }))
        const id = yield* beanstalkd.put("emails", JSON.stringify(email), { ttr: "1 minute" })
        return yield* HttpServerResponse.json({ id }, { status: 202 })
      }).pipe(
        Effect.catchTags({
          SchemaError: ({ message }) => HttpServerResponse.json({ message }, { status: 400 }),
          InvalidArgument: Effect.die,
          JobTooBig: ({ size }) => HttpServerResponse.json({ size }, { status: 413 }),
          JobBuried: ({ id }) => HttpServerResponse.json({ id }, { status: 507 }),
          OutOfMemory: ({ server }) => HttpServerResponse.json({ server }, { status: 507 }),
          Draining: ({ server }) => HttpServerResponse.json({ server }, { status: 503 }),
          BeanstalkdError: ({ sent }) => HttpServerResponse.json({ sent }, { status: 503 }),
          HttpServerError: () => HttpServerResponse.json({}, { status: 400 })
        })
      )
    )
    type Requires = HttpRouter.Request<"Requires", Client.Beanstalkd>
    // What is left is that a response cannot be written as JSON.
    type Left = HttpRouter.Request<"Error", HttpBody.HttpBodyError>
    expectTypeOf(route).toEqualTypeOf<Layer.Layer<never, never, HttpRouter.HttpRouter | Requires | Left>>()
    const served = () => Layer.provide(HttpRouter.serve(route), Client.layer({ host: "10.0.0.1" }))
    expectTypeOf<Layer.Error<ReturnType<typeof served>>>().toEqualTypeOf<Any>()
    expectTypeOf<Client.Beanstalkd>().not.toExtend<Layer.Services<ReturnType<typeof served>>>()
  })

  it("reserves in a loop: it never ends but by an error of the client", () => {
    const loop = Effect.gen(function*() {
      const beanstalkd = yield* Client.Beanstalkd
      const { book } = yield* Ledger
      const handleOne = Effect.gen(function*() {
        const job = yield* beanstalkd.reserve(["bills", "refunds"])
        yield* book(`${yield* job.tube}: ${job.text}`).pipe(
          Effect.andThen(job.delete),
          Effect.catchTag("Broken", () => job.release({ delay: "1 minute" }))
        )
      }).pipe(Effect.scoped)
      return yield* Effect.forever(handleOne)
    })
    expectTypeOf(loop).toEqualTypeOf<
      Effect.Effect<
        never,
        Invalid | Errors.NotFound | Errors.JobBuried | Errors.ReplyTooLarge | Any,
        Client.Beanstalkd | Ledger
      >
    >()
  })

  it("moves jobs from tube to tube by hand, until there are no more", () => {
    const move = Effect.fnUntraced(function*(from: string, to: string) {
      const beanstalkd = yield* Client.Beanstalkd
      const moveOne = Effect.gen(function*() {
        const job = yield* beanstalkd.reserve(from, { timeout: 0 })
        const { pri, ttr } = yield* job.stats
        const id = yield* beanstalkd.put(to, job.body, { priority: pri, ttr: Duration.seconds(ttr) })
        yield* job.delete
        return id
      }).pipe(Effect.scoped)
      return yield* Effect.catchTag(Effect.forever(moveOne), "TimedOut", () => Effect.void)
    })
    expectTypeOf(move).toEqualTypeOf<
      (
        from: string,
        to: string
      ) => Effect.Effect<void, PutFailure | Errors.NotFound | Errors.ReplyTooLarge, Client.Beanstalkd>
    >()
  })

  it("tries again by hand: later and later, and then buries", () => {
    const handleOne = Effect.gen(function*() {
      const beanstalkd = yield* Client.Beanstalkd
      const { book } = yield* Ledger
      const job = yield* beanstalkd.reserve("bills")
      const attempt = yield* job.attempt
      const giveBack = attempt < 5
        ? job.release({ delay: Duration.seconds(2 ** attempt) })
        : job.bury({ priority: 0 })
      yield* Effect.matchEffect(book(job.text), { onSuccess: () => job.delete, onFailure: () => giveBack })
    }).pipe(
      Effect.scoped,
      Effect.retry({
        while: (error) => error._tag === "BeanstalkdError" && error.isRetryable,
        schedule: Schedule.exponential("100 millis")
      })
    )
    expectTypeOf(handleOne).toEqualTypeOf<
      Effect.Effect<
        void,
        Invalid | Errors.NotFound | Errors.JobBuried | Errors.ReplyTooLarge | Any,
        Client.Beanstalkd | Ledger
      >
    >()
  })

  it("drains the buried jobs of a tube, as an administrator does", () => {
    const drain = Effect.fnUntraced(function*(tube: string) {
      const beanstalkd = yield* Client.Beanstalkd
      const next = beanstalkd.peekBuried(tube).pipe(
        Effect.asSome,
        Effect.catchTag("NotFound", () => Effect.succeedNone)
      )
      const bodies = []
      for (let job = yield* next; Option.isSome(job); job = yield* next) {
        bodies.push(job.value.text)
        yield* Effect.catchTag(beanstalkd.delete(job.value.id), "NotFound", () => Effect.void)
      }
      return bodies
    })
    expectTypeOf(drain).toEqualTypeOf<
      (tube: string) => Effect.Effect<Array<string>, Invalid | Errors.ReplyTooLarge | Any, Client.Beanstalkd>
    >()
  })

  it("has two servers, and the compiler knows which is which", () => {
    class Billing extends Context.Service<Billing, Client.Service>()("test/types/Billing") {
      static readonly layer = Layer.effect(Billing, Client.make({ host: "10.0.0.2" }))
    }
    const charge = Effect.gen(function*() {
      const billing = yield* Billing
      return yield* billing.put("charges", "5 EUR")
    })
    const both = Effect.gen(function*() {
      const beanstalkd = yield* Client.Beanstalkd
      return [yield* beanstalkd.put("emails", "hello"), yield* charge] as const
    })
    expectTypeOf(charge).toEqualTypeOf<Effect.Effect<Ref, PutFailure, Billing>>()
    expectTypeOf(both).toEqualTypeOf<Effect.Effect<readonly [Ref, Ref], PutFailure, Billing | Client.Beanstalkd>>()
    expectTypeOf(Billing.layer).toEqualTypeOf<Layer.Layer<Billing, Any>>()

    // The layer of the one server does not do for the other.
    const wrong = () => Effect.provide(charge, Client.layer())
    const half = () => Effect.provide(both, Client.layer())
    const right = () => Effect.provide(both, Layer.merge(Client.layer(), Billing.layer))
    expectTypeOf(wrong).returns.toEqualTypeOf<Effect.Effect<Ref, PutFailure, Billing>>()
    expectTypeOf(half).returns.toEqualTypeOf<Effect.Effect<readonly [Ref, Ref], PutFailure, Billing>>()
    expectTypeOf(right).returns.toEqualTypeOf<Effect.Effect<readonly [Ref, Ref], PutFailure>>()
    expectTypeOf(wrong).returns.not.toExtend<Parameters<typeof Effect.runPromise>[0]>()
    expectTypeOf(right).returns.toExtend<Parameters<typeof Effect.runPromise<readonly [Ref, Ref], PutFailure>>[0]>()
    expectTypeOf<Billing>().not.toExtend<Client.Beanstalkd>()
    expectTypeOf<Client.Beanstalkd>().not.toExtend<Billing>()
  })

  it("takes its options from the configuration", () => {
    const live = Client.layerConfig({
      url: Config.String("QUEUE_URL"),
      maxConnections: Config.Int("QUEUE_CONNECTIONS").pipe(Config.withDefault(4)),
      commandTimeout: Config.Duration("QUEUE_TIMEOUT"),
      tls: Config.Boolean("QUEUE_TLS"),
      reconnect: Config.succeed(Schedule.spaced("1 second"))
    })
    const program = Effect.flatMap(Client.Beanstalkd, ({ listTubes }) => listTubes).pipe(Effect.provide(live))
    expectTypeOf(live).toEqualTypeOf<Layer.Layer<Client.Beanstalkd, Any | Config.ConfigError>>()
    expectTypeOf(program).toEqualTypeOf<Effect.Effect<ReadonlyArray<string>, Any | Config.ConfigError>>()
    const whole = () => Client.layerConfig(Config.schema(Schema.Struct({ host: Schema.String }), "QUEUE"))
    expectTypeOf(whole).returns.toEqualTypeOf<Layer.Layer<Client.Beanstalkd, Any | Config.ConfigError>>()
  })
})

describe("the layer of a client", () => {
  it("goes where every layer goes", () => {
    const launched = () => Layer.launch(Layer.provide(Layer.effectDiscard(Client.Beanstalkd), Client.layer()))
    expectTypeOf(launched).returns.toEqualTypeOf<Effect.Effect<never, Any>>()
  })
})
