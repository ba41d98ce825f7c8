/**
 * The page about envelopes, against what there is.
 */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { MEMBERS } from "../../src/internal/envelope/head.ts"

const page = readFileSync(join(import.meta.dirname, "../../docs/envelope.md"), "utf8")

describe("docs/envelope.md", () => {
  it("has each member of the head, with the name under which it travels", () => {
    const rows = page.split("## What it says")[1]!.split("\n\n")[1]!.split("\n").slice(2)
    const told = rows.flatMap((row) => {
      const [, names = "", wires = ""] = row.split("|")
      const wireNames = [...wires.matchAll(/`(\w+)`/g)].map(([, name]) => name)
      // What a dead letter says is told in its own row.
      return [...names.matchAll(/`(\w+)`/g)].slice(0, wireNames.length).map(([, name], i) => `${name} ${wireNames[i]}`)
    })
    assert.sameMembers(told, MEMBERS.map(({ name, wire }) => `${name} ${wire}`))
  })
})
