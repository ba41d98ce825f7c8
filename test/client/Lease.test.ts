/**
 * The four states of a lease, and what each change of it tells whom. The connection is played: it answers when told.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { Errors } from "effect-beanstalkd"
import type { JobId } from "effect-beanstalkd/Protocol"
import type { Pipeline } from "../../src/internal/connection/pipeline.ts"
import { Lease } from "../../src/internal/job/lease.ts"
import { commands, RawJob } from "../../src/Protocol.ts"

const ID = 7 as JobId
const SERVER = "played"

type Resume = (exit: Exit.Exit<unknown, unknown>) => void

const play = () => {
  const sent: Array<string> = []
  const resumes: Array<Resume> = []
  const held = new Set([ID])
  const pipeline = {
    server: SERVER,
    death: undefined as Errors.BeanstalkdErrorReason | undefined,
    session: { held },
    start: (command: { readonly name: string }, args: ReadonlyArray<unknown>, resume: Resume) => {
      sent.push(args.length === 1 ? command.name : `${command.name} ${JSON.stringify(args[1])}`)
      resumes.push(resume)
    }
  }
  const heard: Array<string> = []
  const note = (what: string) => (job: string) => void heard.push(`${what} ${job}`)
  const lease = new Lease<string>(new RawJob(ID, new Uint8Array(), SERVER), {
    pipeline: pipeline as unknown as Pipeline,
    listener: { onSettling: note("settling"), onRefused: note("refused"), onOver: note("over") }
  }, "job")
  const answer = (exit: Exit.Exit<unknown, unknown>, isGone = Exit.isSuccess(exit)) => {
    if (isGone) held.delete(ID)
    resumes.shift()!(exit)
  }
  const exits: Array<Exit.Exit<void, unknown>> = []
  const remove = () => lease.settle(commands.delete, [ID], (exit) => void exits.push(exit))
  return { lease, sent, heard, answer, exits, remove, pipeline }
}

const refused = Exit.fail(
  new Errors.BeanstalkdError({ command: "delete", server: SERVER, sent: true, reason: new Errors.InternalError({}) })
)

const notFound = (exit: Exit.Exit<unknown, unknown> | undefined) => {
  assert(exit !== undefined && Exit.isFailure(exit))
  return Effect.map(Effect.flip(exit), (error) => assert.instanceOf(error, Errors.NotFound))
}

describe("a lease", () => {
  it("is held, settling and settled, in this order, and is settled once", () => {
    const { answer, exits, heard, lease, remove, sent } = play()
    assert.strictEqual(lease.state, "held")
    remove()
    assert.strictEqual(lease.state, "settling")
    assert.deepStrictEqual(heard, ["settling job"])
    answer(Exit.void)
    assert.strictEqual(lease.state, "settled")
    assert.deepStrictEqual(heard, ["settling job", "over job"])
    assert.deepStrictEqual(exits, [Exit.void])
    remove()
    assert.deepStrictEqual(sent, ["delete"])
    return Effect.runPromise(notFound(exits[1]))
  })

  it("is held again when the server refuses the command, and can be settled then", () => {
    const { answer, exits, heard, lease, remove } = play()
    remove()
    answer(refused)
    assert.strictEqual(lease.state, "held")
    assert.deepStrictEqual(heard, ["settling job", "refused job"])
    remove()
    answer(Exit.void)
    assert.strictEqual(lease.state, "settled")
    assert.deepStrictEqual(exits, [refused, Exit.void])
  })

  it("is settled when its connection dies before the answer: nobody can settle it any more", () => {
    const { answer, heard, lease, pipeline, remove } = play()
    remove()
    pipeline.death = new Errors.ConnectionClosed({ detail: "gone" })
    answer(refused)
    assert.strictEqual(lease.state, "settled")
    assert.deepStrictEqual(heard, ["settling job", "over job"])
  })

  it("is lost once, and only while it is held", () => {
    const { exits, heard, lease, remove, sent } = play()
    lease.lose("expired")
    lease.lose("expired")
    assert.strictEqual(lease.state, "lost")
    assert.deepStrictEqual(heard, ["over job"])
    remove()
    assert.deepStrictEqual(sent, [])
    const other = play()
    other.remove()
    other.lease.lose("expired")
    assert.strictEqual(other.lease.state, "settling")
    other.answer(Exit.void)
    assert.strictEqual(other.lease.state, "settled")
    return Effect.runPromise(notFound(exits[0]))
  })

  it("asks for the priority that a release has to keep, and is settling meanwhile", () => {
    const { answer, heard, lease, sent } = play()
    lease.release({ delay: 1000 }, () => {})
    assert.deepStrictEqual([lease.state, sent, heard], ["settling", ["stats-job"], []])
    answer(Exit.succeed({ pri: 42, state: "reserved" }), false)
    assert.deepStrictEqual(sent, ["stats-job", "release {\"delay\":1000,\"priority\":42}"])
    answer(Exit.void)
    assert.strictEqual(lease.state, "settled")
  })

  it("asks for it once", () => {
    const { answer, lease, sent } = play()
    lease.inspect(() => {})
    answer(Exit.succeed({ pri: 42, state: "reserved" }), false)
    lease.bury({}, () => {})
    assert.deepStrictEqual(sent, ["stats-job", "bury {\"priority\":42}"])
  })

  it("is lost when the statistics tell that nobody holds the job: their counters are no longer its own", () => {
    const { answer, heard, lease, remove, sent } = play()
    const exits: Array<Exit.Exit<unknown, unknown>> = []
    lease.inspect((exit) => void exits.push(exit))
    answer(Exit.succeed({ pri: 42, state: "ready" }), false)
    assert.strictEqual(lease.state, "lost")
    assert.deepStrictEqual(heard, ["over job"])
    remove()
    assert.deepStrictEqual(sent, ["stats-job"])
    return Effect.runPromise(notFound(exits[0]))
  })

  it("is held while an argument is refused, and nothing is sent", () => {
    const { heard, lease, sent } = play()
    const exits: Array<Exit.Exit<void, unknown>> = []
    lease.release({ priority: -1 }, (exit) => void exits.push(exit))
    lease.bury({ priority: -1 }, (exit) => void exits.push(exit))
    assert.deepStrictEqual([lease.state, sent, heard], ["held", [], []])
    assert.deepStrictEqual(exits.map(Exit.isFailure), [true, true])
  })

  it("tells hooks of its end, those too that come afterwards, and none that was forgotten", () => {
    const { answer, lease, remove } = play()
    const heard: Array<string> = []
    lease.whenOver(() => heard.push("first"))
    const forget = lease.whenOver(() => heard.push("forgotten"))
    forget()
    remove()
    assert.deepStrictEqual(heard, [])
    answer(Exit.void)
    lease.whenOver(() => heard.push("late"))
    assert.deepStrictEqual(heard, ["first", "late"])
  })
})
