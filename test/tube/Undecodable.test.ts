/**
 * Bodies that do not decode, and what peeks and streams do with them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema, Stream } from "effect"
import { Errors, Tube } from "effect-beanstalkd"
import { onMemory } from "../support/Fixture.ts"
import { areIn, keepLog, outcomes, TUBE } from "../support/Workplace.ts"

const Numbers = Tube.make(TUBE, { schema: Schema.Struct({ n: Schema.Finite }) })

const notUtf8 = new Uint8Array([0x22, 0xc3, 0x28, 0xff, 0x22])

const bad: ReadonlyArray<readonly [codec: string, tube: Tube.Tube<unknown>, body: Uint8Array | string]> = [
  ["json that is cut off", Numbers as never, "{\"n\":1"],
  ["json of another shape", Numbers as never, "{\"n\":\"1\"}"],
  ["json with a byte order mark", Numbers as never, "\ufeff{\"n\":1}"],
  ["nothing for json", Numbers as never, ""],
  ["json that is no UTF-8", Tube.make(TUBE, { schema: Schema.String }) as never, notUtf8],
  ["text that is no UTF-8", Tube.make(TUBE, { codec: "text" }) as never, notUtf8],
  [
    "text that the Schema does not allow",
    Tube.make(TUBE, { codec: "text", schema: Schema.FiniteFromString }) as never,
    "x"
  ],
  [
    "bytes that the Schema does not allow",
    Tube.make(TUBE, {
      codec: "bytes",
      schema: Schema.Uint8Array.check(Schema.isMaxLength(1))
    }) as never,
    "xx"
  ],
  [
    "binary that is none",
    Tube.make(TUBE, { codec: "binary", schema: Schema.Struct({ n: Schema.Finite }) }) as never,
    "x"
  ],
  ["nothing for binary", Tube.make(TUBE, { codec: "binary", schema: Schema.Struct({ n: Schema.Finite }) }) as never, ""]
]

describe("a body that does not decode", () => {
  it.effect.each(bad)(
    "(%s) is a DecodeError when it is peeked, with the job and its bytes",
    ([, tube, body]) =>
      onMemory(Effect.fnUntraced(function*(beanstalkd) {
        const { id } = yield* beanstalkd.put(TUBE, body)
        const error = yield* Effect.flip(tube.peekReady)
        assert(error._tag === "DecodeError")
        assert.deepInclude(error, { tube: TUBE, id })
        assert.deepStrictEqual(Buffer.from(error.body), Buffer.from(body))
        assert.include(error.message, `the body of job ${id} in tube ${TUBE} does not decode: `)
      }))
  )

  it.effect("is found by each peek", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "bad", { delay: "1 hour" })
      const job = yield* Effect.flatMap(beanstalkd.put(TUBE, "bad"), beanstalkd.reserveJob)
      yield* job.bury()
      assert.strictEqual((yield* Effect.flip(Numbers.peekDelayed))._tag, "DecodeError")
      assert.strictEqual((yield* Effect.flip(Numbers.peekBuried))._tag, "DecodeError")
      assert.strictEqual((yield* Effect.flip(Numbers.peekReady))._tag, "NotFound")
    })))

  it.effect("is buried by the stream with its priority, logged and counted, and the good ones go on", () => {
    const { log, logged } = keepLog()
    return onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const bodies = Array.from({ length: 40 }, (_, n) => n % 2 === 0 ? `{"n":${n}}` : notUtf8)
      const ids = (yield* beanstalkd.putAll(TUBE, bodies, { priority: 7 })).map(({ id }) => id)
      const seen = yield* Numbers.stream({ prefetch: 5 }).pipe(
        Stream.mapEffect((job) => Effect.as(job.delete, job.value.n)),
        Stream.take(20),
        Stream.runCollect
      )
      assert.deepStrictEqual(seen, Array.from({ length: 20 }, (_, n) => 2 * n))
      yield* Numbers.stream().pipe(Stream.runDrain, Effect.forkScoped({ startImmediately: true }))
      yield* areIn(beanstalkd, { buried: 20 })
      const bad = ids.filter((_, n) => n % 2 === 1)
      assert.deepInclude(yield* beanstalkd.statsJob(bad[0]!), { state: "buried", pri: 7, reserves: 1 })
      assert.deepStrictEqual(
        log.map(({ annotations, level }) => ({ level, ...annotations })),
        bad.map((job) => ({ level: "Error", server: "memory", tube: TUBE, job }))
      )
      assert.include(log[0]!.message, `the body of job ${bad[0]} in tube ${TUBE} does not decode: it is not UTF-8`)
      // The first stream had reserved the last job ahead, and gave it back.
      assert.deepStrictEqual(yield* outcomes(beanstalkd.server), { reserved: 41, buried: 20 })
    })).pipe(logged)
  })

  it.effect("comes by choice with the job in hand", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.putAll(TUBE, ["{\"n\":1}", "bad", "{\"n\":2}"])
      const seen = yield* Numbers.streamResult().pipe(
        Stream.mapEffect((result) =>
          Result.match(result, {
            onSuccess: (job) => Effect.as(job.delete, `${job.value.n}`),
            onFailure: ({ error, job }) => {
              assert.instanceOf(error, Errors.DecodeError)
              return Effect.as(job.release({ delay: "1 hour" }), job.text)
            }
          })
        ),
        Stream.take(3),
        Stream.runCollect
      )
      assert.deepStrictEqual(seen, ["1", "bad", "2"])
      yield* areIn(beanstalkd, { delayed: 1 })
    })))
})
