/**
 * Putting many jobs: pipelined, in order, with no more than a window of them in memory.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Errors from "../../Errors.ts"
import { describeCause } from "../protocol/describe.ts"
import type { JobRef } from "../protocol/jobRef.ts"

/**
 * What a job carries: bytes, or text, which travels as UTF-8.
 */
export type Body = Uint8Array | string

/** How many puts are in flight at a time. */
const PUTS_IN_FLIGHT = 512

/** A body and its place among all: known when the body is taken, since a later one may be put first. */
interface Numbered<out A> {
  readonly at: number
  readonly body: A
}

type Source<A, E, R> = Effect.Effect<Option.Option<Numbered<A>>, E, R>

const refuse = (value: unknown, rule: string) =>
  new Errors.InvalidArgument({ operation: "put", argument: "bodies", value, rule })

const notMany = (bodies: unknown): Errors.PutAllError => {
  const cause = refuse(bodies, "an iterable or a Stream of bodies, not a single one")
  return new Errors.PutAllError({ inserted: [], cause })
}

const nextOf = <A>(iterator: Iterator<A>): IteratorResult<A> => {
  const next: unknown = iterator.next()
  if (typeof next !== "object" || next === null) throw new TypeError(`its next() gave ${describeCause(next)}`)
  return next as IteratorResult<A>
}

// An iterator that throws ends the puts: `onThrow` hears of it, and the bodies that came before are still awaited.
const fromIterable = <A>(
  bodies: Iterable<A>,
  onThrow: (refusal: Errors.InvalidArgument) => void
): Effect.Effect<Source<A, never, never>, Errors.PutAllError, Scope.Scope> => {
  let isDone = false
  let taken = 0
  return Effect.acquireRelease(
    Effect.try({ try: () => bodies[Symbol.iterator](), catch: () => notMany(bodies) }),
    (iterator) =>
      Effect.sync(() => {
        try {
          if (!isDone) iterator.return?.()
        } catch {
          // The caller hears why the iterator was not read to its end. What goes wrong after that adds nothing.
        }
      })
  ).pipe(
    Effect.map((iterator) =>
      Effect.sync(() => {
        if (isDone) return Option.none()
        try {
          const next = nextOf(iterator)
          isDone = next.done === true
          return next.done === true ? Option.none() : Option.some({ at: taken++, body: next.value })
        } catch (thrown) {
          isDone = true
          onThrow(refuse(thrown, "an iterable that can be read to its end"))
          return Option.none()
        }
      })
    )
  )
}

// One fiber pulls at a time, for all: a pull must not begin before the one before it has ended, nor after the last one.
// `stopped` ends a pull that waits, since a stream may be quiet for hours while its consumer is to hear that a put has failed.
const fromPull = <A, E, R>(
  pull: Pull.Pull<NonEmptyReadonlyArray<A>, E, void, R>,
  stopped: Effect.Effect<void>
): Source<A, E, R> => {
  let buffer: ReadonlyArray<A> = []
  let before = 0
  let taken = 0
  let isOver = false
  const end = Effect.sync(() => {
    isOver = true
    return Option.none()
  })
  const more = pull.pipe(
    Effect.map((bodies) => {
      buffer = bodies
      before = taken
      return Option.some({ at: taken++, body: bodies[0] })
    }),
    Pull.catchDone(() => end),
    Effect.raceFirst(Effect.andThen(stopped, end))
  )
  const next = Effect.suspend((): Source<A, E, R> => {
    if (taken < before + buffer.length) return Effect.succeedSome({ at: taken, body: buffer[taken++ - before]! })
    return isOver ? Effect.succeedNone : more
  })
  return Semaphore.makeUnsafe(1).withPermits(1)(next)
}

// Strings and byte arrays are iterable, but never meant as a list of bodies. Asking can throw on a hostile Proxy.
const kindOf = (bodies: unknown): "stream" | "iterable" | undefined => {
  try {
    if (Stream.isStream(bodies)) return "stream"
    const isMany = Predicate.isIterable(bodies) && typeof bodies !== "string" && !ArrayBuffer.isView(bodies)
    return isMany ? "iterable" : undefined
  } catch {
    return undefined
  }
}

/** What one call has come to. */
class Progress {
  failure: Errors.PutAllError["cause"] | undefined
  isDone = false
  readonly #stop = Deferred.makeUnsafe<void>()
  readonly stopped: Effect.Effect<void> = Deferred.await(this.#stop)

  fail(failure: Errors.PutAllError["cause"]): void {
    this.failure ??= failure
    Deferred.doneUnsafe(this.#stop, Exit.void)
  }
}

// Puts what comes from the source until it ends, or until a put fails; then the puts in flight are awaited.
const putEach = <A, E, R, RP>(
  put: (body: A) => Effect.Effect<JobRef, Errors.PutAllError["cause"], RP>,
  source: Source<A, E, R>,
  progress: Progress,
  onPut: (at: number, ref: JobRef) => void
): Effect.Effect<void, E, R | RP> => {
  const worker = Effect.gen(function*() {
    while (progress.failure === undefined && !progress.isDone) {
      const next = yield* source
      if (Option.isNone(next)) {
        progress.isDone = true
        return
      }
      // It may have waited for its turn meanwhile.
      if (progress.failure !== undefined) return
      const { at, body } = next.value
      const result = yield* Effect.result(put(body))
      if (Result.isSuccess(result)) onPut(at, result.success)
      else progress.fail(result.failure)
    }
  })
  return Effect.forEach(Array.from({ length: PUTS_IN_FLIGHT }), () => worker, {
    concurrency: "unbounded",
    discard: true
  })
}

/**
 * Puts all bodies, and gives the references to their jobs, in order. `put` may make the body that is sent of what it is given.
 * After the first failure nothing more is put, the puts in flight are awaited, and `PutAllError` has the references to the
 * jobs that were acknowledged.
 */
export const putAll = Effect.fnUntraced(
  function*<A, RP, E = never, R = never>(
    put: (body: A) => Effect.Effect<JobRef, Errors.PutAllError["cause"], RP>,
    bodies: Iterable<A> | Stream.Stream<A, E, R>
  ): Effect.fn.Return<ReadonlyArray<JobRef>, E | Errors.PutAllError, R | RP | Scope.Scope> {
    const refs: Array<JobRef | undefined> = []
    const progress = new Progress()
    const kind = kindOf(bodies)
    if (kind === undefined) return yield* notMany(bodies)
    const source: Source<A, E, R> = kind === "stream"
      ? fromPull(yield* Stream.toPull(bodies as Stream.Stream<A, E, R>), progress.stopped)
      : yield* fromIterable(bodies as Iterable<A>, (refusal) => progress.fail(refusal))
    yield* putEach(put, source, progress, (at, ref) => {
      refs[at] = ref
    })
    if (progress.failure === undefined) return refs as ReadonlyArray<JobRef>
    const inserted = refs.filter((ref) => ref !== undefined)
    return yield* new Errors.PutAllError({ inserted, cause: progress.failure })
  },
  Effect.scoped
)

/** How many references a sink keeps for its `PutAllError`: a sink may run forever. */
export const REFERENCES_KEPT = 10_000

/**
 * Puts all that is pulled, and gives the number of jobs. It fails like `putAll`, but keeps only the references to the jobs
 * that were acknowledged last, and the number of the others.
 */
export const putPulled = Effect.fnUntraced(function*<A, RP>(
  put: (body: A) => Effect.Effect<JobRef, Errors.PutAllError["cause"], RP>,
  pull: Pull.Pull<NonEmptyReadonlyArray<A>>
): Effect.fn.Return<number, Errors.PutAllError, RP> {
  const progress = new Progress()
  let latest: Array<readonly [at: number, ref: JobRef]> = []
  let count = 0
  yield* putEach(put, fromPull(pull, progress.stopped), progress, (at, ref) => {
    count++
    // Cut once in a while, not at each put.
    if (latest.push([at, ref]) >= 2 * REFERENCES_KEPT) latest = latest.slice(-REFERENCES_KEPT)
  })
  if (progress.failure === undefined) return count
  const inserted = latest.slice(-REFERENCES_KEPT).toSorted(([a], [b]) => a - b).map(([, ref]) => ref)
  return yield* new Errors.PutAllError({ inserted, omitted: count - inserted.length, cause: progress.failure })
})
