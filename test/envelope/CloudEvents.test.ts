/**
 * Envelopes as CloudEvents: what other systems read of us, and we of them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Result, Schema } from "effect"
import { Tube, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { onMemory } from "../support/Fixture.ts"

const Email = Schema.Struct({ to: Schema.String })

const Emails = Tube.make("emails", { schema: Email, envelope: "cloudevents" })

const ADA = { to: "ada@example.com" }

class Refused extends Data.TaggedError("Refused")<{ readonly message: string }> {}

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
        [{ ...event, data: undefined }, "a CloudEvent without data"],
        [{ ...event, time: "yesterday" }, "its at must be milliseconds"],
        [{ ...event, datacontenttype: "text/plain", data: "x" }, "of the codec text"],
        [{ ...event, schemaversion: 2 }, "of version 2"],
        [{ ...event, deadletter: "{" }, "its deadLetter must be"]
      ]
      const { id } = yield* beanstalkd.put("emails", "x")
      for (const [body, why] of wrong) {
        const refused = yield* Effect.result(Emails.decode({ id, body: Buffer.from(JSON.stringify(body)) }))
        assert(Result.isFailure(refused), why)
        assert.include(refused.failure.message, why)
      }
    })))

  it.effect("keeps what others have said, and has the reason of a dead letter", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const Dead = Tube.make("emails.dead", { schema: Email, envelope: "cloudevents" })
      const foreign = {
        specversion: "1.0",
        id: "e1",
        source: "s",
        type: "order.placed",
        subject: "7",
        traceparent: "x",
        data: ADA
      }
      yield* beanstalkd.put("emails", JSON.stringify(foreign))
      yield* Effect.scoped(Effect.forkScoped(
        Worker.run(Emails, () => new Refused({ message: "no" }), {
          maxAttempts: 1,
          deadLetter: Dead,
          shutdownTimeout: 0
        }),
        { startImmediately: true }
      ))
      const dead = JSON.parse((yield* beanstalkd.peekReady("emails.dead")).text)
      assert.deepInclude(dead, { ...foreign, datacontenttype: "application/json" })
      assert.deepInclude(JSON.parse(dead.deadletter), { tube: "emails", attempts: 1, error: "Refused: no" })
      assert.deepInclude((yield* Dead.peekReady).envelope?.deadLetter, { tube: "emails", error: "Refused: no" })
    })))
})
