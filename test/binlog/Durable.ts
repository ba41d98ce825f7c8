/**
 * An embedded server with a directory, in memory otherwise, and what it says of its jobs without the client.
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import { Server } from "effect-beanstalkd"
import { askDialer, parseStats } from "../support/Ask.ts"

/** What `stats-job` and `peek` say of a job, without what changes by itself. */
export interface JobFacts {
  readonly id: number
  readonly tube: string
  readonly state: string
  readonly pri: number
  readonly delay: number
  readonly ttr: number
  readonly file: number
  readonly reserves: number
  readonly timeouts: number
  readonly releases: number
  readonly buries: number
  readonly kicks: number
  readonly bodyBase64: string
}

export interface Durable {
  readonly server: Server.Service
  /** Sends commands on a connection of their own, as bytes, and gives all that is answered. */
  readonly raw: (...commands: ReadonlyArray<string>) => Effect.Effect<string>
  readonly stats: Effect.Effect<Record<string, string>>
  /** All jobs up to an id. */
  readonly jobs: (upTo: number) => Effect.Effect<ReadonlyArray<JobFacts>>
  /** The warnings so far. */
  readonly told: ReadonlyArray<string>
}

type Raw = (command: string) => Effect.Effect<string>

/** What a server says of a job; undefined if it has none of this id. */
export const factsOf = Effect.fnUntraced(function*(raw: Raw, id: number) {
  const stats = yield* raw(`stats-job ${id}`)
  if (stats === "NOT_FOUND\r\n") return undefined
  const peeked = yield* raw(`peek ${id}`)
  const start = peeked.indexOf("\r\n") + 2
  const { age: _, "time-left": __, ...rest } = parseStats(stats)
  const entries = Object.entries(rest).map(([key, value]) => [
    key,
    key === "tube" || key === "state" ? value : Number(value)
  ])
  const bodyBase64 = Buffer.from(peeked.slice(start, -2), "latin1").toString("base64")
  return { ...Object.fromEntries(entries), bodyBase64 } as JobFacts
})

/** What a server says of all jobs up to an id. */
export const allFacts = (raw: Raw, upTo: number) =>
  Effect.map(
    Effect.forEach(Array.from({ length: upTo }, (_, i) => i + 1), (id) => factsOf(raw, id)),
    (all) => all.filter((job) => job !== undefined)
  )

/** Puts a job, and gives its id. */
export const putOn = (raw: Raw) => (body: string, { delay = 0, pri = 0, ttr = 60, tube = "default" } = {}) =>
  Effect.map(raw(`use ${tube}\r\nput ${pri} ${delay} ${ttr} ${body.length}\r\n${body}`), (answer) => {
    const found = /INSERTED (\d+)/.exec(answer)
    if (found === null) throw new Error(answer)
    return Number(found[1])
  })

// Files of the default size take their time.
const SMALL = 100_000

/** Starts a server on a directory, until the Scope is closed. */
export const start = Effect.fnUntraced(function*(
  directory: string,
  options: Omit<Server.MemoryOptions, "directory"> = {}
): Effect.fn.Return<Durable, Server.BinlogError | Server.ListenError, Scope.Scope> {
  const told: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel === "Warn") told.push(String(message))
  })
  const server = yield* Effect.provide(
    Server.makeMemory({ directory, fileSize: SMALL, ...options }),
    Logger.layer([logger])
  )
  const { dialer } = server.clientOptions
  const raw = (...commands: ReadonlyArray<string>) => Effect.orDie(askDialer(dialer!, commands.join("\r\n")))
  return {
    server,
    raw,
    stats: Effect.map(raw("stats"), parseStats),
    jobs: (upTo) => allFacts(raw, upTo),
    told
  }
})

/** Runs a test on a server, which has ended when this returns. */
export const use = <A, E>(
  directory: string,
  options: Omit<Server.MemoryOptions, "directory">,
  test: (durable: Durable) => Effect.Effect<A, E, Scope.Scope>
) => Effect.scoped(Effect.flatMap(start(directory, options), test))

/** Why a server does not start. */
export const refusal = (directory: string, options: Omit<Server.MemoryOptions, "directory"> = {}) =>
  Effect.map(Effect.flip(Effect.scoped(start(directory, options))), (error) => {
    if (error._tag !== "BinlogError") throw error
    return error
  })
