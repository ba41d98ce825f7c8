/**
 * Which CPUs beanstalkd and the measured client run on. Left to itself the scheduler moves them between sharing one and
 * having one each, and a command and its reply take up to three times as long in the one case as in the other: two runs
 * of the same program would differ more than two clients. Sharing one, the default of `put`, is where rounds agree best, and where
 * what a client costs counts: time that it takes is time that the server does not have.
 */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"

/**
 * `same`: both on one CPU. `own`: one CPU for each. `any`: where the
 * scheduler puts them.
 */
export type Placement = "same" | "own" | "any"

export const PLACEMENTS: ReadonlyArray<Placement> = ["same", "own", "any"]

/** A program and its arguments. */
export type Command = readonly [string, ...ReadonlyArray<string>]

/** The first and the last CPU that this process may use (which are no two threads of one core, if there are more). */
const ends = (): { readonly first: string; readonly last: string } | undefined => {
  if (spawnSync("taskset", ["-V"]).error !== undefined) return undefined
  const list = readFileSync("/proc/self/status", "utf8").match(/^Cpus_allowed_list:\s*(\d+).*\D(\d+)$/m)
  return list === null ? undefined : { first: list[1]!, last: list[2]! }
}

const CPUS = ends()

/** How processes are placed when `wanted`: without Linux's `taskset` or a second CPU there is no choice. */
export const placementFor = (wanted: Placement): Placement => CPUS === undefined ? "any" : wanted

/** The command that runs a client, or a server, in that placement. */
export const placed = (placement: Placement, who: "client" | "server", command: Command): Command => {
  if (placement === "any" || CPUS === undefined) return command
  return ["taskset", "-c", placement === "own" && who === "server" ? CPUS.last : CPUS.first, ...command]
}
