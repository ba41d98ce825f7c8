/**
 * The form in which an envelope travels, and what is taken for one.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { Envelope } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { gunzipSync, gzipSync } from "node:zlib"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (body: Uint8Array): string => new TextDecoder().decode(body)

const FULL: Envelope.Head = {
  id: "order-7 ü\n",
  at: 1000,
  due: 2000,
  exp: 3000,
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  tracestate: "vendor=1",
  contentType: "json",
  version: 3,
  maxAttempts: 5,
  replyTo: "answers",
  correlationId: "c1",
  by: "checkout",
  deadLetter: { tube: "emails", server: "memory", id: 12, attempts: 10, at: 2500, error: "no such user" },
  other: { bg: "userId=7", nested: { deep: [1] } }
}

describe("an envelope", () => {
  it.effect("is one line of text before the payload", () =>
    Effect.gen(function*() {
      const body = yield* Envelope.encode(`{"a":1}`, { id: "x", at: 5, contentType: "json" })
      assert.strictEqual(text(body), `#job/1 {"id":"x","at":5,"ct":"json"}\n{"a":1}`)
    }))

  it.effect("comes back as it was, with any payload", () =>
    Effect.gen(function*() {
      for (const payload of [bytes(""), bytes("\n#job/1 {}\n"), Uint8Array.from({ length: 256 }, (_, byte) => byte)]) {
        const opened = yield* Envelope.decode(yield* Envelope.encode(payload, FULL))
        assert.deepStrictEqual(opened.head, FULL)
        assert.deepStrictEqual([...opened.payload], [...payload])
      }
    }))

  it.effect("has an id that sorts by the time, and the time", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_764_422_400_123)
      const { head } = yield* Envelope.decode(yield* Envelope.encode("x"))
      assert.strictEqual(head?.at, 1_764_422_400_123)
      assert.match(head!.id, /^019acfc5-387b-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      const ids = yield* Effect.forEach(Array.from({ length: 100 }), () =>
        Effect.flatMap(Effect.flatMap(Envelope.encode("x"), Envelope.decode), ({ head }) =>
          Effect.as(TestClock.adjust(1), head!.id)))
      assert.deepStrictEqual([...ids].sort(), ids)
      assert.strictEqual(new Set(ids).size, 100)
    }))

  it.effect("compresses its payload when it says so", () =>
    Effect.gen(function*() {
      for (const compression of ["gzip", "zstd"] as const) {
        const body = yield* Envelope.encode("x".repeat(10_000), { compression })
        assert.isBelow(body.length, 300)
        const { head, payload } = yield* Envelope.decode(body)
        assert.strictEqual(head?.compression, compression)
        assert.strictEqual(text(payload), "x".repeat(10_000))
      }
      const gzip = yield* Envelope.encode("hello", { id: "x", compression: "gzip" })
      assert.strictEqual(text(gunzipSync(gzip.subarray(gzip.indexOf(10) + 1))), "hello")
    }))

  it.effect("is refused when its head is none", () =>
    Effect.gen(function*() {
      const heads: ReadonlyArray<readonly [Partial<Envelope.Head>, string]> = [
        [{ id: "" }, "its id must be text, not empty"],
        [{ at: NaN }, "its at must be milliseconds since 1970"],
        [{ version: 0 }, "its version must be a whole number, at least 1"],
        [{ compression: "lzma" as never }, "its compression must be one of \"gzip\", \"zstd\""],
        [{ deadLetter: { tube: "a" } as never }, "its deadLetter must be an object"],
        [{ deadLetter: { ...FULL.deadLetter!, attempts: "x" as never } }, "its deadLetter must be an object"],
        [{ other: { id: "y" } }, "its other must not have id, which is id"],
        [{ other: { tp: "y" } }, "its other must not have tp, which is traceparent"],
        [{ other: { big: 1n } }, "one that JSON can carry"],
        [{ correlationId: "c".repeat(5000) }, "at most 4096 bytes"]
      ]
      for (const [head, why] of heads) {
        const refused = yield* Effect.result(Envelope.encode("x", head))
        assert(Result.isFailure(refused))
        assert.strictEqual(refused.failure._tag, "InvalidArgument")
        assert.include(refused.failure.message, why)
      }
    }))

  it.effect("has a payload that can be expanded again", () =>
    Effect.gen(function*() {
      const large = new Uint8Array(64 * 1024 * 1024 + 1)
      for (
        const [payload, why] of [[large, "of at most 67108864 bytes"], [7 as never, "text or a Uint8Array"]] as const
      ) {
        const refused = yield* Effect.result(Envelope.encode(payload, { compression: "gzip" }))
        assert(Result.isFailure(refused))
        assert.include(refused.failure.message, why)
      }
    }))

  it.effect("of 4096 bytes is the longest", () =>
    Effect.gen(function*() {
      const empty = JSON.stringify({ id: "", at: 0 }).length
      const id = "i".repeat(4096 - empty)
      const body = yield* Envelope.encode("payload", { id, at: 0 })
      assert.strictEqual(body.indexOf(10), 7 + 4096)
      assert.strictEqual((yield* Envelope.decode(body)).head?.id, id)
      assert.isTrue(Result.isFailure(yield* Effect.result(Envelope.encode("payload", { id: `${id}i`, at: 0 }))))
    }))
})

describe("a body", () => {
  it.effect("is bare unless it begins with an envelope, whole", () =>
    Effect.gen(function*() {
      const bare = [
        "",
        "#",
        "#job/1",
        "#job/1 ",
        "#job/1 {\"id\":\"x\"}",
        "#job/1\n{\"id\":\"x\"}\n",
        "#job/1 [1]\npayload",
        "#job/1 7\npayload",
        "#job/1 null\npayload",
        "#job/1 {\"id\":\npayload",
        "#job/1{\"id\":\"x\"}\npayload",
        "#job/x {\"id\":\"x\"}\npayload",
        "#job/0 {\"id\":\"x\"}\npayload",
        " #job/1 {\"id\":\"x\"}\npayload",
        "{\"id\":\"x\"}\n",
        `#job/1 {"id":"${"x".repeat(4100)}"}\npayload`
      ]
      for (const body of bare) {
        const opened = yield* Envelope.decode(bytes(body))
        assert.strictEqual(opened.head, undefined, body)
        assert.strictEqual(text(opened.payload), body)
      }
    }))

  it.effect("whose head is no UTF-8 is bare", () =>
    Effect.gen(function*() {
      const body = Buffer.from("#job/1 {\"id\":\"\xff\"}\nx", "latin1")
      assert.strictEqual((yield* Envelope.decode(body)).head, undefined)
    }))

  it.effect("with an envelope that cannot be read is refused, with the reason", () =>
    Effect.gen(function*() {
      const refused: ReadonlyArray<readonly [string, string]> = [
        ["#job/2 {\"id\":\"x\"}\n", "of version 2, and this reads version 1"],
        ["#job/12 anything", "of version 12"],
        ["#job/1 {}\n", "its member \"id\" must be text, not empty"],
        ["#job/1 {\"id\":7}\n", "its member \"id\" must be text, not empty"],
        ["#job/1 {\"id\":\"x\",\"at\":\"now\"}\n", "its member \"at\" must be milliseconds since 1970"],
        ["#job/1 {\"id\":\"x\",\"ce\":\"lzma\"}\n", "its member \"ce\" must be one of"],
        ["#job/1 {\"id\":\"x\",\"ce\":\"gzip\"}\nnot gzip", "does not expand"]
      ]
      for (const [body, why] of refused) {
        const opened = yield* Effect.result(Envelope.decode(bytes(body)))
        assert(Result.isFailure(opened), body)
        assert.strictEqual(opened.failure._tag, "InvalidEnvelope")
        assert.include(opened.failure.message, why)
        assert.strictEqual(text(opened.failure.body), body)
      }
    }))

  it.effect("that expands to more than 64 MiB is refused", () =>
    Effect.gen(function*() {
      const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024 + 1), { level: 1 })
      const opened = yield* Effect.result(
        Envelope.decode(Buffer.concat([bytes("#job/1 {\"id\":\"x\",\"ce\":\"gzip\"}\n"), bomb]))
      )
      assert(Result.isFailure(opened))
      assert.include(opened.failure.message, "does not expand")
    }))

  it.effect("keeps the members that nobody here knows, and takes null for left out", () =>
    Effect.gen(function*() {
      const { head } = yield* Envelope.decode(
        bytes("#job/1 {\"id\":\"x\",\"at\":null,\"ty\":\"welcome\",\"zz\":null}\n")
      )
      assert.deepStrictEqual(head, { id: "x", other: { ty: "welcome", zz: null } })
    }))

  it.effect("is a view of a larger buffer as well", () =>
    Effect.gen(function*() {
      const whole = bytes("....#job/1 {\"id\":\"x\"}\npayload....")
      const { head, payload } = yield* Envelope.decode(whole.subarray(4, whole.length - 4))
      assert.deepStrictEqual([head, text(payload)], [{ id: "x" }, "payload"])
    }))
})

describe("an expiry", () => {
  it.effect("is over from its time on", () =>
    Effect.gen(function*() {
      const head = { id: "x", exp: 1000 }
      assert.isFalse(yield* Envelope.isExpired(head))
      yield* TestClock.setTime(1000)
      assert.isTrue(yield* Envelope.isExpired(head))
      assert.isFalse(yield* Envelope.isExpired({ id: "x" }))
      assert.isFalse(yield* Envelope.isExpired(undefined))
    }))
})
