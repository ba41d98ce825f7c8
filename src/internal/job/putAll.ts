/**
 * Putting many jobs: pipelined, in order, with no more than a window of them in memory.
 */
import * as Effect from "effect/Effect"
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

/** How many puts are on their way at once. */
const WINDOW = 512

/** A body, and which of all it is: it must know before its fiber can be made to wait, since others may overtake it then. */
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

// It ends also when it throws, and then tells with what.
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
          // Why it is not read to its end is told already.
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

// The workers take turns at the stream: whoever finds the buffer empty pulls for all.
const fromStream = <A, E, R>(
  bodies: Stream.Stream<A, E, R>
): Effect.Effect<Source<A, E, R>, never, R | Scope.Scope> =>
  Effect.map(Stream.toPull(bodies), (pull) => {
    let buffer: ReadonlyArray<A> = []
    let before = 0
    let taken = 0
    const next = Effect.suspend((): Source<A, E, R> => {
      if (taken < before + buffer.length) {
        return Effect.succeedSome({ at: taken, body: buffer[taken++ - before]! })
      }
      return pull.pipe(
        Effect.map((bodies) => {
          buffer = bodies
          before = taken
          return Option.some({ at: taken++, body: bodies[0] })
        }),
        Pull.catchDone(() => Effect.succeedNone)
      )
    })
    return Semaphore.makeUnsafe(1).withPermits(1)(next)
  })

// Text and bytes are iterables too, of what nobody means to put. Of an object that cannot be read one cannot even ask.
const kindOf = (bodies: unknown): "stream" | "iterable" | undefined => {
  try {
    if (Stream.isStream(bodies)) return "stream"
    const isMany = Predicate.isIterable(bodies) && typeof bodies !== "string" && !ArrayBuffer.isView(bodies)
    return isMany ? "iterable" : undefined
  } catch {
    return undefined
  }
}

/**
 * Puts all bodies, or whatever `put` makes bodies of, and gives the ids, in their order. The first failure stops it: nothing more is put, what is on its way
 * is awaited, and `PutAllError` tells the ids that were acknowledged.
 */
export const putAll = Effect.fnUntraced(
  function*<A, RP, E = never, R = never>(
    put: (body: A) => Effect.Effect<JobRef, Errors.PutAllError["cause"], RP>,
    bodies: Iterable<A> | Stream.Stream<A, E, R>
  ): Effect.fn.Return<ReadonlyArray<JobRef>, E | Errors.PutAllError, R | RP | Scope.Scope> {
    const ids: Array<JobRef | undefined> = []
    let failure: Errors.PutAllError["cause"] | undefined
    const kind = kindOf(bodies)
    if (kind === undefined) return yield* notMany(bodies)
    const source: Source<A, E, R> = kind === "stream"
      ? yield* fromStream(bodies as Stream.Stream<A, E, R>)
      : yield* fromIterable(bodies as Iterable<A>, (refusal) => failure ??= refusal)
    let isDone = false
    const worker = Effect.gen(function*() {
      while (failure === undefined && !isDone) {
        const next = yield* source
        if (Option.isNone(next)) {
          isDone = true
          return
        }
        const { at, body } = next.value
        const result = yield* Effect.result(put(body))
        if (Result.isSuccess(result)) ids[at] = result.success
        else failure ??= result.failure
      }
    })
    yield* Effect.forEach(Array.from({ length: WINDOW }), () => worker, { concurrency: "unbounded", discard: true })
    if (failure === undefined) return ids as ReadonlyArray<JobRef>
    return yield* new Errors.PutAllError({ inserted: ids.filter((id) => id !== undefined), cause: failure })
  },
  Effect.scoped
)
