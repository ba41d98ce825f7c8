/**
 * A service that needs nothing installed and loses no job: its queue is an embedded server with a directory. The service
 * runs in a process of its own, is killed with SIGKILL in the midst of its work, and goes on where it was.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Schedule, Schema } from "effect"
import { Server, Tube, Worker } from "effect-beanstalkd"
import { fork } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

const Photos = Tube.make("photos", { schema: Schema.Struct({ name: Schema.String }) })

const COUNT = 12

// A tube without jobs, and nobody who watches it, is none.
const jobsLeft = Photos.stats.pipe(
  Effect.map((tube) => tube.currentJobsReady + tube.currentJobsReserved + tube.currentJobsDelayed),
  Effect.catchTag("NotFound", () => Effect.succeed(0))
)

/** The service. Its jobs are on the disk before a put is answered, and stay there until the delete is. */
const service = (directory: string) =>
  Effect.gen(function*() {
    const found = yield* jobsLeft
    yield* Console.log(`started with ${found} jobs`)
    if (found === 0) yield* Photos.putAll(Array.from({ length: COUNT }, (_, n) => ({ name: `${n + 1}.jpg` })))
    const worker = Worker.run(Photos, ({ name }) => Console.log(`resized ${name}`))
    const done = jobsLeft.pipe(Effect.repeat({ until: (left) => left === 0, schedule: Schedule.spaced("20 millis") }))
    yield* Effect.raceFirst(worker, done)
  }).pipe(Effect.provide(Server.layerMemory({ directory, sync: "always" })))

/** Runs the service in a process of its own, until it ends, or until it has done so much that it is killed. */
const runAndKill = (directory: string, killAfter: number) =>
  Effect.callback<ReadonlyArray<string>>((resume) => {
    const child = fork(import.meta.filename, [directory], { stdio: ["ignore", "pipe", "inherit", "ipc"] })
    let output = ""
    const resized = () => output.match(/resized \S+/g) ?? []
    child.stdout!.on("data", (text: Buffer) => {
      output += text.toString()
      process.stdout.write(text)
      if (resized().length >= killAfter) child.kill("SIGKILL")
    })
    child.on("close", () => resume(Effect.succeed(resized())))
  })

const main = Effect.gen(function*() {
  const directory = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "photos-"))),
    (directory) => Effect.promise(() => rm(directory, { recursive: true }))
  )
  const before = yield* runAndKill(directory, 5)
  yield* Console.log("the service was killed")
  const after = yield* runAndKill(directory, Infinity)
  const all = new Set([...before, ...after])
  yield* Console.log(`${all.size} of ${COUNT} photos are resized`)
}).pipe(Effect.scoped)

const directory = process.argv[2]
NodeRuntime.runMain(directory === undefined ? main : service(directory))
