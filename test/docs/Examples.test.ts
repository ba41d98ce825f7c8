/**
 * The examples do what they show. Each runs as its reader would run it.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { globSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import * as Runtime from "../support/Runtime.ts"

const root = join(import.meta.dirname, "../..")

const { BEANSTALKD_URL: _, ...env } = process.env

const run = async (example: string): Promise<string> => {
  const { stdout } = await promisify(execFile)(process.execPath, [join("examples", example)], {
    cwd: root,
    env,
    timeout: 30_000
  })
  return stdout
}

const SHOWS: Record<string, ReadonlyArray<string>> = {
  "quickstart.ts": [
    "reserved job 2: water the plants",
    "done     job 4",
    "4 jobs put into quickstart, 4 deleted"
  ],
  "dead-letters.ts": [
    "attempt 1 of 8 failed, the next one comes in 1 s BankIsDown",
    "failed for good, moved to payments-dead as job memory/3 NoSuchAccount",
    "a dead letter: {\"account\":\"nobody\",\"euros\":20}",
    "paid 20 EUR to grace",
    "paid 10 EUR to ada"
  ],
  "pipeline.ts": ["skip    cat.jpg, it is published already", "published: cat.jpg, dog.jpg"],
  "batches.ts": ["inserted 100 rows", "0 ready, 0 reserved"],
  "errors.ts": [
    "refused: a body of 100000 bytes",
    "invalid: put: ttr must be",
    "gone: delete: no job 1",
    "sent: false"
  ],
  "one-server.ts": ["memory/1: tent for ada", "12 orders, by way of memory\n"],
  "fleet.ts": [": tent for ada", "12 orders, by way of memory,memory-2,memory-3\n"],
  "two-servers.ts": ["emails:  default, outbox", "billing: default, charges", "2 emails, 1 charge"],
  "rate-limit.ts": ["sent to 10", "429: the tube is paused for 1s", "10 texts sent with 11 requests"],
  "reactivity.ts": ["ada has 0 EUR\nada has 10 EUR\nada has 30 EUR\n"],
  "outbox.ts": ["the relay died", "skip    the tent, it is on its way already", "jobs, 3 shipments"],
  "health.ts": [
    "/live 200, /ready 200 ready",
    "/live 200, /ready 503 unreachable",
    "/live 200, /ready 503 draining"
  ],
  "node-service.ts": ["202 {\"job\":\"memory/1\"}", "400 ", "413 ", "order 1: tent", "ended in order"],
  "nextjs-handler.ts": ["202 {\"job\":\"memory/1\"}", "400 ", "413 ", "loaded again\n202 {\"job\":\"memory/2\"}"],
  "config.ts": ["job 1 is ready in configured"],
  "http-producer.ts": ["202 {\"job\":\"memory/1\"}", "400 "],
  "durable.ts": [
    "started with 0 jobs",
    "resized 5.jpg",
    "the service was killed",
    "resized 12.jpg",
    "12 of 12 photos are resized"
  ],
  "persisted-queue.ts": [
    "sent welcome-1 to ada\nattempt 1 of welcome-2 failed",
    "sent welcome-3 to grace",
    "failed for good: welcome-2, after 2 attempts"
  ],
  "drain-buried.ts": ["kicked  job 5: good 3", "reports: 0 buried, 3 ready"]
}

// Examples that run until they are told to end, and the output that they must have by then.
const SERVICES: Record<string, { readonly when: string; readonly shows: ReadonlyArray<string> }> = {
  "worker-service.ts": { when: "sending to grace", shows: ["sent to ada", "sent to grace"] }
}

const serve = (example: string, when: string): Promise<{ readonly code: number | null; readonly output: string }> =>
  new Promise((resolve) => {
    const service = execFile(process.execPath, [join("examples", example)], { cwd: root, env, timeout: 30_000 })
    let output = ""
    service.stdout?.on("data", (text: string) => {
      const isFirst = !output.includes(when)
      output += text
      if (isFirst && output.includes(when)) Runtime.signal(service, "SIGTERM")
    })
    service.on("close", (code) => resolve({ code, output }))
  })

describe.concurrent("the examples", () => {
  it("are all run here, but for tests, which are run with the other tests", () => {
    const examples = globSync("*.ts", { cwd: join(root, "examples"), exclude: ["*.test.ts"] })
    assert.deepStrictEqual(Object.keys({ ...SHOWS, ...SERVICES }).toSorted(), examples.toSorted())
  })

  it.each(Object.keys(SHOWS))("%s", async (example) => {
    const output = await run(example)
    for (const line of SHOWS[example]!) assert.include(output, line)
  }, 40_000)

  it.each(Object.keys(SERVICES))("%s, until SIGTERM, which lets end what runs", async (example) => {
    const { shows, when } = SERVICES[example]!
    const { code, output } = await serve(example, when)
    assert.strictEqual(code, 130)
    for (const line of shows) assert.include(output, line)
    assert.strictEqual(output.split("sent to").length, output.split("sending to").length)
  }, 40_000)
})
