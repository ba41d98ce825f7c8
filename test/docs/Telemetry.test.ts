/**
 * The page about telemetry: its tables name every metric there is, with its kind and its unit.
 */
import { assert, describe, it } from "@effect/vitest"
import { Metric } from "effect"
import { Metrics } from "effect-beanstalkd"
import { readFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "../..")

const metrics = Object.values<unknown>(Metrics).filter(Metric.isMetric)

const rowsOf = (text: string, row: RegExp) =>
  [...text.matchAll(row)].map(([, name, kind, unit]) => `${name} ${kind} ${unit}`).sort()

const said = (all: typeof metrics) =>
  all.map(({ attributes, id, type }) => `${id} ${type.toLowerCase()} ${attributes?.["unit"]}`).sort()

describe("the metrics", () => {
  it("are those of the tables, with their kinds and units", () => {
    const page = readFileSync(join(root, "docs/telemetry.md"), "utf8").split("\n## Traces")[0]!
    assert.deepStrictEqual(rowsOf(page, /^\| `([a-z_.]+)` +\| (\w+) +\| `(\S+)` +\|/gm), said(metrics))
  })

  it("are those of the docstring, which takes the gauges of tubes together", () => {
    const docs = readFileSync(join(root, "src/Metrics.ts"), "utf8")
    const rows = rowsOf(docs, /^ \* \| `([a-z_.]+)` \| (\w+) \| `?([^ `]+)`? \|/gm)
    const ofTubes = /^beanstalkd_tube_.*_(jobs|connections)$/
    assert.deepStrictEqual(
      rows.filter((row) => !row.startsWith("beanstalkd_tube_...")),
      said(metrics.filter(({ id }) => !ofTubes.test(id)))
    )
    for (const { id } of metrics.filter(({ id }) => ofTubes.test(id))) {
      const [, name, what] = /^beanstalkd_tube_(.*)_(\w+)$/.exec(id)!
      assert.match(docs, new RegExp(`beanstalkd_tube_\\.\\.\\._${what}\`.*\`${name}\``))
    }
  })
})
