/**
 * Envelopes as CloudEvents: what other systems read of us, and we of them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Result, Schema } from "effect"
import { type Client, Tube, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { openEvent } from "../../src/internal/envelope/cloudEvents.ts"
import { onMemory } from "../support/Fixture.ts"

const Email = Schema.Struct({ to: Schema.String })

const Emails = Tube.make("emails", { schema: Email, envelope: "cloudevents" })

const ADA = { to: "ada@example.com" }

class Refused extends Data.TaggedError("Refused")<{ readonly message: string }> {}

const Dead = Tube.make("emails.dead", { schema: Email, envelope: "cloudevents" })

/** An event of somebody else. */
const event = (members: object): string =>
  JSON.stringify({ specversion: "1.0", id: "e1", source: "s", type: "order.placed", ...members })

/** Works on all events that are there. */
const work = <E>(handler: () => Effect.Effect<void, E>) =>
  Effect.scoped(
    Effect.forkScoped(
      Worker.run(Emails, handler, { maxAttempts: 1, deadLetter: Dead, shutdownTimeout: 0 }),
      { startImmediately: true }
    )
  )

const die = work(() => new Refused({ message: "no" }))

/** Deletes the job that is ready. */
const drain = (beanstalkd: Client.Service, tube = "emails") =>
  Effect.flatMap(beanstalkd.peekReady(tube), ({ id }) => beanstalkd.delete(id))

describe("a tube of CloudEvents", () => {
  it.effect("puts events that others can read", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* TestClock.setTime(1_000_123)
      yield* Emails.put(ADA, {
        id: "order-7",
        expiresIn: "1 hour",
        correlationId: "c-1",
        replyTo: "answers",
        maxAttempts: 3
      })
      const { text } = yield* beanstalkd.peekReady("emails")
      assert.deepStrictEqual(JSON.parse(text), {
        specversion: "1.0",
        id: "order-7",
        source: "/tubes/emails",
        type: "emails",
        time: "1970-01-01T00:16:40.123Z",
        datacontenttype: "application/json",
        expirytime: "1970-01-01T01:16:40.123Z",
        correlationid: "c-1",
        replyto: "answers",
        maxattempts: 3,
        data: ADA
      })
      assert.deepStrictEqual((yield* Emails.peekReady).envelope, {
        id: "order-7",
        at: 1_000_123,
        exp: 4_600_123,
        contentType: "json",
        correlationId: "c-1",
        replyTo: "answers",
        maxAttempts: 3
      })
    })))

  it.effect("has text and bytes too", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const texts = Tube.make("texts", { codec: "text", envelope: "cloudevents" })
      const bytes = Tube.make("bytes", { codec: "bytes", envelope: { format: "cloudevents" } })
      const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
      yield* texts.put("\"häßlich\"\n", { by: "checkout" })
      yield* bytes.put(all)
      assert.deepInclude(JSON.parse((yield* beanstalkd.peekReady("texts")).text), {
        data: "\"häßlich\"\n",
        source: "checkout"
      })
      const text = yield* texts.peekReady
      assert.deepStrictEqual([text.value, text.envelope?.by], ["\"häßlich\"\n", "checkout"])
      assert.deepStrictEqual([...(yield* bytes.peekReady).value], [...all])
      assert.property(JSON.parse((yield* beanstalkd.peekReady("bytes")).text), "data_base64")
    })))

  it.effect("reads events of others, lines and bare bodies", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const foreign = {
        specversion: "1.0",
        id: "e1",
        source: "https://shop.example",
        type: "order.placed",
        subject: "7"
      }
      yield* beanstalkd.put("emails", `\n ${JSON.stringify({ ...foreign, data: ADA })}`)
      yield* beanstalkd.put(
        "emails",
        JSON.stringify({
          ...foreign,
          data_base64: Buffer.from(JSON.stringify(ADA)).toString("base64")
        })
      )
      yield* Tube.make("emails", { schema: Email, envelope: true }).put(ADA, { id: "line" })
      yield* beanstalkd.put("emails", JSON.stringify(ADA))
      const heads: Array<unknown> = []
      yield* Effect.scoped(Effect.forkScoped(
        Worker.run(Emails, (value, job) => {
          assert.deepStrictEqual(value, ADA)
          return Effect.sync(() => heads.push(job.envelope?.id))
        }, { shutdownTimeout: 0 }),
        { startImmediately: true }
      ))
      assert.deepStrictEqual(heads, ["e1", "e1", "line", undefined])
    })))

  it.effect("refuses events that it cannot read, with the reason", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const event = { specversion: "1.0", id: "e1", source: "s", type: "t", data: ADA }
      const wrong: ReadonlyArray<readonly [object, string]> = [
        [{ ...event, specversion: "2.0" }, "a CloudEvent of version 2.0"],
        [{ ...event, id: "" }, "its attribute \"id\" must be text, not empty"],
        [{ ...event, source: "" }, "its attribute \"source\" must be text, not empty"],
        [{ ...event, data_base64: "e30=" }, "it has both \"data\" and \"data_base64\""],
        [{ ...event, data: undefined, data_base64: "e30=!" }, "its attribute \"data_base64\" must be base64"],
        [{ ...event, data: undefined, data_base64: 7 }, "its attribute \"data_base64\" must be base64"],
        [{ ...event, datacontenttype: "text/plain", data: "x" }, "of the codec text"],
        [{ ...event, schemaversion: 2 }, "of version 2"],
        [Buffer.from(JSON.stringify({ ...event, subject: "\xff" }), "latin1"), "it is not UTF-8"]
      ]
      const { id } = yield* beanstalkd.put("emails", "x")
      for (const [given, why] of wrong) {
        const body = given instanceof Uint8Array ? given : Buffer.from(JSON.stringify(given))
        const refused = yield* Effect.result(Emails.decode({ id, body }))
        assert(Result.isFailure(refused), why)
        assert.include(refused.failure.message, why)
      }
    })))

  it.effect("takes what others call by the same names for what it is, and keeps what is something else", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const other = {
        time: "yesterday",
        due: "5",
        expirytime: 7,
        traceparent: 1,
        tracestate: "",
        datacontenttype: "text/csv",
        schemaversion: "1.0",
        maxattempts: "3",
        replyto: false,
        correlationid: 5,
        deadletter: "x"
      }
      yield* beanstalkd.put("emails", event({ ...other, time: other.time, data: ADA }))
      assert.deepStrictEqual((yield* Emails.peekReady).envelope, {
        id: "e1",
        by: "s",
        other: { type: "order.placed", ...other }
      })
      yield* drain(beanstalkd)
      yield* beanstalkd.put(
        "emails",
        event({
          time: "2025-01-01t01:00:00.123456789+01:00",
          datacontenttype: "Application/vnd.x+json; charset=utf-8",
          tracestate: null,
          data: ADA
        })
      )
      assert.deepStrictEqual((yield* Emails.peekReady).envelope, {
        id: "e1",
        by: "s",
        at: 1_735_689_600_123,
        contentType: "json",
        other: { type: "order.placed" }
      })
    })))

  it.effect("leaves it to the Schema what an event without data is", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const Maybe = Tube.make("emails", { schema: Schema.NullOr(Email), envelope: true })
      yield* beanstalkd.put("emails", event({}))
      assert.isNull((yield* Maybe.peekReady).value)
      assert(Result.isFailure(yield* Effect.result(Emails.peekReady)))
      for (const [codec, empty] of [["text", ""], ["bytes", new Uint8Array(0)]] as const) {
        const Empty = Tube.make("emails", { codec, envelope: "accept" } as { codec: "text"; envelope: "accept" })
        assert.deepEqual<unknown>((yield* Empty.peekReady).value, empty)
      }
    })))

  it.effect("is put again with nothing changed but what is said of the job itself", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const members = [
        `"specversion" : "1.0"`,
        `"id":"e1"`,
        `"source":"s"`,
        `"type":"t"`,
        `"subject":"\\u0041\\\\"`,
        `"datacontenttype":"application/vnd.x+json"`,
        `"time":"2025-01-01T01:00:00.123456789+01:00"`,
        `"data": { "to":"a,\\"}", "big":[12345678901234567890, 1.0, {"data":1}] }`
      ]
      const expiry = `"expirytime":"2030-01-01T00:00:00Z"`
      yield* beanstalkd.put("emails", `{ ${[...members, `"due":"2020-01-01T00:00:00Z"`, expiry].join(" , ")}\n}`)
      yield* work(() => Worker.snooze("10 seconds"))
      const { text } = yield* beanstalkd.peekDelayed("emails")
      assert.strictEqual(text, `{${[...members, expiry, `"due":"1970-01-01T00:00:10.000Z"`].join(",")}}`)
      yield* TestClock.adjust("10 seconds")
      yield* die
      const dead = (yield* beanstalkd.peekReady("emails.dead")).text
      // What is dead does not expire, and is not late.
      assert.strictEqual(dead.slice(0, dead.indexOf(",\"deadletter\"")), `{${members.join(",")}`)
      const { envelope } = yield* Dead.peekReady
      assert.deepInclude(envelope?.deadLetter, { tube: "emails", attempts: 1, error: "Refused: no" })
      assert.notProperty(envelope, "exp")
    })))

  it.effect("has dead letters of bodies that do not decode, to the byte", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const Texts = Tube.make("emails", { codec: "text", envelope: "cloudevents" })
      const bodies: ReadonlyArray<readonly [Uint8Array | string, isData: boolean]> = [
        ["junk", false],
        ["1,\"id\":\"evil\"", false],
        ["", false],
        ["{}\n", false],
        [Uint8Array.of(0x22, 0xff, 0x22), false],
        ["{\"too\":12345678901234567890}", true]
      ]
      for (const [body, isData] of bodies) {
        yield* beanstalkd.put("emails", body)
        yield* die
        const { text } = yield* beanstalkd.peekReady("emails.dead")
        const event = JSON.parse(text)
        assert.strictEqual("data" in event, isData, text)
        assert.match(event.id, /^[0-9a-f-]{36}$/)
        const refused = yield* Effect.result(Dead.peekReady)
        assert(Result.isFailure(refused))
        const opened = openEvent(Buffer.from(text), "emails.dead", "json")
        assert(typeof opened === "object", text)
        assert.deepStrictEqual([...opened.payload], [...Buffer.from(body)])
        yield* drain(beanstalkd, "emails.dead")
      }
      yield* beanstalkd.put("emails", Uint8Array.of(0xff, 0x41))
      yield* Effect.scoped(Effect.forkScoped(
        Worker.run(Texts, () => Effect.void, { deadLetter: Dead as never, shutdownTimeout: 0 }),
        { startImmediately: true }
      ))
      assert.strictEqual(JSON.parse((yield* beanstalkd.peekReady("emails.dead")).text).data_base64, "/0E=")
    })))
})

describe("a tube that reads envelopes", () => {
  it.effect("reads events too, and one that does not leaves JSON as it is", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const Any = Schema.Struct({ to: Schema.optionalKey(Schema.String), data: Schema.optionalKey(Schema.Unknown) })
      // As some write it: in the order of the alphabet, behind long data.
      const { specversion, ...rest } = JSON.parse(event({}))
      yield* beanstalkd.put("emails", JSON.stringify({ data: { to: "x".repeat(5000) }, ...rest, specversion }))
      for (const envelope of [true, "accept", "cloudevents", { require: true }, { accept: true }] as const) {
        const { envelope: head, value } = yield* Tube.make("emails", { schema: Any, envelope }).peekReady
        assert.deepStrictEqual([head?.id, value.to?.length], ["e1", 5000], JSON.stringify(envelope))
      }
      const bare = yield* Tube.make("emails", { schema: Any }).peekReady
      assert.deepStrictEqual([bare.envelope, Object.keys(bare.value)], [undefined, ["data"]])
    })))

  it.effect("passes events on as such, whatever it writes itself", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      for (const envelope of [true, "accept"] as const) {
        yield* beanstalkd.put("emails", event({ data: ADA }))
        yield* Effect.scoped(Effect.forkScoped(
          Worker.run(Tube.make("emails", { schema: Email, envelope }), () => new Refused({ message: "no" }), {
            maxAttempts: 1,
            deadLetter: Dead,
            shutdownTimeout: 0
          }),
          { startImmediately: true }
        ))
        assert.deepInclude((yield* Dead.peekReady).envelope?.deadLetter, { tube: "emails", error: "Refused: no" })
        yield* drain(beanstalkd, "emails.dead")
      }
    })))
})
