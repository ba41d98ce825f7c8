/**
 * The public functions with arguments that may be anything, and what each of them may send.
 */
import * as Config from "effect/Config"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Client, Connection, Consumer, Pool, Protocol, Server, Tube, Worker } from "effect-beanstalkd"
import { internals } from "../../../src/internal/pool/internals.ts"
import type { Dice } from "../../conformance/Dice.ts"
import { anything, boom, optionsOf } from "./Anything.ts"
import type { Recorder } from "./Recorder.ts"
import { poolOf } from "../../../src/internal/client/internals.ts"

export interface Caller {
  /** What it does with arguments of its own choice. */
  readonly call: (dice: Dice) => Effect.Effect<unknown, unknown, Scope.Scope>
  /** The names of the commands that it sends if it is accepted, with blanks between them. */
  readonly sends: RegExp
  /** And if it is refused; default none. */
  readonly refused?: RegExp | undefined
}

// What a caller without types may pass.
type Any = never

const any = (value: unknown) => value as Any

const among = <A>(...values: ReadonlyArray<A>) => (dice: Dice): A => dice.one(values)
const tube = among("emails", "a", "x".repeat(200), "default")
const delay = among<unknown>(0, 1500, "5 seconds", { minutes: 1 })
const ttr = among<unknown>(1000, "2 minutes")
const priority = among(0, 1023, 2 ** 32 - 1)
const id = among(0, 7, Number.MAX_SAFE_INTEGER)
const body = among<unknown>("hello", "", "\r\nquit\r\n", "é💣", new Uint8Array(3), Buffer.from("put 0 0 1 1\r\n"))
const bound = among(0, 1, 2 ** 32 - 1)

const pick = (dice: Dice, valid: (dice: Dice) => unknown): Any => any(dice.chance(0.6) ? valid(dice) : anything(dice))

const putOptions = (dice: Dice): Any => any(optionsOf(dice, { priority, delay, ttr }))
const tubes = (dice: Dice): Any => any(pick(dice, (dice) => dice.chance(0.5) ? tube(dice) : [tube(dice), "b"]))

const one = (name: string) => new RegExp(`^(use )?${name}$`)

type Effects = (dice: Dice) => Effect.Effect<unknown, unknown, Scope.Scope>
const caller = (sends: RegExp, call: Effects): Caller => ({ call, sends })

/** A commands of a connection of one's own. */
const onConnection = (connection: Connection.Service): Record<string, Caller> => ({
  "connection.put": caller(
    one("put"),
    (dice) => connection.put(pick(dice, body), any(optionsOf(dice, { priority, delay, ttr, tube })))
  ),
  "connection.use": caller(one("use"), (dice) => connection.use(pick(dice, tube))),
  "connection.watch": caller(one("watch"), (dice) => connection.watch(pick(dice, tube))),
  "connection.ignore": caller(one("ignore"), (dice) => connection.ignore(pick(dice, tube))),
  "connection.reserveWithTimeout": caller(
    one("reserve-with-timeout"),
    (dice) => connection.reserveWithTimeout(pick(dice, delay))
  ),
  "connection.reserveJob": caller(one("reserve-job"), (dice) => connection.reserveJob(pick(dice, id))),
  "connection.delete": caller(one("delete"), (dice) => connection.delete(pick(dice, id))),
  "connection.release": caller(
    one("release"),
    (dice) => connection.release(pick(dice, id), any(optionsOf(dice, { priority, delay })))
  ),
  "connection.bury": caller(one("bury"), (dice) => connection.bury(pick(dice, id), any(optionsOf(dice, { priority })))),
  "connection.touch": caller(one("touch"), (dice) => connection.touch(pick(dice, id))),
  "connection.peek": caller(one("peek"), (dice) => connection.peek(pick(dice, id))),
  "connection.kick": caller(one("kick"), (dice) => connection.kick(pick(dice, bound))),
  "connection.kickJob": caller(one("kick-job"), (dice) => connection.kickJob(pick(dice, id))),
  "connection.statsJob": caller(one("stats-job"), (dice) => connection.statsJob(pick(dice, id))),
  "connection.statsTube": caller(one("stats-tube"), (dice) => connection.statsTube(pick(dice, tube))),
  "connection.pauseTube": caller(
    one("pause-tube"),
    (dice) => connection.pauseTube(pick(dice, tube), pick(dice, delay))
  ),
  "connection.run": caller(one("peek-ready"), (dice) => connection.run(Protocol.commands.peekReady, pick(dice, tube)))
})

const RESERVES =
  /^((watch|ignore) )*(reserve-with-timeout|reserve-job) ((touch|stats-job) )*(delete|release|bury|stats-job release)$/

const onClient = (client: Client.Service): Record<string, Caller> => ({
  "client.put": caller(one("put"), (dice) => client.put(pick(dice, tube), pick(dice, body), putOptions(dice))),
  "client.putAll": caller(
    /^((use )?put ?)*$/,
    (dice) => client.putAll(pick(dice, tube), bodiesOf(dice), putOptions(dice))
  ),
  "client.reserve": caller(RESERVES, (dice) => client.reserve(tubes(dice), any(optionsOf(dice, { timeout: delay })))),
  "client.reserveJob": caller(RESERVES, (dice) => client.reserveJob(pick(dice, id))),
  "client.delete": caller(one("delete"), (dice) => client.delete(pick(dice, id))),
  "client.peek": caller(one("peek"), (dice) => client.peek(pick(dice, id))),
  "client.peekReady": caller(one("peek-ready"), (dice) => client.peekReady(pick(dice, tube))),
  "client.peekDelayed": caller(one("peek-delayed"), (dice) => client.peekDelayed(pick(dice, tube))),
  "client.peekBuried": caller(one("peek-buried"), (dice) => client.peekBuried(pick(dice, tube))),
  "client.kick": caller(one("kick"), (dice) => client.kick(pick(dice, tube), pick(dice, bound))),
  "client.kickJob": caller(one("kick-job"), (dice) => client.kickJob(pick(dice, id))),
  "client.pauseTube": caller(one("pause-tube"), (dice) => client.pauseTube(pick(dice, tube), pick(dice, delay))),
  "client.statsTube": caller(one("stats-tube"), (dice) => client.statsTube(pick(dice, tube))),
  "client.statsJob": caller(one("stats-job"), (dice) => client.statsJob(pick(dice, id))),
  "poolOf(client).take": caller(/^((watch|ignore) ?)*$/, (dice) => internals(poolOf(client)).take(tubes(dice))),
  "poolOf(client).open": caller(/^((watch|ignore) ?)*$/, (dice) => internals(poolOf(client)).open(tubes(dice))),
  "job.release": {
    call: (dice) =>
      Effect.flatMap(client.reserve("emails"), (job) => job.release(any(optionsOf(dice, { priority, delay })))),
    sends: RESERVES,
    refused: RESERVES
  },
  "job.bury": {
    call: (dice) => Effect.flatMap(client.reserve("emails"), (job) => job.bury(any(optionsOf(dice, { priority })))),
    sends: RESERVES,
    refused: RESERVES
  }
})

// What else a codec and a Schema may be is refused when a command needs them.
const Codecs = [{ codec: "text" }, { codec: "bytes" }, { schema: Schema.String }, { schema: Schema.Unknown }]

const tubeOf = (dice: Dice): Tube.Tube<unknown> => {
  const options = { priority: pick(dice, priority), delay: pick(dice, delay), ttr: pick(dice, ttr) }
  const own: object = dice.chance(0.5) ? { ...options, ...dice.one(Codecs) } : { ...dice.one(Codecs) }
  for (const name of ["codec", "schema", "client"]) {
    if (dice.chance(0.05)) Object.defineProperty(own, name, { value: anything(dice), configurable: true })
  }
  if (dice.chance(0.05)) return Tube.make(pick(dice, tube), any(dice.one([undefined, null, {}, 5]))) as never
  if (dice.chance(0.1)) Object.defineProperty(own, "ttr", { get: boom })
  return Tube.make(pick(dice, tube), any(own)) as never
}

const ofTube =
  (run: (dice: Dice, tube: Tube.Tube<unknown>) => Effect.Effect<unknown, unknown, Client.Beanstalkd>) =>
  (client: Client.Service): Effects =>
  (dice) => Effect.provideService(run(dice, tubeOf(dice)), Client.Beanstalkd, client)

// Bodies of all kinds of iterables, also of those that break.
const bodiesOf = (dice: Dice): Any => {
  const list = Array.from({ length: dice.int(0, 3) }, () => pick(dice, body))
  const step = dice.one<() => unknown>([boom, () => anything(dice)])
  const iterables: ReadonlyArray<() => unknown> = [
    () => list,
    () => new Set(list),
    () => new Map(list.entries()).values(),
    () => ({ [Symbol.iterator]: boom }),
    () => ({ [Symbol.iterator]: () => ({ next: boom, return: boom }) }),
    () => ({ [Symbol.iterator]: () => ({ next: () => ({ value: Symbol("x") }), return: boom }) }),
    () => {
      let left = list.length
      return { [Symbol.iterator]: () => ({ next: () => left-- > 0 ? { value: "x" } : step(), return: boom }) }
    }
  ]
  return any(dice.chance(0.8) ? dice.one(iterables)() : anything(dice))
}

const onTube = (client: Client.Service): Record<string, Caller> => ({
  "tube.put": caller(one("put"), ofTube((dice, tube) => tube.put(pick(dice, body), putOptions(dice)))(client)),
  "tube.putAll": caller(
    /^((use )?put ?)*$/,
    ofTube((dice, tube) => tube.putAll(bodiesOf(dice), putOptions(dice)))(client)
  ),
  "tube.kick": caller(one("kick"), ofTube((dice, tube) => tube.kick(pick(dice, bound)))(client)),
  "tube.pause": caller(one("pause-tube"), ofTube((dice, tube) => tube.pause(pick(dice, delay)))(client)),
  "tube.peekReady": caller(one("peek-ready"), ofTube((_, tube) => tube.peekReady)(client)),
  "tube.stats": caller(one("stats-tube"), ofTube((_, tube) => tube.stats)(client))
})

const textOr = (dice: Dice): { readonly codec: "text" } => dice.chance(0.9) ? { codec: "text" } : { codec: any("jsn") }

const onFailure = among("release", "bury")
const few = among<unknown>(1, 2, Infinity)
const flag = among(true, false)
const WORKS = /^((watch|ignore|reserve-with-timeout|stats-job|touch|delete|release|bury|use|put) ?)+$/

const onConsumer = (client: Client.Service): Record<string, Caller> => {
  const consumerOptions = { prefetch: few, maxInFlight: few, maxConnections: few, keepLeases: flag }
  const first = <A extends { readonly delete: Effect.Effect<void, unknown> }, E>(
    jobs: Stream.Stream<A, E, Client.Beanstalkd>
  ) =>
    jobs.pipe(
      Stream.take(1),
      Stream.mapEffect((job) => job.delete),
      Stream.runDrain,
      Effect.provideService(Client.Beanstalkd, client)
    )
  return {
    "Consumer.stream": caller(
      WORKS,
      (dice) => first(Consumer.stream(tubes(dice), any(optionsOf(dice, consumerOptions))))
    ),
    "Consumer.take": {
      call: (dice) =>
        Effect.provideService(
          Consumer.take(tubes(dice), any(optionsOf(dice, { timeout: delay, onFailure, delay, priority }))),
          Client.Beanstalkd,
          client
        ),
      sends: RESERVES
    },
    "tube.stream": caller(
      WORKS,
      (dice) => first(Tube.make(pick(dice, tube), textOr(dice)).stream(any(optionsOf(dice, consumerOptions))))
    ),
    "Worker.run": caller(WORKS, (dice) => workOnce(client, dice))
  }
}

const workerOptions = {
  concurrency: among(1, 3),
  maxConnections: few,
  maxAttempts: few,
  crashGuard: flag,
  deadLetter: tube,
  shutdownTimeout: among<unknown>(0, "1 second")
}

// It has a job at once, and ends with its first one.
const workOnce = (client: Client.Service, dice: Dice) => {
  const names = {
    ...workerOptions,
    retrySchedule: () => undefined,
    retryIf: () => () => true,
    onFailure: () => () => Effect.void,
    onGiveUp: () => () => Effect.void,
    onLost: () => () => Effect.void
  }
  const options = optionsOf(dice, names)
  const fails = dice.chance(0.5)
  const name: string = pick(dice, tube)
  const begun = Deferred.makeUnsafe<void>()
  const handler = () => {
    Deferred.doneUnsafe(begun, Exit.void)
    return fails ? Effect.fail("no") : Effect.void
  }
  return Worker.run(Tube.make(name, textOr(dice)), handler, any(options)).pipe(
    Effect.raceFirst(Deferred.await(begun)),
    Effect.provideService(Client.Beanstalkd, client)
  )
}

const connectionOptions = {
  commandTimeout: ttr,
  maxReplySize: among(1000),
  maxUnanswered: among(1, 10),
  maxUnsentBytes: among(1, 1000),
  use: tube,
  watch: among<unknown>("a", ["a", "b"], [])
}

const poolOptions = {
  ...connectionOptions,
  maxConnections: among(1, 2),
  minConnections: among(0),
  idleTimeout: ttr,
  acquireTimeout: ttr,
  connectionWait: delay
}

const addressOptions = {
  host: among("127.0.0.1", "::1"),
  port: among(1, 65_535),
  path: among("/tmp/x"),
  url: among("beanstalk://localhost", "unix:///x", "beanstalk+tls://[::1]:1"),
  tls: flag,
  connectTimeout: ttr,
  keepAlive: flag
}

const engineOptions = { maxJobSize: among(0, 1000), maxClients: among(2, 3), maxMemory: among(10_000) }

const isName = (value: unknown) => typeof value === "string" && value !== ""
const isPort = (value: unknown) => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 65_535

// Anything that is refused: others would be looked up, or listen somewhere.
const unlike = (isRight: (value: unknown) => boolean) => (dice: Dice): unknown => {
  const value = anything(dice)
  return value === undefined || isRight(value) ? unlike(isRight)(dice) : value
}

const isObject = (value: unknown) => typeof value === "object" && value !== null

const listenOptions = (dice: Dice): Any => {
  if (dice.chance(0.1)) return any(unlike(isObject)(dice))
  const engine = dice.chance(0.2) ? optionsOf(dice, engineOptions) : {}
  const wrong = dice.one(["host", "port", "path"] as const)
  const address = dice.chance(0.1)
    ? { port: 0 }
    : { port: 0, [wrong]: unlike(wrong === "port" ? isPort : isName)(dice) }
  try {
    return any(Object.assign(engine as object, address))
  } catch {
    return any(address)
  }
}

const MAKES = /^((use|watch|ignore) ?)*$/

const onMakers = ({ dialer }: Recorder): Record<string, Caller> => {
  // Others are read as if there were none, and would dial.
  const withDialer = (options: unknown): Any =>
    any(
      typeof options === "object" && options !== null && Reflect.isExtensible(options)
        ? Object.assign(options, { dialer })
        : { dialer }
    )
  const safely = (options: unknown): Any => {
    try {
      return withDialer(options)
    } catch {
      return any(options)
    }
  }
  // They are found by their keys, of which some objects show none: then it would dial the default address.
  const configs = (options: unknown): Any => {
    try {
      return any({ ...(options as object), dialer: Config.succeed(dialer) })
    } catch {
      return any(options)
    }
  }
  return {
    "Connection.make": caller(MAKES, (dice) => Connection.make(safely(optionsOf(dice, connectionOptions)))),
    "Pool.make": caller(MAKES, (dice) => Pool.make(safely(optionsOf(dice, poolOptions)))),
    "Client.make": caller(MAKES, (dice) => Client.make(safely(optionsOf(dice, poolOptions)))),
    // It dials nobody before it must.
    "Pool.make, addresses": caller(/^$/, (dice) => Pool.make(any(optionsOf(dice, { ...addressOptions, use: tube })))),
    "Server.makeMemory": caller(
      /^$/,
      (dice) =>
        Server.makeMemory(
          any(optionsOf(dice, engineOptions))
        )
    ),
    "Server.make": caller(/^$/, (dice) => Server.make(listenOptions(dice))),
    "Server.layerMemory": caller(/^$/, (dice) => {
      const client = (dice: Dice) => optionsOf(dice, poolOptions)
      // A client whose tubes find no memory tries again for ten seconds.
      const options = { ...engineOptions, maxMemory: among(1_000_000), client }
      return Layer.build(Server.layerMemory(any(optionsOf(dice, options))))
    }),
    "Client.layerUrl": caller(
      MAKES,
      (dice) => Layer.build(Client.layerUrl(pick(dice, addressOptions.url), safely(optionsOf(dice, poolOptions))))
    ),
    "Client.layerConfig": caller(MAKES, (dice) => {
      if (dice.chance(0.1)) return Layer.build(Client.layerConfig(any(unlike(isObject)(dice))))
      const configured = Object.fromEntries(
        Object.entries(poolOptions).map(([name, valid]) => [name, (dice: Dice) => Config.succeed(pick(dice, valid))])
      )
      return Layer.build(Client.layerConfig(configs(optionsOf(dice, configured))))
    }),
    "server.injectFaults": caller(
      /^$/,
      (dice) =>
        Effect.flatMap(Server.makeMemory(), (server) =>
          server.injectFaults(any(optionsOf(dice, {
            refuse: flag,
            mute: flag,
            delay,
            split: among(1),
            garble: () => undefined,
            shortage: among("jobs", "queues")
          }))))
    ),
    "server.awaitReservers": caller(
      /^$/,
      (dice) =>
        Effect.flatMap(
          Server.makeMemory(),
          (server) =>
            Effect.raceFirst(server.awaitReservers(pick(dice, tube), pick(dice, among(0, 1))), Effect.yieldNow)
        )
    )
  }
}

/** All of them, over this recorder. */
export const all = Effect.fnUntraced(function*(recorder: Recorder) {
  const { dialer } = recorder
  const client = yield* Client.make({ dialer })
  const connection = yield* Connection.make({ dialer })
  return {
    ...onConnection(connection),
    ...onClient(client),
    ...onTube(client),
    ...onConsumer(client),
    ...onMakers(recorder)
  }
})
