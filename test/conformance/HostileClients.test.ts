/**
 * What hostile clients send, all of it at once and then the end, is answered by the embedded server as by the real one,
 * byte for byte, but for what `Normalise` takes out. What meets a quirk of the real server is left out: "bare CR" and
 * "long line" of those that `Framing` names.
 *
 * HOSTILE_STREAMS says how many streams are sent, HOSTILE_SEED with which one they begin.
 */
import { assert, describe, test } from "vitest"
import { parts, withIds } from "../runs/fuzz/Streams.ts"
import { PATIENCE_MS } from "./Control.ts"
import { Dice, seedOf } from "./Dice.ts"
import { type Play, Stage } from "./Differ.ts"
import { Framing } from "./Framing.ts"
import { countersOf, normalise } from "./Normalise.ts"
import { RawSocket, replyLength, Watch } from "./RawSocket.ts"
import { MAX_JOB_SIZE } from "./Sequence.ts"
import { shrink, withoutSome } from "./Shrink.ts"
import { falsified } from "./Falsified.ts"
import { embedded, real, type Target } from "./Target.ts"

const streams = Number(process.env["HOSTILE_STREAMS"] ?? 400)
const seed = Number(process.env["HOSTILE_SEED"] ?? 1)

const TIMEOUT_MS = 20_000 + streams * 50

type Parts = ReadonlyArray<string>

/** Up to a quit: a connection that is closed before all has been read loses replies. */
const withoutQuirks = (text: string): string => {
  const framing = new Framing(MAX_JOB_SIZE)
  let kept = ""
  let rest = text
  while (rest !== "") {
    const { piece, rest: behind } = framing.cut(rest, false)
    if (piece.kind !== "quirk") kept += piece.text
    rest = piece.kind === "quit" ? "" : behind
  }
  return kept
}

const repliesIn = (socket: RawSocket): Array<string> => {
  const replies: Array<string> = []
  for (let length = replyLength(socket.text); length !== undefined; length = replyLength(socket.text)) {
    replies.push(socket.take(length))
  }
  return socket.text === "" ? replies : [...replies, socket.text]
}

/** Sends all of it, half-closes, and reads until the server has closed. */
const send: Play<Parts, Parts> = async ({ host, port }, control, stream) => {
  await control.ask("use sentinel")
  const firstId = await control.put("")
  await control.stats("nobody is there", (stats) => stats["current-connections"] === 1)
  const baseline = { firstId, counters: countersOf(await control.ask("stats")) }
  control.polls = 0
  const socket = await RawSocket.connect(host, port, new Watch())
  socket.write(withoutQuirks(withIds(stream.join(""), firstId + 1n)))
  socket.halfClose()
  const isOver = await socket.until(({ ended }) => ended || undefined, PATIENCE_MS)
  const transcript = repliesIn(socket).map((reply) => normalise(reply, baseline, control.polls))
  socket.close()
  if (isOver === undefined) return { transcript: [...transcript, "silence"], isClean: false }
  // What is left of a stream must not meet the next one.
  await control.stats("it is gone", (stats) => stats["current-connections"] === 1)
  await control.ask("pause-tube default 0")
  await control.deleteJobs(firstId, await control.put(""))
  return { transcript, isClean: true }
}

/** Sends streams to two servers; the first difference that comes again, without what does not matter. */
const search = async (left: Target, right: Target): Promise<string | undefined> => {
  const stages = [new Stage(left, send), new Stage(right, send)] as const
  let difference = ""
  const differs = async (stream: Parts): Promise<boolean> => {
    const [a, b] = await Promise.all([stages[0].play(stream), stages[1].play(stream)])
    const at = Array.from({ length: Math.max(a.length, b.length) }).findIndex((_, n) => a[n] !== b[n])
    if (at === -1) return false
    const show = (replies: Parts) => JSON.stringify(replies[at])
    difference = `${JSON.stringify(stream, undefined, 1)}\n\nReply ${at}:\n${left.name}: ${show(a)}\n${right.name}: ${
      show(b)
    }`
    return true
  }
  try {
    for (let n = 0; n < streams; n++) {
      const dice = new Dice(seedOf(seed, n))
      const stream = parts(dice, dice.int(3, 40), MAX_JOB_SIZE)
      // What does not come again tells of time.
      if (!(await differs(stream)) || !(await differs(stream))) continue
      await shrink(stream, withoutSome, differs)
      return `Stream ${n} of seed ${seed}:\n${difference}`
    }
    return undefined
  } finally {
    await Promise.all(stages.map((stage) => stage.close()))
  }
}

describe.skipIf(!real.available)("hostile streams", () => {
  test("are answered alike by the real server and the embedded one", async () => {
    const found = await search(real, embedded)
    assert.isUndefined(found, found)
  }, TIMEOUT_MS)

  test("are told apart by one wrong reply", async () => {
    const wrong = falsified(real, (text) => text.replace(/^EXPECTED_CRLF\r\n/gm, "INSERTED 1\r\n"))
    const found = await search(real, wrong)
    assert.match(found ?? "", /\nreal: "EXPECTED_CRLF\\r\\n"\nfalsified: "INSERTED/)
  })
})
