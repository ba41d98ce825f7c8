/**
 * A sequence of steps on several connections, as data: it can be played on any server, cut down, and printed.
 */
import { withoutSome } from "./Shrink.ts"

/** The servers have this `-z`, so that a body that is too big need not be big. */
export const MAX_JOB_SIZE = 100

export type End = "halfClose" | "close" | "reset"

/**
 * A connection that is not open is opened by its next step. What `send` says goes out in one write; `{id:n}` in it is
 * the n-th id that the server gives away in this sequence, `{held}` the id that the connection reserved last.
 */
export type Step =
  | { readonly conn: number; readonly send: ReadonlyArray<string> }
  | { readonly conn: number; readonly send: ReadonlyArray<string>; readonly end: End }
  | { readonly drain: true }

export interface Sequence {
  /** Whether all connections watch the tube `crowd`, only it and all the time: then several of them may wait. */
  readonly isCrowd: boolean
  readonly steps: ReadonlyArray<Step>
}

/** One line a step. */
export const print = ({ isCrowd, steps }: Sequence): string =>
  [
    ...(isCrowd ? ["(all connections watch the tube `crowd`, nothing else)"] : []),
    ...steps.map((step, index) => {
      if ("drain" in step) return `${index}. the server begins to drain`
      const end = "end" in step ? ` then ${step.end}` : ""
      return `${index}. connection ${step.conn}:${step.send.map((part) => ` ${JSON.stringify(part)}`).join("")}${end}`
    })
  ].join("\n")

/** As if one job less had been put before. */
const withEarlierIds = (step: Step): Step =>
  "drain" in step ? step : {
    ...step,
    send: step.send.map((part) => part.replace(/\{id:(\d+)\}/g, (_, id) => `{id:${Math.max(1, Number(id) - 1)}}`))
  }

/** A line that is split over two steps, in one; undefined if these are not such steps. */
const joined = (step: Step, next: Step | undefined): Step | undefined => {
  if (next === undefined || "drain" in step || "drain" in next || "end" in step || step.conn !== next.conn) {
    return undefined
  }
  const last = step.send.at(-1) ?? "\r\n"
  if (last.endsWith("\r\n")) return undefined
  const [first = "", ...others] = next.send
  return { ...next, send: [...step.send.slice(0, -1), last + first, ...others] }
}

/** All that are a bit smaller, those that leave out most first. */
export function* smaller(sequence: Sequence): Generator<Sequence> {
  const { isCrowd, steps } = sequence
  for (const fewer of withoutSome(steps)) yield { isCrowd, steps: fewer }
  for (const at of steps.keys()) yield { isCrowd, steps: steps.toSpliced(at, 1).map(withEarlierIds) }
  for (const [at, step] of steps.entries()) {
    const one = joined(step, steps[at + 1])
    if (one !== undefined) yield { isCrowd, steps: steps.toSpliced(at, 2, one) }
    const replaced = (by: Step): Sequence => ({ isCrowd, steps: steps.with(at, by) })
    if ("drain" in step) continue
    for (const part of step.send.keys()) yield replaced({ ...step, send: step.send.toSpliced(part, 1) })
    if ("end" in step) yield replaced({ conn: step.conn, send: step.send })
    if (step.conn > 0) yield replaced({ ...step, conn: 0 })
  }
  if (isCrowd) yield { ...sequence, isCrowd: false }
}
