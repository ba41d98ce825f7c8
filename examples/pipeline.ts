/**
 * From one tube to the next: a worker that puts what it has made of a job into another tube. When its handler succeeds,
 * the job is deleted. If the process dies between that put and that delete, the job runs again and puts once more: so
 * there may be two jobs for the same photo in the next tube, and the worker there must not mind.
 */
import { Console, Effect, Schedule, Schema } from "effect"
import { Tube, Worker } from "effect-beanstalkd"
import { run } from "./support/run.ts"

// What makes two jobs the same is in the value: the id of a job is new with each put.
const Photo = Schema.Struct({ photo: Schema.String })
const Thumbnail = Schema.Struct({ photo: Schema.String, pixels: Schema.Int })

const Uploads = Tube.make("uploads", { schema: Photo })
const Thumbnails = Tube.make("thumbnails", { schema: Thumbnail })

let isFirst = true

const shrink = Worker.run(Uploads, ({ photo }) =>
  Effect.gen(function*() {
    yield* Console.log(`shrink  ${photo}`)
    yield* Thumbnails.put({ photo, pixels: 128 })
    // The worst moment to fail: the job runs again. A crash would do the same.
    if (isFirst) {
      isFirst = false
      return yield* Effect.die(new Error("out of memory"))
    }
  }))

// A table with the photo as its key, INSERT ... ON CONFLICT DO NOTHING.
const published = new Set<string>()
let handled = 0

const publish = Worker.run(Thumbnails, ({ photo }) =>
  Effect.suspend(() => {
    handled++
    if (published.has(photo)) return Console.log(`skip    ${photo}, it is published already`)
    published.add(photo)
    return Console.log(`publish ${photo}`)
  }))

const untilAllIsHandled = Effect.sync(() => handled).pipe(
  Effect.repeat({ until: (count) => count === 3, schedule: Schedule.spaced("50 millis") })
)

run(Effect.gen(function*() {
  yield* Uploads.putAll([{ photo: "cat.jpg" }, { photo: "dog.jpg" }])
  yield* Effect.raceAllFirst([shrink, publish, untilAllIsHandled])
  yield* Console.log(`published: ${[...published].join(", ")}`)
}))
