/**
 * Gauges of the tubes of a server, set by asking for their statistics now and then.
 *
 * A gauge never shows what is no longer known: while a server does not answer, the gauges of its tubes are removed, and
 * `beanstalkd_up` says so.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type * as Client from "../../Client.ts"
import type * as Fleet from "../../Fleet.ts"
import type { TubeStats } from "../../Stats.ts"
import { describeCause } from "../protocol/describe.ts"
import { SharedSeries } from "./sharedSeries.ts"

type Attributes = Readonly<Record<string, string>>

type Row = readonly [
  name: string,
  description: string,
  unit: string,
  read: (stats: TubeStats) => number | undefined
]

const rows = {
  ready: ["ready_jobs", "Jobs that are ready", "{job}", (stats) => stats.currentJobsReady],
  urgent: [
    "urgent_jobs",
    "Jobs that are ready and have a priority below 1024",
    "{job}",
    (stats) => stats.currentJobsUrgent
  ],
  delayed: ["delayed_jobs", "Jobs that are delayed", "{job}", (stats) => stats.currentJobsDelayed],
  reserved: ["reserved_jobs", "Jobs that are reserved", "{job}", (stats) => stats.currentJobsReserved],
  buried: ["buried_jobs", "Jobs that are buried", "{job}", (stats) => stats.currentJobsBuried],
  waiting: [
    "waiting_connections",
    "Connections that wait for a job of the tube",
    "{connection}",
    (stats) => stats.currentWaiting
  ],
  using: ["using_connections", "Connections that use the tube", "{connection}", (stats) => stats.currentUsing],
  watching: [
    "watching_connections",
    "Connections that watch the tube",
    "{connection}",
    (stats) => stats.currentWatching
  ],
  pause: ["pause_seconds", "How long the tube stays paused, in seconds", "s", (stats) => stats.pauseTimeLeft]
} satisfies Record<string, Row>

/** The gauges that a tube has. */
export type TubeGauge = keyof typeof rows

/** A gauge of a tube. */
export const makeTubeGauge = (gauge: TubeGauge, attributes: Attributes = {}): Metric.Gauge<number> => {
  const [name, description, unit] = rows[gauge]
  return Metric.gauge(`beanstalkd_tube_${name}`, { description, attributes: { ...attributes, unit } })
}

/** Whether a server answers. */
export const makeUp = (attributes: Attributes = {}): Metric.Gauge<number> =>
  Metric.gauge("beanstalkd_up", {
    description: "1 if the server told the statistics of its tubes when it was asked last, else 0",
    attributes: { ...attributes, unit: "{server}" }
  })

const allRows: ReadonlyArray<Row> = Object.values(rows)

const allGauges = Object.keys(rows) as ReadonlyArray<TubeGauge>

/** The gauges of the tubes of one server. */
class ServerGauges {
  readonly #up: SharedSeries
  readonly #tubes: ReadonlyMap<string, SharedSeries>
  #isAway = false

  constructor(server: string, tubes: Iterable<string>, context: Context.Context<never>) {
    this.#up = new SharedSeries([server], [makeUp({ server })], context)
    this.#tubes = new Map(Array.from(tubes, (tube) => {
      const gauges = allGauges.map((name) => makeTubeGauge(name, { server, tube }))
      return [tube, new SharedSeries([server, tube], gauges, context)]
    }))
  }

  /** A tube without statistics does not exist, so it has no jobs. Returns whether the server was away. */
  set(statistics: ReadonlyMap<string, TubeStats | undefined>): boolean {
    for (const [tube, stats] of statistics) {
      this.#tubes.get(tube)?.set(allRows.map(([, , , read]) => stats === undefined ? 0 : read(stats) ?? 0))
    }
    this.#up.set([1])
    const wasAway = this.#isAway
    this.#isAway = false
    return wasAway
  }

  /** The server does not answer. Returns whether that is new. */
  lose(): boolean {
    this.#releaseTubes()
    this.#up.set([0])
    const isNew = !this.#isAway
    this.#isAway = true
    return isNew
  }

  release(): void {
    this.#releaseTubes()
    this.#up.release()
  }

  #releaseTubes(): void {
    for (const tube of this.#tubes.values()) tube.release()
  }
}

const isFleet = (client: Client.Service): client is Fleet.Service => "servers" in client && "on" in client

// Of a fleet each server is asked by itself: in the sum nobody sees which one is away.
const clientsOf = (client: Client.Service): Effect.Effect<ReadonlyArray<Client.Service>> =>
  isFleet(client)
    ? Effect.flatMap(client.servers, (servers) =>
      Effect.map(
        Effect.forEach(servers, ({ server }) => Effect.option(client.on(server))),
        (clients) => clients.flatMap((client) => client._tag === "Some" ? [client.value] : [])
      ))
    : Effect.succeed([client])

/** What is polled, checked. */
export interface PollSettings {
  readonly tubes: ReadonlySet<string>
  readonly interval: Duration.Duration
}

/** Polls the tubes of a client or a fleet. */
class Poller {
  readonly #client: Client.Service
  readonly #settings: PollSettings
  readonly #context: Context.Context<never>
  readonly #servers = new Map<string, ServerGauges>()

  constructor(client: Client.Service, settings: PollSettings, context: Context.Context<never>) {
    this.#client = client
    this.#settings = settings
    this.#context = context
  }

  /** One poll of all servers, as they are now. */
  get poll(): Effect.Effect<void> {
    return Effect.flatMap(clientsOf(this.#client), (clients) => {
      this.#keep(new Set(clients.map(({ server }) => server)))
      return Effect.forEach(clients, (client) => this.#pollServer(client), { concurrency: "unbounded", discard: true })
    })
  }

  /** Lets go of all gauges. */
  releaseAll(): void {
    this.#keep(new Set())
  }

  #keep(servers: ReadonlySet<string>): void {
    for (const [server, gauges] of this.#servers) {
      if (servers.has(server)) continue
      gauges.release()
      this.#servers.delete(server)
    }
  }

  #of(server: string): ServerGauges {
    const gauges = this.#servers.get(server) ?? new ServerGauges(server, this.#settings.tubes, this.#context)
    this.#servers.set(server, gauges)
    return gauges
  }

  #pollServer(client: Client.Service): Effect.Effect<void> {
    const { interval, tubes } = this.#settings
    const gauges = this.#of(client.server)
    const ask = Effect.forEach(
      tubes,
      (tube) =>
        Effect.map(
          Effect.catchTag(client.statsTube(tube), "NotFound", () => Effect.undefined),
          (stats) => [tube, stats] as const
        ),
      { concurrency: "unbounded" }
    ).pipe(Effect.timeout(interval), Effect.exit)
    return Effect.gen({ self: this }, function*() {
      // A command would wait for the server to come back, and the gauges would stay as they are meanwhile.
      const { reason } = yield* client.health
      if (reason !== undefined) yield* this.#lose(client.server, gauges, reason)
      const answer = yield* ask
      if (Exit.isFailure(answer)) {
        return yield* this.#lose(client.server, gauges, describeCause(Cause.squash(answer.cause)))
      }
      if (gauges.set(new Map(answer.value))) {
        yield* this.#log(client.server, "answers again: its tubes have their gauges")
      }
    })
  }

  #lose(server: string, gauges: ServerGauges, reason: string): Effect.Effect<void> {
    return gauges.lose()
      ? this.#log(
        server,
        `does not tell the statistics of its tubes, which have no gauges until it does: ${reason}`,
        true
      )
      : Effect.void
  }

  // Loggers are written by others: none may end the polls.
  #log(server: string, what: string, isBad = false): Effect.Effect<void> {
    return (isBad ? Effect.logWarning(`${server} ${what}`) : Effect.logInfo(`${server} ${what}`)).pipe(
      Effect.annotateLogs({ server }),
      Effect.ignoreCause
    )
  }
}

/** Polls until the Scope ends, which removes the gauges. */
export const poll = Effect.fnUntraced(function*(
  client: Client.Service,
  settings: PollSettings
): Effect.fn.Return<void, never, Scope.Scope> {
  const poller = new Poller(client, settings, yield* Effect.context())
  yield* Effect.addFinalizer(() => Effect.sync(() => poller.releaseAll()))
  const once = Effect.andThen(poller.poll, Effect.sleep(settings.interval))
  yield* Effect.forkScoped(Effect.forever(once))
})
