/**
 * The samples of `top`: of one server, or of several as if they were one.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { Service } from "../../Client.ts"
import type { TubeStats } from "../../Stats.ts"
import { connect, connectWith } from "../connect.ts"
import { describe, Unanswered } from "../failures.ts"
import { type OneOfSeveral, type Servers, several } from "../servers.ts"
import { note } from "../terminal/output.ts"
import type { Sample } from "../terminal/topModel.ts"
import { ifThere } from "./batch.ts"

/** Where samples come from. */
export interface Source {
  /** The server, or all of them. */
  readonly name: string
  readonly first: Sample
  /** The next sample, or why there is none. */
  readonly next: Effect.Effect<Result.Result<Sample, string>>
}

const takeSample = Effect.fnUntraced(function*(client: Service) {
  const names = yield* client.listTubes
  const [server, tubes] = yield* Effect.all([
    client.stats,
    Effect.forEach(names, (name) => client.run(ifThere.statsTube, name), { concurrency: "unbounded" })
  ], { concurrency: "unbounded" })
  return {
    millis: yield* Clock.currentTimeMillis,
    server,
    tubes: new Map(tubes.flatMap((stats, i) => stats === undefined ? [] : [[names[i]!, stats]]))
  } satisfies Sample
})

// The client redials a lost connection by itself, so there is no point in waiting for an answer meanwhile.
const nextSample = Effect.fnUntraced(function*(client: Service, interval: Duration.Duration) {
  if (!(yield* client.poolStats).shared) return Result.fail(`${client.server} is gone`)
  const sample = yield* Effect.result(
    Effect.timeoutOption(takeSample(client), Duration.max(interval, Duration.seconds(2)))
  )
  if (Result.isFailure(sample)) return Result.fail(describe(sample.failure))
  return Result.fromOption(sample.success, () => `${client.server} does not answer`)
})

type Part = NonNullable<Sample["parts"]>[number]

const addUp = Effect.fnUntraced(function*(parts: ReadonlyArray<readonly [string, Result.Result<Sample, string>]>) {
  const { sumOf } = yield* Effect.promise(() => import("../../internal/fleet/stats.ts"))
  const samples = parts.flatMap(([, result]) => Result.isSuccess(result) ? [result.success] : [])
  const [first] = samples
  if (first === undefined) {
    return Result.fail(parts.map(([, result]) => Result.isFailure(result) ? result.failure : "").join("; "))
  }
  const tubes = new Map<string, TubeStats>()
  for (const [name, stats] of samples.flatMap(({ tubes }) => [...tubes])) {
    const sum = tubes.get(name)
    tubes.set(name, sum === undefined ? stats : sumOf([sum, stats]))
  }
  const sample: Sample = {
    millis: Math.max(...samples.map(({ millis }) => millis)),
    server: sumOf(samples.map(({ server }) => server)),
    tubes,
    parts: parts.map(([server, result]): Part =>
      Result.isSuccess(result) ? { server, stats: result.success.server } : { server, reason: result.failure }
    )
  }
  return Result.succeed(sample)
})

// A server that was not there at first is dialed for each sample, until it is.
class Dialed {
  readonly #one: OneOfSeveral
  readonly #scope: Scope.Scope
  readonly #interval: Duration.Duration
  #client: Service | undefined

  constructor(one: OneOfSeveral, scope: Scope.Scope, interval: Duration.Duration) {
    this.#one = one
    this.#scope = scope
    this.#interval = interval
  }

  get next(): Effect.Effect<readonly [string, Result.Result<Sample, string>]> {
    return Effect.suspend(() => this.#client === undefined ? this.#dial() : nextSample(this.#client, this.#interval))
      .pipe(
        Effect.map((result) => [this.#one.server, result] as const)
      )
  }

  #dial(): Effect.Effect<Result.Result<Sample, string>> {
    return Effect.gen({ self: this }, function*() {
      const scope = yield* Scope.fork(this.#scope)
      const client = yield* Effect.onError(
        Scope.provide(connectWith(this.#one.options), scope),
        (cause) => Scope.close(scope, Exit.failCause(cause))
      )
      this.#client = client
      return yield* takeSample(client)
    }).pipe(Effect.mapError(describe), Effect.result)
  }
}

const ofSeveral = Effect.fnUntraced(function*({ all }: Servers, interval: Duration.Duration) {
  const scope = yield* Effect.scope
  const dialed = all.map((one) => new Dialed(one, scope, interval))
  const next = Effect.flatMap(Effect.forEach(dialed, ({ next }) => next, { concurrency: "unbounded" }), addUp)
  const first = yield* next
  if (Result.isSuccess(first)) {
    const source: Source = { name: all.map(({ server }) => server).join(","), first: first.success, next }
    return source
  }
  yield* note(first.failure)
  return yield* new Unanswered({ servers: all.map(({ server }) => server), count: all.length })
})

/** Samples of what the flags name. Without a server it fails, as any other command does. */
export const samples = Effect.fnUntraced(function*(interval: Duration.Duration) {
  const servers = yield* several
  if (servers !== undefined) return yield* ofSeveral(servers, interval)
  const client = yield* connect
  const source: Source = {
    name: client.server,
    first: yield* takeSample(client),
    next: nextSample(client, interval)
  }
  return source
})
