/**
 * The real beanstalkd, one process per scope. `raw` and `stats` ask it without the library.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import { accessSync, constants, readFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { describe, test, type TestOptions } from "vitest"
import { ask, parseStats } from "./Ask.ts"
import { eventually } from "./Eventually.ts"
import { freePort } from "./FreePort.ts"
import * as RealTime from "./RealTime.ts"
import * as Runtime from "./Runtime.ts"

export interface RealServerOptions {
  /** More command line arguments, such as `["-z", "1000"]`. */
  readonly args?: ReadonlyArray<string> | undefined
  /** The port to listen on. Default: a free one. */
  readonly port?: number | undefined
  /** An existing directory for the binlog; without it the jobs die with the process. */
  readonly binlogDir?: string | undefined
}

export interface RealServer {
  readonly host: "127.0.0.1"
  readonly port: number
  /** Options to reach the server, for `Client.make`, `Pool.make` and `Connection.make`. */
  readonly clientOptions: { readonly port: number }
  /** The id of the process that was started last. */
  readonly pid: number
  /** SIGKILL; returns when the process is gone. */
  readonly kill: Effect.Effect<void>
  /** Kills the process if it still runs, and starts another with the same port and arguments. */
  readonly restart: Effect.Effect<void>
  /** Sends a signal. Its effect on the server may take a moment more. */
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** SIGSTOP: connections stay open and the kernel accepts new ones, but no command is answered. */
  readonly stop: Effect.Effect<void>
  /** SIGCONT: ends a `stop`. */
  readonly cont: Effect.Effect<void>
  /** The server's `stats`, quotes stripped. The numbers include the connection that asks. */
  readonly stats: Effect.Effect<Record<string, string>>
  /**
   * Sends the command (without its last CRLF), returns the whole reply (with it). The connection is a new one that the
   * server has closed by then: `use` and `watch` are forgotten, a reserved job is ready again. To put, give the body
   * too: `raw("put 0 0 60 5\r\nhello")`; several commands go in one text.
   */
  readonly raw: (command: string) => Effect.Effect<string>
}

const isExecutable = (path: string) => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const fromEnv = process.env["BEANSTALKD_BIN"]
const binary = (fromEnv !== undefined && fromEnv !== ""
  ? [fromEnv]
  : (process.env["PATH"] ?? "").split(delimiter).map((dir) => join(dir, "beanstalkd"))).find(isExecutable)

/** Whether there is a beanstalkd: the file in BEANSTALKD_BIN or, without that, one on the PATH. */
export const available: boolean = binary !== undefined

/** Another process took the port first, which is no reason to fail a test. */
class PortTaken extends Schema.TaggedError<PortTaken>()("PortTaken", { port: Schema.Int }) {
  override get message() {
    return `beanstalkd could not listen on port ${this.port}, it is taken`
  }
}

interface Process {
  readonly child: ChildProcess.ChildProcess
  readonly stderr: () => string
  readonly exited: Deferred.Deferred<void>
}

/** A test run that is cut short closes no scopes, and must not leave servers behind. */
const running = new Set<ChildProcess.ChildProcess>()
process.once("exit", () => running.forEach((child) => child.kill("SIGKILL")))

const spawn = (args: ReadonlyArray<string>): Process => {
  if (binary === undefined) throw new Error("there is no beanstalkd; guard the test with describeReal")
  const child = ChildProcess.spawn(binary, args, { stdio: ["ignore", "ignore", "pipe"] })
  const exited = Deferred.makeUnsafe<void>()
  let stderr = ""
  running.add(child)
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text
  })
  child.on("error", (error) => {
    stderr += error.message
  })
  child.on("close", () => {
    running.delete(child)
    Deferred.doneUnsafe(exited, Effect.void)
  })
  return { child, stderr: () => stderr, exited }
}

/** Whether the process that answers on the port is this one, and not one that took the port before it. */
const answers = (process: Process, port: number) =>
  Effect.map(ask(port, "stats"), (answer) => Number(parseStats(answer)["pid"]) === process.child.pid)

/** Waits until the process answers on its port. The server has then counted one connection and one `stats`. */
const ready = Effect.fnUntraced(function*(process: Process, port: number) {
  const end = (yield* RealTime.now) + 10_000
  while (true) {
    if (Deferred.isDoneUnsafe(process.exited)) {
      return /in use/i.test(process.stderr())
        ? yield* new PortTaken({ port })
        : yield* Effect.die(
          new Error(`beanstalkd ended as it started, with exit code ${process.child.exitCode}: ${process.stderr()}`)
        )
    }
    if (yield* Effect.orElseSucceed(answers(process, port), () => false)) return
    if ((yield* RealTime.now) > end) return yield* Effect.die(new Error(`beanstalkd does not answer on port ${port}`))
    yield* RealTime.sleep("5 millis")
  }
})

/** Linux says so in /proc. Other systems have no cheap way to ask, and a signal takes little time there. */
const isStopped = (pid: number) => {
  try {
    return /\) T /.test(readFileSync(`/proc/${pid}/stat`, "latin1"))
  } catch {
    return true
  }
}

/** Starts a beanstalkd that listens on loopback, and returns when it answers; dies if it cannot be had. */
export const make = Effect.fnUntraced(function*(
  options: RealServerOptions = {}
): Effect.fn.Return<RealServer, never, Scope.Scope> {
  const args = [...(options.binlogDir === undefined ? [] : ["-b", options.binlogDir]), ...(options.args ?? [])]
  let current: Process | undefined

  const kill = Effect.suspend(() => {
    if (current === undefined) return Effect.void
    current.child.kill("SIGKILL")
    return Effect.uninterruptible(Deferred.await(current.exited))
  })
  yield* Effect.addFinalizer(() => kill)

  const start = Effect.fnUntraced(function*(port: number) {
    current = spawn(["-l", "127.0.0.1", "-p", String(port), ...args])
    yield* ready(current, port)
    return port
  })
  const persistently = { schedule: Schedule.spaced("20 millis"), times: 100 }
  const startOn = (port: Effect.Effect<number>) =>
    port.pipe(Effect.flatMap(start), Effect.retry(persistently), RealTime.inRealTime, Effect.orDie)

  const port = yield* startOn(options.port === undefined ? freePort : Effect.succeed(options.port))

  const signal = (signal: NodeJS.Signals) =>
    Effect.suspend(() =>
      current !== undefined && Runtime.signal(current.child, signal)
        ? Effect.void
        : Effect.die(new Error(`${signal} was not sent: beanstalkd does not run`))
    )
  const stopped = Effect.suspend(() =>
    isStopped(current!.child.pid!) ? Effect.void : Effect.die(new Error("beanstalkd goes on in spite of SIGSTOP"))
  )
  const raw = (command: string) => Effect.orDie(ask(port, command))

  return {
    host: "127.0.0.1",
    port,
    clientOptions: { port },
    get pid() {
      return current!.child.pid!
    },
    kill,
    restart: Effect.andThen(kill, Effect.asVoid(startOn(Effect.succeed(port)))),
    signal,
    stop: Effect.andThen(signal("SIGSTOP"), eventually(stopped)),
    cont: signal("SIGCONT"),
    stats: Effect.map(raw("stats"), parseStats),
    raw
  }
})

/**
 * `describe` for tests that need the real server. Without one they are skipped, in words; on CI that is a failure,
 * so that no green run has tested nothing.
 */
export const describeReal = (name: string, body: () => void, options: TestOptions = {}): void => {
  if (available) {
    describe(name, options, body)
  } else if (process.env["CI"] === "true") {
    describe(name, () => {
      test("needs beanstalkd", () => {
        throw new Error("there is no beanstalkd on this CI machine: apt-get install -y beanstalkd, or BEANSTALKD_BIN")
      })
    })
  } else {
    describe.skip(`${name} (needs beanstalkd: apt-get install -y beanstalkd)`, body)
  }
}
