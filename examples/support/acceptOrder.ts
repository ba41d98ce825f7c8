/**
 * An HTTP endpoint without a framework: what becomes of a body, as a status and an answer. Each outcome of a put has a status
 * of its own, and the compiler says if one is forgotten. Shared by the hosts that are no Effect programs.
 */
import { Cause, Effect, Exit, type Layer, type ManagedRuntime, Schema } from "effect"
import { Client, Server, Tube } from "effect-beanstalkd"

const Order = Schema.Struct({
  // From the caller, so that it can repeat a request of which it does not know what has become.
  id: Schema.String.check(Schema.isMinLength(1)),
  item: Schema.String
})

export const Orders = Tube.make("orders", { schema: Order })

export interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body: { readonly job: string } | { readonly error: string }
}

const refuse = (status: number, error: string): Effect.Effect<Answer> => Effect.succeed({ status, body: { error } })

const later: Answer = { status: 503, headers: { "retry-after": "1" }, body: { error: "try again later" } }

// It may have been put. The caller repeats it with the same id, and the worker knows ids that it has done.
const unknown: Answer = { status: 504, body: { error: "perhaps accepted: repeat it with the same id" } }

const accept = (body: string): Effect.Effect<Answer, never, Client.Beanstalkd> =>
  Schema.decodeEffect(Schema.fromJsonString(Order))(body).pipe(
    Effect.flatMap((order) => Orders.put(order)),
    Effect.map((job): Answer => ({ status: 202, body: { job: String(job) } })),
    Effect.catchTags({
      SchemaError: (error) => refuse(400, error.message),
      InvalidArgument: (error) => refuse(400, error.message),
      JobTooBig: (error) => refuse(413, error.message),
      Draining: () => Effect.succeed(later),
      OutOfMemory: () => Effect.succeed(later),
      // The server has kept the job, and an operator must kick it: to repeat the request would make a second one.
      JobBuried: (error) =>
        Effect.as(Effect.logError(error.message), { status: 202, body: { job: `${error.server}/${error.id}` } }),
      BeanstalkdError: (error) => Effect.as(Effect.logWarning(error.message), error.sent ? unknown : later)
    })
  )

/**
 * Runs it for a host that has promises. The signal is the request's patience: it also ends the wait for a runtime that is
 * still being built, which a timeout inside the effect would not.
 */
export const acceptOrder = async <E>(
  runtime: ManagedRuntime.ManagedRuntime<Client.Beanstalkd, E>,
  body: string,
  signal: AbortSignal
): Promise<Answer> => {
  const exit = await runtime.runPromiseExit(accept(body), { signal })
  if (Exit.isSuccess(exit)) return exit.value
  if (!Cause.hasInterruptsOnly(exit.cause)) return { status: 500, body: { error: "internal error" } }
  return runtime.cachedContext === undefined ? later : unknown
}

/**
 * The client of a host. `waitForServer`: a runtime is built once, and one that could not be built stays so. `connectionWait`:
 * a caller of HTTP is answered soon, though the server is away.
 */
const options = { connectionWait: "500 millis", waitForServer: true } as const

export const ClientOfHost: Layer.Layer<Client.Beanstalkd, { readonly message: string }> =
  process.env["BEANSTALKD_URL"] === undefined
    ? Server.layerMemory({ client: options })
    : Client.layerUrl(process.env["BEANSTALKD_URL"], options)
