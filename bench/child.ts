/**
 * One measured run, in a process of its own: connects a client, warms it up, measures it, and prints what that took as
 * one line of JSON. Its argument is the `Run`, as JSON.
 */
import type { Client } from "./support.ts"

/** What to measure. */
export interface Run {
  /** The URL of the client's module. */
  readonly module: string
  readonly bench: string
  readonly fibers: number
  readonly port: number
  readonly warmup: number
  readonly ops: number
}

/** What it took. */
export interface Sample {
  readonly connections: number
  readonly ops: number
  readonly seconds: number
  readonly cpuMicros: number
}

const measure = async (run: Run): Promise<Sample> => {
  const { default: client } = await import(run.module) as { default: Client<string> }
  const session = await client[run.bench]!(run.port, run.fibers)
  await session.run(run.warmup)
  const cpuBefore = process.cpuUsage()
  const before = performance.now()
  await session.run(run.ops)
  const seconds = (performance.now() - before) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  await session.close()
  return { connections: session.connections, ops: run.ops, seconds, cpuMicros: cpu.user + cpu.system }
}

console.log(JSON.stringify(await measure(JSON.parse(process.argv[2]!))))
