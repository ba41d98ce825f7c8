/**
 * The checker of Prometheus' text format, `promtool`, if this machine has it.
 */
import { spawnSync } from "node:child_process"

const promtool = process.env["PROMTOOL_BIN"] ?? "promtool"

export const isThere: boolean = spawnSync(promtool, ["--version"]).error === undefined

/** What it says against a text; empty if it says nothing. */
export const complaints = (text: string): string => {
  const { stderr, stdout } = spawnSync(promtool, ["check", "metrics"], { input: text, encoding: "utf8" })
  return `${stdout}${stderr}`.trim()
}
