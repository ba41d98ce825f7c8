/**
 * The statistics of the embedded server as text: whole seconds, microseconds, and what it says of its process.
 */
import { assert, describe, it } from "@effect/vitest"
import { Engine } from "../../src/internal/server/engine.ts"
import { MemoryBudget } from "../../src/internal/server/entities.ts"
import { Store } from "../../src/internal/server/store.ts"

/** An engine on a clock that the test sets, in milliseconds; it has used so much of the processor, in microseconds. */
const makeEngine = (user = 0, system = 0) => {
  const clock = { now: 5000 }
  const host = {
    pid: 4711,
    version: "1.12",
    id: "0123456789abcdef",
    hostname: "host",
    os: "#1",
    platform: "x86_64",
    cpuMicros: () => ({ user, system })
  }
  const engine = new Engine({ store: new Store(() => clock.now, new MemoryBudget(Infinity)), host })
  const connect = () => {
    let text = ""
    const conn = engine.connect({
      write: (bytes) => {
        text += Buffer.from(bytes).toString("latin1")
        return true
      },
      end: () => {},
      resume: () => {},
      drop: () => {}
    })
    /** What it says to a command. */
    const says = (command: string) => {
      text = ""
      conn.receive(Buffer.from(`${command}\r\n`))
      return text
    }
    return { close: () => conn.close(), says }
  }
  const { says } = connect()
  const lines = (command: string, ...keys: ReadonlyArray<string>) =>
    says(command).split("\n").filter((line) => keys.includes(line.slice(0, line.indexOf(":"))))
  return { clock, connect, lines, says, tick: () => engine.runTimers() }
}

describe("what the server has used of the processor", () => {
  const micros: ReadonlyArray<readonly [micros: number, seconds: string]> = [
    [0, "0.000000"],
    [5, "0.000005"],
    [999_999, "0.999999"],
    [1_000_000, "1.000000"],
    [1_000_001, "1.000001"],
    [12_345_678.9, "12.345678"]
  ]
  it.each(micros)("%d microseconds, is told as %s", (micros, seconds) => {
    const { lines } = makeEngine(micros, micros + 1_000_000)
    const [whole, fraction] = seconds.split(".")
    assert.deepStrictEqual(lines("stats", "rusage-utime", "rusage-stime"), [
      `rusage-utime: ${seconds}`,
      `rusage-stime: ${Number(whole) + 1}.${fraction}`
    ])
  })
})

describe("the server", () => {
  it("has been up for the whole seconds since it was made", () => {
    const { clock, lines } = makeEngine()
    for (const [now, uptime] of [[5000, 0], [5999, 0], [6000, 1], [65_000, 60]] as const) {
      clock.now = now
      assert.deepStrictEqual(lines("stats", "uptime"), [`uptime: ${uptime}`])
    }
  })

  it("tells what it is, quoted where beanstalkd quotes", () => {
    const { lines } = makeEngine()
    const keys = ["pid", "version", "id", "hostname", "os", "platform", "binlog-max-size", "draining", "max-job-size"]
    assert.deepStrictEqual(lines("stats", ...keys), [
      "max-job-size: 65535",
      "pid: 4711",
      "version: \"1.12\"",
      "binlog-max-size: 10485760",
      "draining: false",
      "id: 0123456789abcdef",
      "hostname: host",
      "os: #1",
      "platform: x86_64"
    ])
  })

  it("counts each command by its name", () => {
    const { lines, says } = makeEngine()
    for (const command of ["put 0 0 1 1\r\nx", "reserve", "touch 1", "release 1 0 0", "reserve-with-timeout 0"]) {
      says(command)
    }
    for (const command of ["bury 1 0", "kick 1", "delete 1", "pause-tube default 1"]) says(command)
    const counted = (command: string) => lines("stats", `cmd-${command}`)[0]
    const names = ["put", "reserve", "reserve-with-timeout", "touch", "release", "bury", "kick", "delete", "pause-tube"]
    for (const name of names) assert.strictEqual(counted(name), `cmd-${name}: 1`)
    assert.strictEqual(counted("peek"), "cmd-peek: 0")
    // This one included.
    assert.strictEqual(counted("stats"), `cmd-stats: ${names.length + 2}`)
  })
})

describe("a connection", () => {
  it("is a producer from its first put on, and a worker from its first job on, until it is gone", () => {
    const { connect, lines } = makeEngine()
    const counted = () => lines("stats", "current-producers", "current-workers").map((line) => line.slice(-1))
    const { close, says } = connect()
    says("reserve-job 1")
    assert.deepStrictEqual(counted(), ["0", "0"])
    for (let i = 0; i < 2; i++) says("put 0 0 1 1\r\nx")
    assert.deepStrictEqual(counted(), ["1", "0"])
    for (let i = 0; i < 2; i++) says("reserve")
    assert.deepStrictEqual(counted(), ["1", "1"])
    close()
    assert.deepStrictEqual(counted(), ["0", "0"])
  })
})

describe("what is left", () => {
  it("of a delay, a time to run and a pause is told in seconds that have begun, but for a moment", () => {
    const { clock, lines, says, tick } = makeEngine()
    says("put 7 10 20 1\r\nx")
    says("pause-tube default 10")
    const left = () => [...lines("stats-job 1", "time-left", "age"), ...lines("stats-tube default", "pause-time-left")]
    assert.deepStrictEqual(left(), ["age: 0", "time-left: 9", "pause-time-left: 9"])
    clock.now += 1
    assert.deepStrictEqual(left(), ["age: 0", "time-left: 9", "pause-time-left: 9"])
    clock.now += 999
    assert.deepStrictEqual(left(), ["age: 1", "time-left: 8", "pause-time-left: 8"])
    clock.now += 8999
    assert.deepStrictEqual(left(), ["age: 9", "time-left: 0", "pause-time-left: 0"])
    clock.now += 1
    tick()
    // Ready, and not paused.
    assert.deepStrictEqual(left(), ["age: 10", "time-left: 0", "pause-time-left: 0"])
    says("reserve")
    assert.deepStrictEqual(left(), ["age: 10", "time-left: 19", "pause-time-left: 0"])
    says("bury 1 7")
    assert.deepStrictEqual(left(), ["age: 10", "time-left: 0", "pause-time-left: 0"])
  })
})
