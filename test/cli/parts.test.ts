/**
 * The parts of the command line that can be tested on their own.
 */
import { assert, describe, it } from "@effect/vitest"
import { all } from "../../src/cli/commands/all.ts"
import { normalize } from "../../src/cli/argv.ts"
import { draw } from "../../src/cli/terminal/progress.ts"
import { fromBase64 } from "../../src/cli/terminal/stdin.ts"
import { align, oneLine } from "../../src/cli/terminal/table.ts"
import { reorder, type Row, rowsOf, type Sample, sort } from "../../src/cli/terminal/topModel.ts"
import { ServerStats, TubeStats } from "effect-beanstalkd/Stats"
import { Schema } from "effect"

describe("arguments", () => {
  it("are rewritten for the parser: values that hang on their flag, switches before a 1", () => {
    assert.deepStrictEqual(normalize(["-p10", "put", "-i", "--json", "1", "-u=x", "-5"], all), [
      "-p",
      "10",
      "put",
      "-i=true",
      "--json=true",
      "1",
      "-u=x",
      "-5"
    ])
  })
  it("are left alone after --", () => {
    assert.deepStrictEqual(normalize(["put", "--", "-p10", "--json"], all), ["put", "--", "-p10", "--json"])
  })
})

describe("progress", () => {
  it("has a bar, a rate, and the time left", () => {
    assert.strictEqual(draw("x", 50, 0.5, 2000), "x  [############------------] 50%  50  25/s  2 s left")
    assert.strictEqual(draw("x", 1, 0.001, 10_000), "x  [------------------------] 0%  1  0/s  2 h 46 min left")
    assert.strictEqual(draw("x", 10, 0.1, 10_000), "x  [##----------------------] 10%  10  1/s  1 min 30 s left")
    assert.strictEqual(draw("x", 100, 1, 4000), "x  [########################] 100%  100  25/s")
  })
  it("without a total tells the count and the rate", () => {
    assert.strictEqual(draw("x", 100, undefined, 4000), "x  100  25/s")
    assert.strictEqual(draw("x", 0, undefined, 0), "x  0  0/s")
  })
})

describe("tables", () => {
  it("have numbers to the right, and know how wide characters are", () => {
    assert.deepStrictEqual(align(["NAME", "N"], [["日本", 1], ["a", 100], ["b", undefined]]), [
      "NAME    N",
      "日本    1",
      "a     100",
      "b       -"
    ])
  })
  it("of nothing have a heading", () => {
    assert.deepStrictEqual(align(["NAME", "N"], []), ["NAME  N"])
  })
  it("are not broken by what is in them", () => {
    assert.strictEqual(oneLine("a\nb\tc\r\u001b[2J\u009b\u2028é"), "a\\nb\\tc\\r\\u001b[2J\\u009b\\u2028é")
  })
})

describe("base64", () => {
  it("may have line breaks and lack its padding, but must be base64", () => {
    assert.deepStrictEqual(Buffer.from(fromBase64("aGVs\r\nbG8")!).toString(), "hello")
    for (const text of ["a", "a===", "aGk*", "aG=k", "é"]) assert.isUndefined(fromBase64(text), text)
    assert.strictEqual(fromBase64("")?.length, 0)
  })
})

describe("the model of top", () => {
  const extra = { raw: "", extra: {} }
  const server = Schema.decodeSync(ServerStats)(extra)
  const tube = (totalJobs: number, cmdDelete: number) =>
    Schema.decodeSync(TubeStats)({ totalJobs: `${totalJobs}`, cmdDelete: `${cmdDelete}`, ...extra })
  const sample = (millis: number, tubes: Record<string, TubeStats>): Sample => ({
    millis,
    server,
    tubes: new Map(Object.entries(tubes))
  })
  const rates = (rows: ReadonlyArray<Row>) => rows.map(({ deletes, puts }) => [puts, deletes])

  it("has rates from two samples, also of tubes that are new or have begun anew", () => {
    const first = sample(1000, { a: tube(10, 4), b: tube(100, 100) })
    assert.deepStrictEqual(rates(rowsOf(first)), [[undefined, undefined], [undefined, undefined]])
    const second = sample(3000, { a: tube(30, 4), b: tube(8, 2), c: tube(6, 0) })
    assert.deepStrictEqual(rates(rowsOf(second, first)), [[10, 0], [4, 1], [3, 0]])
  })

  it("is sorted by any column, then by name", () => {
    const rows = rowsOf(sample(0, { b: tube(0, 0), a: tube(0, 0), c: tube(0, 0) })).map((row, i) => ({
      ...row,
      ready: i % 2
    }))
    const names = (rows: ReadonlyArray<Row>) => rows.map(({ tube }) => tube).join("")
    assert.strictEqual(names(sort(rows, { column: "tube", isReversed: false })), "abc")
    assert.strictEqual(names(sort(rows, { column: "tube", isReversed: true })), "cba")
    assert.strictEqual(names(sort(rows, { column: "ready", isReversed: false })), "abc")
    assert.strictEqual(names(sort(rows, { column: "ready", isReversed: true })), "bca")
  })

  it("is sorted otherwise by keys, round and round", () => {
    const start = { column: "tube", isReversed: false } as const
    assert.strictEqual(reorder(start, "\u001b[C").column, "ready")
    assert.strictEqual(reorder(start, "<").column, "paused")
    assert.strictEqual(reorder(reorder(start, "\u001bOD"), "\u001bOC").column, "tube")
    assert.isTrue(reorder(start, "r").isReversed)
    assert.strictEqual(reorder(start, "x"), start)
  })
})
