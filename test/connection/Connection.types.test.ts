/**
 * The types of a connection: for each command exactly its arguments, its value and its errors. The proofs are in the
 * types, so `tsc` runs this file.
 */
import { describe, expectTypeOf, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Inspectable from "effect/Inspectable"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Connection from "../../src/Connection.ts"
import type * as Errors from "../../src/Errors.ts"
import * as Protocol from "../../src/Protocol.ts"
import type { JobStats, ServerStats, TubeStats } from "../../src/Stats.ts"

type Inspected = Connection.TypeId | keyof Inspectable.Inspectable

type Commands = Omit<Connection.Service, "server" | "closed" | "run" | Inspected>

declare const connection: Connection.Service
declare const id: Protocol.JobId

type Id = Protocol.JobId
type Job = Protocol.RawJob
type Invalid = Errors.InvalidArgument
type Any = Errors.BeanstalkdError

describe("the type of a connection", () => {
  it("has the 25 commands, three more members, and says what it is", () => {
    expectTypeOf<keyof Commands>().toEqualTypeOf<Protocol.CommandName>()
    expectTypeOf<keyof Connection.Service>().toEqualTypeOf<
      Protocol.CommandName | "server" | "closed" | "run" | Inspected
    >()
    expectTypeOf<Protocol.CommandName>().toEqualTypeOf<
      | "put"
      | "use"
      | "reserve"
      | "reserveWithTimeout"
      | "reserveJob"
      | "delete"
      | "release"
      | "bury"
      | "touch"
      | "watch"
      | "ignore"
      | "peek"
      | "peekReady"
      | "peekDelayed"
      | "peekBuried"
      | "kick"
      | "kickJob"
      | "statsJob"
      | "statsTube"
      | "stats"
      | "listTubes"
      | "listTubeUsed"
      | "listTubesWatched"
      | "pauseTube"
      | "quit"
    >()
    expectTypeOf<Connection.Service["server"]>().toEqualTypeOf<string>()
    expectTypeOf<Connection.Service["closed"]>().toEqualTypeOf<Effect.Effect<boolean>>()
  })
})

describe("the type of", () => {
  it("put lists five outcomes", () => {
    expectTypeOf<Commands["put"]>().toEqualTypeOf<
      (
        body: Uint8Array | string,
        options?: Protocol.PutOptions
      ) => Effect.Effect<
        Id,
        Invalid | Errors.JobTooBig | Errors.JobBuried | Errors.Draining | Errors.OutOfMemory | Any
      >
    >()
  })

  it("use gives the tube", () => {
    expectTypeOf<Commands["use"]>().toEqualTypeOf<(tube: string) => Effect.Effect<string, Invalid | Any>>()
  })

  it("reserve cannot time out, and takes nothing that could be invalid", () => {
    expectTypeOf<Commands["reserve"]>().toEqualTypeOf<
      Effect.Effect<Job, Errors.DeadlineSoon | Errors.ReplyTooLarge | Any>
    >()
  })

  it("reserveWithTimeout can time out", () => {
    expectTypeOf<Commands["reserveWithTimeout"]>().toEqualTypeOf<
      (timeout?: Duration.Input) => Effect.Effect<
        Job,
        Invalid | Errors.DeadlineSoon | Errors.TimedOut | Errors.ReplyTooLarge | Any
      >
    >()
  })

  it("reserveJob cannot be told of a deadline", () => {
    expectTypeOf<Commands["reserveJob"]>().toEqualTypeOf<
      (id: Id) => Effect.Effect<Job, Invalid | Errors.NotFound | Errors.ReplyTooLarge | Any>
    >()
  })

  it("delete, touch and kickJob give nothing, and may not find the job", () => {
    type OnJob = (id: Id) => Effect.Effect<void, Invalid | Errors.NotFound | Any>
    expectTypeOf<Commands["delete"]>().toEqualTypeOf<OnJob>()
    expectTypeOf<Commands["touch"]>().toEqualTypeOf<OnJob>()
    expectTypeOf<Commands["kickJob"]>().toEqualTypeOf<OnJob>()
  })

  it("release may bury the job instead", () => {
    expectTypeOf<Commands["release"]>().toEqualTypeOf<
      (
        id: Id,
        options?: Protocol.ReleaseOptions
      ) => Effect.Effect<void, Invalid | Errors.NotFound | Errors.JobBuried | Any>
    >()
  })

  it("bury may not find the job", () => {
    expectTypeOf<Commands["bury"]>().toEqualTypeOf<
      (id: Id, options?: Protocol.BuryOptions) => Effect.Effect<void, Invalid | Errors.NotFound | Any>
    >()
  })

  it("watch gives a number, and so does ignore, which may leave the tube", () => {
    expectTypeOf<Commands["watch"]>().toEqualTypeOf<(tube: string) => Effect.Effect<number, Invalid | Any>>()
    expectTypeOf<Commands["ignore"]>().toEqualTypeOf<
      (tube: string) => Effect.Effect<number, Invalid | Errors.NotIgnored | Any>
    >()
  })

  it("peek may not find the job", () => {
    expectTypeOf<Commands["peek"]>().toEqualTypeOf<
      (id: Id) => Effect.Effect<Job, Invalid | Errors.NotFound | Errors.ReplyTooLarge | Any>
    >()
  })

  it("peekReady, peekDelayed and peekBuried may find none", () => {
    type PeekInto = Effect.Effect<Job, Errors.NotFound | Errors.ReplyTooLarge | Any>
    expectTypeOf<Commands["peekReady"]>().toEqualTypeOf<PeekInto>()
    expectTypeOf<Commands["peekDelayed"]>().toEqualTypeOf<PeekInto>()
    expectTypeOf<Commands["peekBuried"]>().toEqualTypeOf<PeekInto>()
  })

  it("kick gives a number and always finds the tube", () => {
    expectTypeOf<Commands["kick"]>().toEqualTypeOf<(bound?: number) => Effect.Effect<number, Invalid | Any>>()
  })

  it("statsJob and statsTube may not find theirs", () => {
    expectTypeOf<Commands["statsJob"]>().toEqualTypeOf<
      (id: Id) => Effect.Effect<JobStats, Invalid | Errors.NotFound | Any>
    >()
    expectTypeOf<Commands["statsTube"]>().toEqualTypeOf<
      (tube: string) => Effect.Effect<TubeStats, Invalid | Errors.NotFound | Any>
    >()
  })

  it("stats, listTubes and listTubesWatched can only fail as any command can", () => {
    expectTypeOf<Commands["stats"]>().toEqualTypeOf<Effect.Effect<ServerStats, Any>>()
    expectTypeOf<Commands["listTubes"]>().toEqualTypeOf<Effect.Effect<ReadonlyArray<string>, Any>>()
    expectTypeOf<Commands["listTubesWatched"]>().toEqualTypeOf<Effect.Effect<ReadonlyArray<string>, Any>>()
  })

  // The same here.
  it("listTubeUsed gives the tube", () => {
    expectTypeOf<Commands["listTubeUsed"]>().toEqualTypeOf<Effect.Effect<string, Any>>()
  })

  it("pauseTube takes a duration and may not find the tube", () => {
    expectTypeOf<Commands["pauseTube"]>().toEqualTypeOf<
      (tube: string, delay: Duration.Input) => Effect.Effect<void, Invalid | Errors.NotFound | Any>
    >()
  })

  it("quit gives nothing", () => {
    expectTypeOf<Commands["quit"]>().toEqualTypeOf<Effect.Effect<void, Any>>()
  })
})

describe("the type of the table", () => {
  it("says the same as that of a connection", () => {
    expectTypeOf<Protocol.Success<"put">>().toEqualTypeOf<Id>()
    expectTypeOf<Protocol.Failure<"put">>().toEqualTypeOf<
      Invalid | Errors.JobTooBig | Errors.JobBuried | Errors.Draining | Errors.OutOfMemory | Any
    >()
    expectTypeOf<Protocol.Success<"quit">>().toEqualTypeOf<void>()
    expectTypeOf<Protocol.Failure<"quit">>().toEqualTypeOf<Any>()
    expectTypeOf<Protocol.Failure<"stats">>().toEqualTypeOf<Any>()
    expectTypeOf<Protocol.CommandArguments<"kick">>().toEqualTypeOf<
      [bound?: number | undefined, tube?: string | undefined]
    >()
  })

  it("gives run the arguments, the value and the errors of the command", () => {
    const next = () => connection.run(Protocol.commands.peekReady, "emails")
    expectTypeOf(next).returns.toEqualTypeOf<
      Effect.Effect<Job, Invalid | Errors.NotFound | Errors.ReplyTooLarge | Any>
    >()
    const released = () => connection.run(Protocol.commands.release, id, { delay: "1 second" })
    expectTypeOf(released).returns.toEqualTypeOf<
      Effect.Effect<void, Invalid | Errors.NotFound | Errors.JobBuried | Any>
    >()
    const stats = () => connection.run(Protocol.commands.stats)
    expectTypeOf(stats).returns.toEqualTypeOf<Effect.Effect<ServerStats, Any>>()
  })
})

describe("opening", () => {
  it("needs a Scope with make, and nothing with layer", () => {
    expectTypeOf(Connection.make).toEqualTypeOf<
      (options?: Connection.Options) => Effect.Effect<Connection.Service, Any, Scope.Scope>
    >()
    expectTypeOf(Connection.layer).toEqualTypeOf<
      (options?: Connection.Options) => Layer.Layer<Connection.Connection, Any>
    >()
  })

  it("takes undefined for every option, and for every option of a command", () => {
    expectTypeOf<{ [K in keyof Connection.Options]-?: undefined }>().toExtend<Connection.Options>()
    expectTypeOf<{ [K in keyof Protocol.PutOptions]-?: undefined }>().toExtend<Protocol.PutOptions>()
    expectTypeOf<{ [K in keyof Protocol.ReleaseOptions]-?: undefined }>().toExtend<Protocol.ReleaseOptions>()
    expectTypeOf<{ [K in keyof Protocol.BuryOptions]-?: undefined }>().toExtend<Protocol.BuryOptions>()
  })
})

describe("the compiler", () => {
  it("narrows the errors of a command by the tags that were caught", () => {
    const waiting = () => connection.reserveWithTimeout("1 second").pipe(Effect.catchTag("TimedOut", () => Effect.void))
    expectTypeOf(waiting).returns.toEqualTypeOf<
      Effect.Effect<
        Job | void,
        Invalid | Errors.DeadlineSoon | Errors.ReplyTooLarge | Any
      >
    >()
    const deleted = () =>
      connection.delete(id).pipe(
        Effect.catchTags({
          NotFound: (error) => Effect.succeed(error.id),
          InvalidArgument: (error) => Effect.die(error),
          BeanstalkdError: (error) => Effect.succeed(error.sent)
        })
      )
    expectTypeOf(deleted).returns.toEqualTypeOf<Effect.Effect<Id | boolean | void | undefined>>()
  })

  it("gives what a command fails with to whoever looks into it", () => {
    expectTypeOf<Errors.NotFound["id"]>().toEqualTypeOf<Id | undefined>()
    expectTypeOf<Errors.JobBuried["id"]>().toEqualTypeOf<Id>()
    expectTypeOf<Any["reason"]["_tag"]>().toEqualTypeOf<
      | "InvalidOptions"
      | "OpenError"
      | "OpenTimeout"
      | "ConnectionClosed"
      | "ReadError"
      | "WriteError"
      | "CommandTimeout"
      | "AcquireTimeout"
      | "NoServer"
      | "PartlyDone"
      | "UnexpectedReply"
      | "InternalError"
      | "BadFormat"
      | "UnknownCommand"
      | "ExpectedCrlf"
      | "ServerOutOfMemory"
    >()
  })

  it("wants a JobId where a plain number could be anything", () => {
    // @ts-expect-error a number is no JobId
    const deleting = () => connection.delete(42)
    expectTypeOf(deleting).toBeFunction()
    expectTypeOf<number>().not.toExtend<Parameters<Commands["delete"]>[0]>()
    expectTypeOf<Id>().toExtend<number>()
  })
})
