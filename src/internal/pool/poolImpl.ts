/**
 * The pool that `Pool.make` gives: a permit for each exclusive connection, the connections themselves, those that are kept
 * in reserve, and the shared one.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Inspectable from "effect/Inspectable"
import type * as Scope from "effect/Scope"
import * as Errors from "../../Errors.ts"
import type { Options, Service, Stats } from "../../Pool.ts"
import * as Connect from "../connection/connect.ts"
import { fromPipeline } from "../connection/fromPipeline.ts"
import { CLOSED_BY_SCOPE } from "../connection/endings.ts"
import { refused } from "../protocol/invalidOptions.ts"
import * as Validate from "../protocol/validate.ts"
import { revocable } from "./borrowed.ts"
import { DialBackoff } from "./dialBackoff.ts"
import { ExclusivePool } from "./exclusivePool.ts"
import { FairSemaphore, type Permit } from "./fairSemaphore.ts"
import { type Internals, internalsKey, TypeId } from "./internals.ts"
import { MinimumKeeper } from "./minimumKeeper.ts"
import { type Open, Opener } from "./opener.ts"
import { ReconnectingConnection } from "./reconnectingConnection.ts"
import { resolve, type Settings, snapshot } from "./settings.ts"

/** The parts of a pool. */
interface Parts {
  readonly settings: Settings
  readonly opener: Opener
  readonly backoff: DialBackoff
  readonly exclusive: ExclusivePool
  readonly keeper: MinimumKeeper
  readonly shared: ReconnectingConnection
}

class PoolImpl implements Service {
  readonly #settings: Settings
  readonly #opener: Opener
  /** Of the exclusive connections. The shared one has its own. */
  readonly #backoff: DialBackoff
  readonly #exclusive: ExclusivePool
  readonly #keeper: MinimumKeeper
  readonly #shared: ReconnectingConnection
  readonly #permits: FairSemaphore<Errors.BeanstalkdError>
  readonly server: string
  readonly [internalsKey]: Internals

  constructor({ backoff, exclusive, keeper, opener, settings, shared }: Parts) {
    this.#settings = settings
    this.#opener = opener
    this.#backoff = backoff
    this.#exclusive = exclusive
    this.#keeper = keeper
    this.#shared = shared
    this.#permits = new FairSemaphore(settings.maxConnections)
    this.server = settings.server
    this[internalsKey] = {
      take: (tubes = settings.connection.watch, acquireTimeout = settings.acquireTimeout) =>
        this.#take(tubes, acquireTimeout),
      open: (tubes) => this.#openBeside(tubes),
      reconnect: settings.reconnect,
      shared,
      contact: opener.contact
    }
  }

  get [TypeId](): TypeId {
    return TypeId
  }

  readonly get: Service["get"] = Effect.gen({ self: this }, function*() {
    const lent = revocable(yield* this.#take(this.#settings.connection.watch, this.#settings.acquireTimeout))
    yield* Effect.addFinalizer(() => Effect.sync(lent.revoke))
    return fromPipeline(lent)
  })

  readonly use: Service["use"] = (f) => Effect.scoped(Effect.flatMap(this.get, f))

  readonly stats: Effect.Effect<Stats> = Effect.suspend(() =>
    Effect.zipWith(this.#exclusive.stats, this.#shared.isUp, ({ idle, used }, shared) => {
      const { lost, opened } = this.#opener
      return { idle, used, waiting: this.#permits.waiting, opened, lost, shared }
    })
  )

  toJSON(): unknown {
    return { _id: "Pool", server: this.server }
  }

  toString(): string {
    return `Pool(${this.server})`
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Borrowing
  // -------------------------------------------------------------------------------------------------------------------

  // Uninterruptible from getting the connection to the finalizer that gives it back.
  #take(tubes: ReadonlyArray<string>, acquireTimeout: Duration.Duration | undefined): Open {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function*() {
        const wanted = yield* this.#checked(tubes)
        const permit = yield* restore(this.#acquirePermit(acquireTimeout))
        const pipeline = yield* restore(this.#lend).pipe(
          Effect.onError(() =>
            Effect.sync(() => {
              permit.release()
              this.#keeper.onReturn()
            })
          )
        )
        pipeline.watchOnly(wanted)
        // A dead connection takes nobody's place, even while a borrower still has it.
        const forget = pipeline.onDeath(() => permit.release())
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            forget()
            this.#exclusive.release(pipeline)
            this.#keeper.onReturn()
          })
        )
        return pipeline
      })
    )
  }

  // The permit is released with the Scope, or at once if it was not granted.
  #acquirePermit(
    timeout: Duration.Duration | undefined
  ): Effect.Effect<Permit<Errors.BeanstalkdError>, Errors.BeanstalkdError, Scope.Scope> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function*() {
        const permit = this.#permits.permit()
        const release = Effect.sync(() => permit.release())
        yield* Effect.addFinalizer(() => release)
        const acquire = timeout === undefined ? permit.acquire : Effect.timeoutOrElse(permit.acquire, {
          duration: timeout,
          orElse: () =>
            Effect.fail(
              this.#opener.failure(new Errors.AcquireTimeout({ timeoutMillis: Duration.toMillis(timeout) }))
            )
        })
        yield* Effect.onError(restore(acquire), () => release)
        return permit
      })
    )
  }

  readonly #lend: Open = Effect.suspend(() => {
    this.#backoff.beginAnew()
    const { failure } = this.#backoff
    return failure === undefined
      ? this.#orElse(this.#lendOnce, (error) => this.#patiently(error, this.#lendAgain))
      : this.#patiently(failure, this.#orElse(this.#lendOnce, () => this.#lendAgain))
  })

  readonly #lendOnce: Open = Effect.suspend(() => Effect.andThen(this.#keeper.giveWay, this.#exclusive.acquire))

  // The pause is the borrower's own, so that it begins in the turn in which the dial failed: a clock that is set forward,
  // as in tests, does not wait for later turns.
  readonly #lendAgain: Open = Effect.suspend(() =>
    this.#orElse(Effect.andThen(this.#backoff.beforeDial, this.#lendOnce), () => this.#lendAgain)
  )

  #orElse(lend: Open, next: (error: Errors.BeanstalkdError) => Open): Open {
    return Effect.catchIf(lend, (error) => !this.#backoff.isFinal(error), next)
  }

  // A dial that failed is repeated for as long as a command waits for a server that is gone. By then the borrowers
  // that wait for a permit have waited in vain as well.
  #patiently(first: Errors.BeanstalkdError, lend: Open): Open {
    return this.#backoff.urgently(lend).pipe(
      Effect.timeoutOrElse({
        duration: this.#settings.patience,
        orElse: () => Effect.fail(this.#backoff.failure ?? first)
      }),
      Effect.tapError((error) => Effect.sync(() => this.#permits.failAllWaiting(error)))
    )
  }

  #openBeside(tubes: ReadonlyArray<string>): Open {
    return Effect.flatMap(this.#checked(tubes), (wanted) =>
      Effect.map(this.#opener.open, (pipeline) => {
        // Whoever asked for it dials again, and nobody else hears of this.
        pipeline.watchOnly(wanted, (command, reason) => this.#opener.contact.onRefusal(command, reason))
        return pipeline
      }))
  }

  #checked(tubes: ReadonlyArray<string>): Effect.Effect<ReadonlySet<string>, Errors.BeanstalkdError> {
    const names = Validate.tubes("reserve", tubes)
    return names instanceof Errors.InvalidArgument
      ? Effect.fail(refused(this.server, names))
      : Effect.succeed(new Set(names))
  }

  /** Closes all connections, whoever has them, and fails all who wait for one. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.#opener.closeAll()
    this.#permits.failAllWaiting(this.#opener.failure(CLOSED_BY_SCOPE))
    return this.#exclusive.close
  })
}

/**
 * Makes a pool for the function `operation`, which errors about options name. The pool ends with the Scope.
 *
 * It is uninterruptible: it never suspends, and what is half built has no finalizer yet.
 */
export const makePool = (
  operation: string,
  options: Options
): Effect.Effect<Service, Errors.BeanstalkdError, Scope.Scope> =>
  Effect.gen(function*() {
    const settings = yield* resolve(operation, yield* snapshot(operation, options))
    const { patience, reconnect, server } = settings
    const clock = yield* Clock.Clock
    const scope = yield* Effect.scope
    const run = Effect.runForkWith(yield* Effect.context())
    const fork = (effect: Effect.Effect<void>) => Fiber.runIn(run(effect), scope)
    const opener = new Opener(server, Connect.open(settings.connection), { clock, fork })
    const patienceMillis = Duration.toMillis(patience)
    const shared = yield* ReconnectingConnection.make({ server, open: opener.open, reconnect, patienceMillis })
    const backoff = new DialBackoff(reconnect, clock, patienceMillis)
    const exclusive = yield* ExclusivePool.make(opener, backoff, {
      ...settings,
      tube: settings.connection.use ?? "default"
    })
    const keeper = yield* MinimumKeeper.make(settings.minConnections, exclusive, backoff)
    exclusive.onLoss = () => keeper.refill()
    const pool = new PoolImpl({ settings, opener, backoff, exclusive, keeper, shared })
    yield* Effect.addFinalizer(() => pool.close)
    keeper.refill()
    return pool
  }).pipe(Effect.uninterruptible)
