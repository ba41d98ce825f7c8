/**
 * The connections of one client: a shared one, on which any number of fibers pipeline commands, and a pool of exclusive
 * ones for what keeps a connection busy: a reserve that waits, a job that is held.
 *
 * A connection that died is never handed out and is replaced; one that comes back from a borrower is as good as new: its
 * tubes are set anew, and if the borrower left a command or a job on it, it is closed instead. The shared connection is
 * dialled again by a `Schedule` until it is back.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { identity } from "effect/Function"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as EffectPool from "effect/Pool"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import { refused } from "./internal/protocol/invalidOptions.ts"
import * as Validate from "./internal/protocol/validate.ts"
import type * as Connection from "./Connection.ts"
import * as Errors from "./Errors.ts"
import { open as openPipeline } from "./internal/connection/connect.ts"
import { fromPipeline } from "./internal/connection/fromPipeline.ts"
import * as ConnectionOptions from "./internal/connection/options.ts"
import { CLOSED_BY_SCOPE, type Pipeline } from "./internal/connection/pipeline.ts"
import * as Shared from "./internal/pool/reconnectingConnection.ts"
import { Turns } from "./internal/pool/fairSemaphore.ts"

/**
 * What a pool can be told, beyond what a connection can.
 *
 * - `maxConnections`: how many exclusive connections there may be, default 10; the shared one comes on top
 * - `minConnections`: how many of them are kept open, default 0
 * - `idleTimeout`: how long the others stay open without use, default 60 seconds
 * - `acquireTimeout`: how long a borrower waits for a connection at most, default for ever
 * - `reconnect`: when to dial again after a connection was lost or could not be opened; default 50 milliseconds, doubled
 *   up to 5 seconds, with jitter, for ever
 */
export interface Options extends Connection.Options {
  readonly maxConnections?: number | undefined
  readonly minConnections?: number | undefined
  readonly idleTimeout?: Duration.Input | undefined
  readonly acquireTimeout?: Duration.Input | undefined
  readonly reconnect?: Schedule.Schedule<unknown, Errors.BeanstalkdError> | undefined
}

/** Their names. */
const OPTIONS: ReadonlyArray<keyof Options> = [
  ...ConnectionOptions.OPTIONS,
  ...Validate.optionNames<Omit<Options, keyof Connection.Options>>({
    maxConnections: true,
    minConnections: true,
    idleTimeout: true,
    acquireTimeout: true,
    reconnect: true
  })
]

/** The options as they are now. `operation` is the function that was called with them. */
export const read = (operation: string, options: Options): Effect.Effect<Options, Errors.BeanstalkdError> =>
  Effect.fromResult(ConnectionOptions.read(operation, options, OPTIONS))

/**
 * How a pool is doing. `idle` and `used` are its exclusive connections, `waiting` the borrowers that have none yet;
 * `opened` and `lost` count connections since it was made, the shared one included.
 */
export interface Stats {
  readonly idle: number
  readonly used: number
  readonly waiting: number
  readonly opened: number
  readonly lost: number
  readonly shared: boolean
}

/**
 * A pool of connections.
 */
export interface Pool {
  /** The address, as errors show it. */
  readonly server: string

  /**
   * Borrows a connection that nobody else uses, until the Scope is closed. Borrowers are served first come, first served.
   * It uses and watches the tubes of the pool's options, whatever its last borrower did.
   */
  readonly get: Effect.Effect<Connection.Service, Errors.BeanstalkdError, Scope.Scope>

  /** Borrows a connection for one effect. */
  readonly use: <A, E, R>(
    f: (connection: Connection.Service) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | Errors.BeanstalkdError, R>

  /** Like `get`, for those who need the pipeline itself, which then watches exactly these tubes. */
  readonly take: (
    tubes?: ReadonlyArray<string>,
    acquireTimeout?: Duration.Duration
  ) => Effect.Effect<Pipeline, Errors.BeanstalkdError, Scope.Scope>

  /** Opens a connection beside the pool, for those who keep theirs for long. It watches exactly these tubes. */
  readonly open: (tubes: ReadonlyArray<string>) => Effect.Effect<Pipeline, Errors.BeanstalkdError, Scope.Scope>

  /** When to dial again. */
  readonly reconnect: Schedule.Schedule<unknown, Errors.BeanstalkdError>

  /** The connection that fibers share. */
  readonly shared: Shared.Shared

  /** How the pool is doing. */
  readonly stats: Effect.Effect<Stats>
}

/**
 * The service tag of {@link Pool}.
 */
export const Pool: Context.Service<Pool, Pool> = Context.Service<Pool>("effect-beanstalkd/Pool")

/** How many exclusive connections there may be unless a pool is told otherwise. */
export const DEFAULT_MAX_CONNECTIONS = 10
const DEFAULT_IDLE_TIMEOUT = Duration.seconds(60)

const defaultReconnect = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered
)

// Effect's pool overlooks a borrower who comes between the last two steps of a fiber that makes the pool larger, and leaves
// him waiting. So these fibers are not made to yield; the dial in between may be.
const undivided = Effect.provideService(Scheduler.PreventSchedulerYield, true)
const divisible = Effect.provideService(Scheduler.PreventSchedulerYield, false)

const GIVEN_BACK = new Errors.ConnectionClosed({ detail: "it was given back to the pool" })

const checked = <A>(value: A | Errors.InvalidArgument) =>
  value instanceof Errors.InvalidArgument ? Effect.fail(value) : Effect.succeed(value)

const settingsOf = Effect.fnUntraced(function*(operation: string, options: Options) {
  yield* checked(Validate.schedule(operation, "reconnect", options.reconnect ?? defaultReconnect))
  const count = (argument: string, value: unknown, least: number) =>
    checked(Validate.wholeNumber(operation, argument, value, least))
  const max = yield* count("maxConnections", options.maxConnections ?? DEFAULT_MAX_CONNECTIONS, 1)
  return {
    max,
    min: Math.min(max, yield* count("minConnections", options.minConnections ?? 0, 0)),
    timeToLive: yield* checked(
      Validate.positiveDuration(operation, "idleTimeout", options.idleTimeout ?? DEFAULT_IDLE_TIMEOUT)
    ),
    acquireTimeout: options.acquireTimeout === undefined
      ? undefined
      : yield* checked(Validate.positiveDuration(operation, "acquireTimeout", options.acquireTimeout))
  }
})

/**
 * Makes a pool, which ends with the Scope and all its connections with it. Nothing is dialled before it is needed.
 *
 * ```ts
 * import { Pool } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.make({ host: "127.0.0.1", maxConnections: 4 })
 *   return yield* pool.use((connection) => connection.stats)
 * }).pipe(Effect.scoped)
 * ```
 */
export const make = (options: Options = {}): Effect.Effect<Pool, Errors.BeanstalkdError, Scope.Scope> =>
  makeAs("Pool.make", options)

/** `make`, in the name of the function that was called with these options. */
export const makeAs = (
  operation: string,
  options: Options
): Effect.Effect<Pool, Errors.BeanstalkdError, Scope.Scope> =>
  Effect.uninterruptible(Effect.flatMap(read(operation, options), (all) => makePool(operation, all)))

// Not to be interrupted: it waits for nothing, and what it has begun would never be ended.
const makePool = Effect.fnUntraced(function*(
  operation: string,
  options: Options
): Effect.fn.Return<Pool, Errors.BeanstalkdError, Scope.Scope> {
  const connection = yield* Effect.fromResult(ConnectionOptions.resolve(operation, options))
  const { server } = connection
  const patience = Duration.millis(connection.commandTimeoutMillis)
  const settings = yield* Effect.mapError(settingsOf(operation, options), (cause) => refused(server, cause))
  const reconnect = options.reconnect ?? defaultReconnect
  const fork = Effect.runForkWith(yield* Effect.context())
  const scope = yield* Effect.scope
  const ownTubes = connection.watch
  let opened = 0
  let lost = 0
  let isClosing = false
  const open = new Set<Pipeline>()

  const failure = (reason: Errors.BeanstalkdErrorReason) =>
    new Errors.BeanstalkdError({ command: "connect", server, sent: false, reason })

  const openUnlessClosing = Effect.suspend(() =>
    isClosing ? Effect.fail(failure(CLOSED_BY_SCOPE)) : openPipeline(connection)
  )

  const openOne = Effect.map(openUnlessClosing, (pipeline) => {
    opened++
    open.add(pipeline)
    pipeline.onDeath(() => {
      open.delete(pipeline)
      if (pipeline.death === CLOSED_BY_SCOPE) return
      lost++
    })
    return pipeline
  })

  const shared = yield* Shared.make({
    server,
    open: openOne,
    reconnect,
    patienceMillis: connection.commandTimeoutMillis
  })

  // The pool replaces what dies, at once. Where somebody takes connections and closes them before they have answered
  // anything, that would never end, so each such death counts as a dial that failed: all that follow wait as the Schedule
  // says, until one of them has answered.
  let wasTurnedAway = false
  const onTrial = new WeakSet<Pipeline>()
  let pause: Effect.Effect<unknown, unknown> | undefined
  const inTurn = Effect.gen(function*() {
    if (!wasTurnedAway) return
    if (pause === undefined) {
      const step = yield* Schedule.toStepWithSleep(reconnect)
      pause = Effect.suspend(() => step(failure(new Errors.ConnectionClosed({ detail: "the server closed it" }))))
    }
    yield* Effect.ignore(pause)
  })
  const isServed = () => {
    wasTurnedAway = false
    pause = undefined
  }

  // In a Scope of its own, since its shutdown waits for all borrowers: ours only takes their connections away.
  const poolScope = yield* Scope.make()
  const pool: EffectPool.Pool<Pipeline, Errors.BeanstalkdError> = yield* EffectPool.makeWithTTL({
    acquire: Effect.andThen(
      inTurn,
      Effect.tap(openOne, (pipeline) =>
        Effect.sync(() => {
          if (wasTurnedAway) onTrial.add(pipeline)
          pipeline.onDeath(() => {
            if (pipeline.closedBeforeFirstReply) wasTurnedAway = true
            // At once: a borrower may be waiting for this very connection.
            fork(Effect.andThen(undivided(EffectPool.invalidate(pool, pipeline)), Effect.sync(fillUp)))
          })
        }))
    ).pipe(divisible),
    min: settings.min,
    max: settings.max,
    timeToLive: settings.timeToLive,
    timeToLiveStrategy: "usage"
  }).pipe(undivided, Scope.provide(poolScope))

  yield* Effect.addFinalizer((exit) =>
    Effect.suspend(() => {
      isClosing = true
      // Who hears of a death may dial again at once, which by now is refused: nothing is added meanwhile.
      for (const pipeline of open) pipeline.die(CLOSED_BY_SCOPE)
      turns.sendAway(failure(CLOSED_BY_SCOPE))
      return Effect.forkDetach(Scope.close(poolScope, exit), { startImmediately: true })
    })
  )

  let filling: Fiber.Fiber<void> | undefined
  const isFilling = () => filling !== undefined && filling.pollUnsafe() === undefined
  let wasNeeded = false
  const needed = Latch.makeUnsafe()
  // A borrower does not wait for the connections that are in hand only to fill up the pool.
  const lend = Effect.suspend(() => {
    if (isClosing) return Effect.fail(failure(CLOSED_BY_SCOPE))
    if (!isFilling()) return borrow
    return Effect.flatMap(EffectPool.stats(pool), ({ idle }) => {
      if (idle > 0) return borrow
      wasNeeded = true
      return Effect.andThen(needed.open, borrow)
    })
  })

  const tidy = (pipeline: Pipeline) =>
    Effect.sync(() => {
      if (onTrial.delete(pipeline) && pipeline.hasAnswered) isServed()
      if (pipeline.isQuiet && pipeline.session.held.size === 0) {
        pipeline.session.chosenTube = connection.use ?? "default"
      } else {
        pipeline.die(new Errors.ConnectionClosed({ detail: "it was given back with a command or a job left on it" }))
      }
      fillUpAgain()
    })

  const turns = new Turns<Errors.BeanstalkdError>(settings.max)

  const borrow: Effect.Effect<Pipeline, Errors.BeanstalkdError, Scope.Scope> = EffectPool.get(pool).pipe(
    undivided,
    // One that died before the pool knew of it, which could not be told then.
    Effect.filterOrElse(
      (pipeline) => pipeline.death === undefined,
      (pipeline) => Effect.andThen(undivided(EffectPool.invalidate(pool, pipeline)), Effect.suspend(() => borrow))
    ),
    // Nobody interrupted the borrower: the pool says so when it is shut down.
    Effect.catchCause((cause) => isClosing ? Effect.fail(failure(CLOSED_BY_SCOPE)) : Effect.failCause(cause))
  )

  // A dial that failed is repeated for as long as a command would wait for a lost server. By then those who wait for their
  // turn have waited for nothing as well.
  const borrowAgain = (first: Errors.BeanstalkdError) => {
    let last: Errors.BeanstalkdError | undefined
    return Effect.suspend(() => last === undefined ? Effect.fail(first) : lend).pipe(
      Effect.tapError((error) => Effect.sync(() => last = error)),
      Effect.retry({ while: (error) => error.isRetryable && !isClosing, schedule: reconnect }),
      Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.fail(last ?? first) }),
      Effect.tapError((error) => Effect.sync(() => turns.sendAway(error)))
    )
  }

  const checkedTubes = (tubes: ReadonlyArray<string>) => {
    const names = Validate.tubes("reserve", tubes)
    return names instanceof Errors.InvalidArgument
      ? Effect.fail(refused(server, names))
      : Effect.succeed(new Set(names))
  }

  // The turn ends with the Scope, or at once if it does not come.
  const waitForTurn = (patience: Duration.Duration | undefined) =>
    Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
      const turn = turns.ask()
      const end = Effect.sync(() => turn.end())
      yield* Effect.addFinalizer(() => end)
      const wait = patience === undefined ? turn.wait : Effect.timeoutOrElse(turn.wait, {
        duration: patience,
        orElse: () => Effect.fail(failure(new Errors.AcquireTimeout({ timeoutMillis: Duration.toMillis(patience) })))
      })
      yield* Effect.onError(restore(wait), () => end)
      return turn
    }))

  // Not to be interrupted between getting the connection and seeing to its return.
  const take = (
    tubes: ReadonlyArray<string> = ownTubes,
    patience: Duration.Duration | undefined = settings.acquireTimeout
  ) =>
    Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
      const wanted = yield* checkedTubes(tubes)
      const turn = yield* restore(waitForTurn(patience))
      const pipeline = yield* lend.pipe(
        Effect.catchIf((error) => error.isRetryable && !isClosing, borrowAgain),
        restore,
        Effect.onError(() =>
          Effect.sync(() => {
            turn.end()
            fillUpAgain()
          })
        )
      )
      pipeline.watchOnly(wanted)
      // A dead connection takes nobody's place, even while it is still in somebody's hands.
      const forget = pipeline.onDeath(() => turn.end())
      yield* Effect.addFinalizer(() => Effect.andThen(Effect.sync(forget), tidy(pipeline)))
      return pipeline
    }))

  const get = Effect.gen(function*() {
    const pipeline = yield* take()
    let isBack = false
    yield* Effect.addFinalizer(() => Effect.sync(() => isBack = true))
    return fromPipeline({
      server,
      get death() {
        return isBack ? GIVEN_BACK : pipeline.death
      },
      run: (command, ...args) =>
        Effect.suspend(() =>
          isBack
            ? Effect.fail(
              new Errors.BeanstalkdError({ command: command.name, server, sent: false, reason: GIVEN_BACK })
            )
            : pipeline.run(command, ...args)
        )
    })
  })

  // The pool fills up only when somebody borrows, so that it must be done: at the start, and after a death.
  const fill = Effect.gen(function*() {
    const { idle, used } = yield* EffectPool.stats(pool)
    if (idle + used >= settings.min) return
    // One after the other, and all in hand at once. Who needs one of them meanwhile gets it, and it is tried again when a
    // connection comes back.
    const all = Effect.scoped(Effect.forEach(Array.from({ length: settings.min - used }), () => borrow))
    yield* Effect.raceFirst(all, needed.await)
  }).pipe(
    Effect.retry({ while: (error) => error.isRetryable && !isClosing, schedule: reconnect }),
    Effect.ignore
  )
  const fillUp = () => {
    if (settings.min === 0 || isClosing || isFilling()) return
    needed.closeUnsafe()
    filling = Fiber.runIn(fork(fill), scope)
  }
  const fillUpAgain = () => {
    if (!wasNeeded || isFilling()) return
    wasNeeded = false
    fillUp()
  }
  fillUp()

  return identity<Pool>({
    server,
    get,
    use: (f) => Effect.scoped(Effect.flatMap(get, f)),
    take,
    open: (tubes) =>
      Effect.flatMap(checkedTubes(tubes), (wanted) =>
        Effect.map(openOne, (pipeline) => {
          pipeline.watchOnly(wanted)
          return pipeline
        })),
    reconnect,
    shared,
    stats: Effect.gen(function*() {
      const { idle, used } = yield* EffectPool.stats(pool)
      return { idle, used, waiting: turns.waiting, opened, lost, shared: yield* shared.isUp }
    })
  })
})

/**
 * A layer with a pool.
 */
export const layer = (options?: Options): Layer.Layer<Pool, Errors.BeanstalkdError> => Layer.effect(Pool, make(options))
