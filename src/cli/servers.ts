/**
 * Several servers behind one `--url`: `a,b`, `beanstalk://a:11300,b:11300`, `beanstalk+tls://a,b`, `beanstalk+srv://name`.
 *
 * A command works on one server after the other, as if each were the only one. A server that cannot be reached is told and
 * passed over; the exit code says so in the end.
 */
import * as Effect from "effect/Effect"
import * as Dns from "effect/net/Dns"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { promises as nodeDns } from "node:dns"
import type * as Client from "../Client.ts"
import type * as Fleet from "../Fleet.ts"
import { Chosen, givenOptions, openPipelineWith, severalIn } from "./connect.ts"
import { describe, Failed, isUnreachable, Unanswered, wrongUsage } from "./failures.ts"
import type { NamedJob } from "./jobNames.ts"
import { note } from "./terminal/output.ts"

/** How long a server of several may be silent, in milliseconds, since the others need not wait for it. */
const PATIENCE_MILLIS = 2000

/** A server of those that the flags name. */
export interface OneOfSeveral {
  /** Its name, as in references to its jobs. */
  readonly server: string
  readonly options: Client.Options
}

/** The servers that the flags name. */
export interface Servers {
  readonly all: ReadonlyArray<OneOfSeveral>
  /** The options of a fleet of them. */
  readonly fleet: Fleet.Options
}

const notLookedUp = (name: string, cause: unknown) =>
  new Failed({ message: `UNREACHABLE: the servers of ${name} cannot be looked up: ${(cause as Error).message}` })

const recordsOf = Effect.fnUntraced(function*(name: string) {
  const given = yield* Effect.serviceOption(Dns.Dns)
  if (Option.isNone(given)) {
    return yield* Effect.tryPromise({ try: () => nodeDns.resolveSrv(name), catch: (cause) => notLookedUp(name, cause) })
  }
  const records = yield* Effect.mapError(given.value.resolve(name, "SRV"), (cause) => notLookedUp(name, cause))
  return [...records].map(({ port, target, weight }) => ({ name: String(target), port, weight }))
})

const lookUp = Effect.fnUntraced(function*(name: string) {
  const records = yield* recordsOf(name)
  if (records.length === 0) return yield* new Failed({ message: `UNREACHABLE: DNS has no servers under ${name}` })
  return records.map(({ name, port, weight }): Fleet.ServerOptions => ({
    host: name.replace(/\.$/, ""),
    ...(port === 0 ? {} : { port }),
    weight: Math.max(1, weight)
  }))
})

/** The servers that the flags name, if they name several. */
export const several = Effect.gen(function*() {
  const { host, port, url, ...options } = yield* givenOptions
  const many = severalIn(url)
  if (many === undefined) return undefined
  if (host !== undefined || port !== undefined) {
    return yield* wrongUsage("--url names several servers: leave out --host and --port")
  }
  const [{ readUrl }, { readList }] = yield* Effect.promise(() =>
    Promise.all([import("../internal/fleet/url.ts"), import("../internal/fleet/settings.ts")])
  )
  const named = yield* Effect.fromResult(readUrl("--url", many))
  const servers = "servers" in named ? named.servers : yield* lookUp(named.name)
  const shared = { ...options, commandTimeout: options.commandTimeout ?? PATIENCE_MILLIS }
  const all = yield* Effect.fromResult(readList("--url", servers, shared))
  return { all, fleet: { ...shared, servers, patience: shared.commandTimeout } } satisfies Servers
})

/** A fleet of all servers, or of the only one. */
export const openFleet = Effect.gen(function*() {
  const [{ make }, servers] = yield* Effect.all([Effect.promise(() => import("../Fleet.ts")), several])
  if (servers !== undefined) return yield* make(servers.fleet)
  const { host, port, tls, url, ...options } = yield* givenOptions
  return yield* make({
    ...options,
    commandTimeout: options.commandTimeout ?? PATIENCE_MILLIS,
    patience: options.commandTimeout ?? PATIENCE_MILLIS,
    servers: [{ host, port, url, tls }]
  })
})

/** Says which servers did not answer, and fails if there are any. */
export const accountFor = Effect.fnUntraced(function*(
  all: ReadonlyArray<unknown>,
  missing: ReadonlyArray<{ readonly server: string; readonly error: unknown }>
) {
  for (const { error } of missing) yield* note(describe(error))
  if (missing.length === 0) return
  return yield* new Unanswered({ servers: missing.map(({ server }) => server), count: all.length })
})

/** What a server has answered. */
export interface Answer<out A> {
  readonly server: string
  readonly value: A
}

/** What the servers answered that could be reached. All others are `missing`. */
export const askEach = Effect.fnUntraced(function*<A, E, R>(
  all: ReadonlyArray<OneOfSeveral>,
  ask: (one: OneOfSeveral) => Effect.Effect<A, E, R>
) {
  const results = yield* Effect.forEach(
    all,
    (one) => Effect.map(Effect.result(ask(one)), (result) => ({ server: one.server, result })),
    { concurrency: "unbounded" }
  )
  const missing: Array<{ readonly server: string; readonly error: E }> = []
  const answers: Array<Answer<A>> = []
  for (const { result, server } of results) {
    if (Result.isSuccess(result)) answers.push({ server, value: result.success })
    else if (isUnreachable(result.failure)) missing.push({ server, error: result.failure })
    else return yield* Effect.fail(result.failure)
  }
  return { answers, missing }
})

const inTurn = Effect.fnUntraced(function*<E, R>(
  all: ReadonlyArray<OneOfSeveral>,
  body: (server: string) => Effect.Effect<void, E, R>
) {
  // Together, so that those that are down are waited for once.
  const { answers, missing } = yield* askEach(all, ({ options }) => Effect.scoped(openPipelineWith(options)))
  const up = new Set(answers.map(({ server }) => server))
  const lost: Array<{ readonly server: string; readonly error: unknown }> = [...missing]
  for (const one of all.filter(({ server }) => up.has(server))) {
    const result = yield* Effect.result(Effect.provideService(body(one.server), Chosen, one))
    if (Result.isSuccess(result)) continue
    if (!isUnreachable(result.failure)) return yield* Effect.fail(result.failure)
    lost.push({ server: one.server, error: result.failure })
  }
  yield* accountFor(all, lost)
})

/** Runs the command on the only server, or on each of several, whose name it gets then. */
export const onEachServer = Effect.fnUntraced(function*<E, R>(
  body: (server: string | undefined) => Effect.Effect<void, E, R>
) {
  const servers = yield* several
  if (servers === undefined) return yield* body(undefined)
  yield* inTurn(servers.all, body)
})

const nameOf = ({ id, server }: NamedJob): string => `${server}/${id}`

/** Runs the command for the jobs of each server. With several servers each job must say which one has it. */
export const onServersOf = Effect.fnUntraced(function*<E, R>(
  jobs: ReadonlyArray<NamedJob>,
  body: (jobs: ReadonlyArray<NamedJob>) => Effect.Effect<void, E, R>
) {
  const servers = yield* several
  if (servers === undefined) return yield* body(jobs)
  const { all } = servers
  yield* checkJobs(all, jobs)
  const ofServer = (server: string) => jobs.filter((job) => job.server === server)
  yield* inTurn(all.filter(({ server }) => ofServer(server).length > 0), (server) => body(ofServer(server)))
})

/** Refuses jobs of which nobody knows the server. */
export const checkJobs = Effect.fnUntraced(function*(
  all: ReadonlyArray<OneOfSeveral>,
  jobs: ReadonlyArray<NamedJob>
) {
  const bare = jobs.find(({ server }) => server === undefined)
  if (bare !== undefined) {
    return yield* wrongUsage(
      `each of ${all.length} servers may have a job ${bare.id}: write ${
        nameOf({ ...bare, server: all[0]!.server })
      }, ` +
        "or name one server with --url"
    )
  }
  const foreign = jobs.find((job) => all.every(({ server }) => server !== job.server))
  if (foreign === undefined) return
  return yield* wrongUsage(
    `${nameOf(foreign)} is a job of none of ${all.map(({ server }) => server).join(", ")}`
  )
})
