/**
 * A run on Bun or Deno is good only if nearly all tests ran there, and each of the others has a reason.
 */
import { assert, describe, it } from "@effect/vitest"
import { judge, type Report } from "./judge.ts"

const report = (passed: number, others: ReadonlyArray<readonly [title: string, status: string]>): Report => ({
  success: others.every(([, status]) => status !== "failed"),
  testResults: [{
    name: "/home/test/a.test.ts",
    assertionResults: [
      ...Array.from({ length: passed }, (_, i) => [`${i}`, "passed"] as const),
      ...others
    ].map(([title, status]) => ({ ancestorTitles: ["a group"], title, status }))
  }]
})

const named = (title: string) => `test/a.test.ts > a group > ${title}`

const complaints = (...args: [Report, Readonly<Record<string, ReadonlyArray<string>>>]) => {
  const { isGood, lines } = judge("bun", "/home", ...args)
  const wrong = lines.filter((line) => line.startsWith("  WRONG: "))
  assert.strictEqual(isGood, wrong.length === 0)
  return wrong.map((line) => line.slice("  WRONG: ".length))
}

const SKIPPED = [["x", "skipped"], ["y", "skipped"], ["z", "skipped"]] as const

describe("a run on another runtime", () => {
  it("is good with 97 % of the tests, and the reasons of the others", () => {
    const names = { "it needs Node": ["x", "y", "z"].map(named) }
    assert.deepStrictEqual(complaints(report(97, SKIPPED), names), [])
    const { lines } = judge("bun", "/home", report(97, SKIPPED), names)
    assert.deepStrictEqual(lines, [
      "bun: 97 of 100 tests have passed (97.00 %)",
      "  3 do not run there: it needs Node"
    ])
  })

  it("is bad with less, whether the others are listed or not", () => {
    const names = { "it needs Node": ["x", "y", "z"].map(named) }
    assert.deepStrictEqual(complaints(report(96, SKIPPED), names), ["96.97 % of the tests have passed, and 97 % must"])
    assert.deepStrictEqual(complaints(report(96, SKIPPED), {}), ["96.97 % of the tests have passed, and 97 % must"])
  })

  it("is bad when a test fails", () => {
    assert.deepStrictEqual(complaints(report(1000, [["x", "failed"]]), {}), ["the run has failed"])
  })

  it("is bad when the list has no reason, a test twice, or one that there is not", () => {
    assert.deepStrictEqual(complaints(report(1000, [["x", "skipped"]]), { " ": [named("x")] }), [
      "tests are listed without a reason"
    ])
    assert.deepStrictEqual(complaints(report(1000, [["x", "skipped"]]), { a: [named("x")], b: [named("x")] }), [
      `listed twice: ${named("x")}`
    ])
    assert.deepStrictEqual(complaints(report(1000, []), { a: [named("gone")] }), [
      `listed, and there is no such test: ${named("gone")}`
    ])
  })

  it("is bad when no test ran at all", () => {
    assert.deepStrictEqual(complaints({ success: true, testResults: [] }, {}), [
      "0.00 % of the tests have passed, and 97 % must"
    ])
  })
})
