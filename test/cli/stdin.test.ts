/**
 * What comes in on stdin, in whatever pieces: as one body, or line by line and numbered, and never more than may be in
 * memory.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stdio, Stream } from "effect"
import { Failed } from "../../src/cli/failures.ts"
import { forEachLines, readAll } from "../../src/cli/terminal/stdin.ts"

const from = (pieces: ReadonlyArray<string>) =>
  Effect.provide(Stdio.layerTest({ stdin: Stream.fromIterable(pieces.map((piece) => Buffer.from(piece))) }))

const messageOf = <A>(effect: Effect.Effect<A, Failed>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, Failed)
    return error.message
  })

describe("all of stdin", () => {
  const whole: ReadonlyArray<ReadonlyArray<string>> = [[], ["", ""], ["hello"], ["he", "", "llo\n", "\n"]]
  it.effect.each(whole.map((pieces) => [pieces] as const))(
    "is one body, to the last byte: %j",
    ([pieces]) =>
      Effect.gen(function*() {
        const body = yield* readAll(100).pipe(from(pieces))
        assert.strictEqual(body.toString(), pieces.join(""))
      })
  )

  it.effect("may be as long as the limit, and not a byte longer", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* readAll(10).pipe(from(["12345", "67890"]))).length, 10)
      for (const pieces of [["12345", "678901"], ["12345678901"], ["1".repeat(5), "2".repeat(5), "3"]]) {
        assert.strictEqual(
          yield* messageOf(readAll(10).pipe(from(pieces))),
          "JOB_TOO_BIG: what came on stdin is longer than anything the server takes (more than 10 bytes)"
        )
      }
    }))
})

describe("the lines of stdin", () => {
  const read = Effect.fnUntraced(function*(pieces: ReadonlyArray<string>, limit = 100) {
    const groups: Array<readonly [first: number, lines: ReadonlyArray<string>, bytes: number]> = []
    yield* forEachLines(limit, ({ bytes, first, lines }) =>
      Effect.sync(() => {
        groups.push([first, lines.map((line) => Buffer.from(line).toString()), bytes])
      })).pipe(from(pieces))
    return groups
  })

  const cases: ReadonlyArray<readonly [pieces: ReadonlyArray<string>, groups: ReadonlyArray<unknown>]> = [
    [[], []],
    [[""], []],
    [["\n"], [[1, [""], 1]]],
    [["a\nb\n"], [[1, ["a", "b"], 4]]],
    // A last line without its end.
    [["a\nb"], [[1, ["a"], 3], [2, ["b"], 3]]],
    // In pieces.
    [["a", "b", "\nc\n", "d\n\ne"], [[1, ["ab", "c"], 5], [3, ["d", ""], 9], [5, ["e"], 9]]],
    [["a\r\n"], [[1, ["a\r"], 3]]]
  ]
  it.effect.each(cases)(
    "%j come in groups, numbered, with the bytes so far",
    ([pieces, groups]) =>
      Effect.gen(function*() {
        assert.deepStrictEqual<unknown>(yield* read(pieces), groups)
      })
  )

  it.effect("may be as long as the limit each, and the first that is longer is told by its number", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* read(["12345\n12345", "\n1234", "5"], 5), [[1, ["12345"], 11], [2, ["12345"], 16], [
        3,
        ["12345"],
        17
      ]])
      const seen: Array<number> = []
      const failing = forEachLines(5, ({ first, lines }) =>
        Effect.sync(() => {
          seen.push(first, lines.length)
        })).pipe(from(["1\n2\n", "3\n1234", "56", "789\n"]))
      assert.strictEqual(
        yield* messageOf(failing),
        "JOB_TOO_BIG: line 4 is longer than anything the server takes (more than 5 bytes)"
      )
      assert.deepStrictEqual(seen, [1, 2, 3, 1])
    }))
})
