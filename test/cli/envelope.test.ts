/**
 * Jobs with an envelope: the head and the payload are shown apart, and both survive an export.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Result } from "effect"
import { Client, Envelope, Server } from "effect-beanstalkd"
import { gzipSync } from "node:zlib"
import { parse } from "../../src/cli/jobs/record.ts"
import { quietly } from "../support/Fixture.ts"
import { run as runWith } from "./inProcess.ts"

const onServer = <A, E>(
  test: (
    beanstalkd: Client.Service,
    run: (...args: ReadonlyArray<string>) => ReturnType<typeof runWith>
  ) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    const server = yield* Server.make({ port: 0 })
    const beanstalkd = yield* Client.make(server.clientOptions)
    const url = `beanstalk://${server.server}`
    return yield* test(beanstalkd, (...args) => runWith(["--url", url, ...args]))
  }).pipe(Effect.scoped, quietly)

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe("a job with an envelope", () => {
  it.live("is shown in two parts", () =>
    onServer(Effect.fnUntraced(function*(beanstalkd, run) {
      const body = yield* Envelope.encode("hello", { id: "order-7", at: 5, correlationId: "c-1" })
      const { id } = yield* beanstalkd.put("emails", body)
      const parts = { envelope: { id: "order-7", at: 5, cid: "c-1" }, payload: "hello" }
      assert.deepStrictEqual(JSON.parse((yield* run("peek", String(id))).stdout), { ...parts, id })
      const base64 = JSON.parse((yield* run("peek", String(id), "--base64")).stdout)
      assert.deepStrictEqual(base64, { envelope: parts.envelope, payload: "aGVsbG8=", encoding: "base64", id })
      assert.include((yield* run("jobs", "emails")).stdout, "hello")
      assert.deepInclude(JSON.parse((yield* run("jobs", "emails", "--json")).stdout), parts)
      const json = yield* run("tail", "release", "-w", "emails", "-n", "1", "--json")
      assert.deepStrictEqual(JSON.parse(json.stdout), { id, tube: "emails", ...parts })
      const tailed = yield* run("tail", "delete", "-w", "emails", "-n", "1")
      assert.strictEqual(tailed.stdout, `${id}\temails\thello\t{"id":"order-7","at":5,"cid":"c-1"}\n`)
    })))

  it.live("is shown with its payload expanded", () =>
    onServer(Effect.fnUntraced(function*(beanstalkd, run) {
      const body = yield* Envelope.encode("x".repeat(1000), { id: "x", compression: "gzip" })
      const { id } = yield* beanstalkd.put("emails", body)
      const broken = Buffer.concat([bytes("#job/1 {\"id\":\"x\",\"ce\":\"gzip\"}\n"), gzipSync("y").subarray(0, 9)])
      const { id: brokenId } = yield* beanstalkd.put("emails", broken)
      assert.deepInclude(JSON.parse((yield* run("peek", String(id))).stdout), { payload: "x".repeat(1000) })
      assert.deepInclude(JSON.parse((yield* run("peek", String(brokenId))).stdout), { encoding: "base64" })
    })))

  it.live("is exported and imported, every byte of it", () =>
    onServer(Effect.fnUntraced(function*(beanstalkd, run) {
      const bodies = [
        yield* Envelope.encode("hello", { id: "order-7", other: { bg: "ü" } }),
        yield* Envelope.encode(Uint8Array.from([0, 255, 10]), { id: "bytes" }),
        yield* Envelope.encode("x".repeat(1000), { id: "small", compression: "zstd" }),
        // Somebody else's spaces are not ours to change.
        bytes("#job/1 { \"id\": \"spaces\" }\npayload"),
        bytes("#job/2 later"),
        // An import would refuse these heads.
        bytes("#job/1 {\"a\":1}\npayload"),
        bytes("#job/1 {\"id\":\"x\",\"at\":\"now\"}\npayload"),
        bytes("bare")
      ]
      for (const body of bodies) yield* beanstalkd.put("emails", body)
      const { stdout } = yield* run("export", "emails")
      const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line))
      assert.deepStrictEqual(lines.map((line) => "envelope" in line), [
        true,
        true,
        true,
        false,
        false,
        false,
        false,
        false
      ])
      const again = stdout.trimEnd().split("\n").map((line) => Result.getOrThrow(parse(bytes(line))!).body)
      assert.deepStrictEqual(again.map((body) => [...Buffer.from(body)]), bodies.map((body) => [...body]))
    })))

  it.live("can be put", () =>
    onServer(Effect.fnUntraced(function*(beanstalkd, run) {
      const before = yield* Clock.currentTimeMillis
      yield* run("put", "-u", "emails", "--envelope", "-d", "2", "hello")
      const job = yield* beanstalkd.peekDelayed("emails")
      const { head, payload } = yield* Envelope.decode(job.body)
      assert.strictEqual(new TextDecoder().decode(payload), "hello")
      assert.match(head!.id, /^[0-9a-f-]{36}$/)
      assert.isAtLeast(head!.at!, before)
      assert.isAtLeast(head!.due!, before + 2000)
    })))
})

describe("a line to import", () => {
  it("has a body, or an envelope and its payload", () => {
    const body = (line: object) => Result.map(parse(bytes(JSON.stringify(line)))!, ({ body }) => String(body))
    assert.deepStrictEqual(body({ body: "a" }), Result.succeed("a"))
    assert.deepStrictEqual(body({ envelope: { id: "x" }, payload: "a" }), Result.succeed("#job/1 {\"id\":\"x\"}\na"))
    for (const line of [{}, { payload: "a" }, { envelope: { id: "x" } }, { body: "a", envelope: {}, payload: "b" }]) {
      assert.include(JSON.stringify(body(line)), "it must have a body, or an envelope and its payload")
    }
  })

  it("has an envelope that can be read", () => {
    const wrong: ReadonlyArray<readonly [object, string]> = [
      [{ a: 1 }, "its envelope is none: its member \"id\" must be text, not empty"],
      [{ id: "" }, "its member \"id\" must be text, not empty"],
      [{ id: "x", exp: "soon" }, "its member \"exp\" must be milliseconds"],
      [{ id: "ü".repeat(2050) }, "it must have at most 4096 bytes (it has 4109)"]
    ]
    for (const [envelope, why] of wrong) {
      const refused = parse(bytes(JSON.stringify({ envelope, payload: "p" })))!
      assert(Result.isFailure(refused), why)
      assert.include(refused.failure, why)
    }
  })
})
