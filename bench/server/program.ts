/**
 * The embedded server in a process of its own, on the port that is its argument. A message makes it collect its garbage
 * and say how many bytes its heap, and what the heap keeps outside, then hold.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Server } from "effect-beanstalkd"
import * as Layer from "effect/Layer"

process.on("message", () => {
  global.gc!()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  process.send!(heapUsed + arrayBuffers)
})

NodeRuntime.runMain(Layer.launch(Server.layer({ port: Number(process.argv[2]) })))
