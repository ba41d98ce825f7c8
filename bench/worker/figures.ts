/**
 * What is not a rate: how soon an idle worker has a job, how often a busy one asks for some, what it keeps.
 */
import { fileURLToPath } from "node:url"
import { real, withServer } from "../beanstalkd.ts"
import type { Placement } from "../cpus.ts"
import { inChild } from "../rounds.ts"
import { LIMIT, median, round } from "../statistics.ts"
import type { Question } from "./probe.ts"
import { OURS } from "../options.ts"

export interface Figure {
  readonly work: string
  readonly client: string
  readonly value: number
  readonly unit: string
  /** The median of the rounds' ratios to the limit; `null` where there is none. */
  readonly ratioToLimit: number | null
}

const PROGRAM = fileURLToPath(new URL("probe.ts", import.meta.url))

type Asked = Question extends infer Q ? Q extends Question ? Omit<Q, "port"> : never : never

const ask = (placement: Placement, asked: Asked): Promise<number> =>
  withServer(real, placement, (port) => inChild(placement, ["--expose-gc", PROGRAM], { ...asked, port }))

const HEAP_JOBS = [100_000, 1_000_000]
const HANDLERS_MILLIS = [0, 20]
const MEBIBYTE = 1024 * 1024

const guardedOrNot = (crashGuard: boolean): string => crashGuard ? "crashGuard" : "no crashGuard"

export const latencyOf = (crashGuard: boolean): string => `idle: put to handler, ${guardedOrNot(crashGuard)}`
export const reservesOf = (millis: number): string => `reserve commands a job, 1000 jobs/s, handlers of ${millis} ms`
export const HEAP = `heap after ${HEAP_JOBS[1]} jobs, minus after ${HEAP_JOBS[0]}`

const latencyFigures = async (placement: Placement, rounds: number, crashGuard: boolean) => {
  const limits: Array<number> = []
  const ours: Array<number> = []
  for (let n = 1; n <= rounds; n++) {
    limits.push(await ask(placement, { what: "latency", client: LIMIT, crashGuard }))
    ours.push(await ask(placement, { what: "latency", client: OURS, crashGuard }))
    const micros = [limits, ours].map((values) => values.at(-1)!.toFixed(1)).join(", ")
    console.error(`round ${n}/${rounds}, ${latencyOf(crashGuard)}: ${micros} µs`)
  }
  const figure = (client: string, values: ReadonlyArray<number>): Figure => ({
    work: latencyOf(crashGuard),
    client,
    value: round(median(values), 1),
    unit: "µs",
    ratioToLimit: round(median(values.map((value, n) => value / limits[n]!)), 2)
  })
  return [figure(LIMIT, limits), figure(OURS, ours)]
}

const ourFigure = async (work: string, unit: string, measure: () => Promise<number>): Promise<Figure> => {
  const value = round(await measure(), 2)
  console.error(`${work}: ${value} ${unit}`)
  return { work, client: OURS, value, unit, ratioToLimit: null }
}

/** Latencies as often as there are rounds; the other figures hardly vary, and are taken once. */
export const measureFigures = async (placement: Placement, rounds: number): Promise<ReadonlyArray<Figure>> => {
  const figures: Array<Figure> = []
  for (const crashGuard of [false, true]) figures.push(...await latencyFigures(placement, rounds, crashGuard))
  for (const handlerMillis of HANDLERS_MILLIS) {
    const measure = () => ask(placement, { what: "reserves", handlerMillis })
    figures.push(await ourFigure(reservesOf(handlerMillis), "commands", measure))
  }
  const heap = async () => await ask(placement, { what: "heap", jobs: HEAP_JOBS }) / MEBIBYTE
  figures.push(await ourFigure(HEAP, "MiB", heap))
  return figures
}
