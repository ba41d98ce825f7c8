/**
 * Statistics of every format that beanstalkd has had, 1.4 to 1.13, as text that no YAML parser reads right.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as StatsText from "../../src/internal/protocol/statsText.ts"
import * as Stats from "../../src/Stats.ts"
import { TubeName } from "../../src/internal/protocol/scalars.ts"

// ---------------------------------------------------------------------------------------------------------------------
// The formats (beanstalkd-behaviour.md, 12)
// ---------------------------------------------------------------------------------------------------------------------

/** Formats, named by the first version that has them. 1.9 and 1.11 differ in quotes only. */
const FORMATS = ["1.4", "1.5", "1.9", "1.11", "1.12", "1.13"] as const
type Format = typeof FORMATS[number]

const since = (first: Format) => (format: Format) => FORMATS.indexOf(format) >= FORMATS.indexOf(first)
const always = since("1.4")
const never = () => false

interface Key {
  readonly name: string
  /** As the server writes it, without quotes. */
  readonly text: string
  readonly value: string | number | boolean
  readonly exists: (format: Format) => boolean
  readonly quoted: (format: Format) => boolean
}

const key = (
  name: string,
  text: string,
  value: string | number | boolean,
  exists = always,
  quoted: Key["quoted"] = never
): Key => ({ name, text, value, exists, quoted })

/** All numbers differ, so that no two fields can be mistaken for each other. */
const numbers = (names: string, exists = always) =>
  names.split(/,\s*/).map((name) => {
    const value = 1000 + Array.from(name).reduce((sum, letter, at) => sum + letter.charCodeAt(0) * (at + 1), 0)
    return key(name, String(value), value, exists)
  })

const text = (name: string, value: string, exists: Key["exists"], quoted: Key["quoted"]) =>
  key(name, value, value, exists, quoted)

const JOB_COUNTS = "current-jobs-urgent, current-jobs-ready, current-jobs-reserved, current-jobs-delayed, " +
  "current-jobs-buried"

const SERVER_KEYS: ReadonlyArray<Key> = [
  ...numbers(
    `${JOB_COUNTS}, cmd-put, cmd-peek, cmd-peek-ready, cmd-peek-delayed, cmd-peek-buried, cmd-reserve, ` +
      "cmd-reserve-with-timeout, cmd-delete, cmd-release, cmd-use, cmd-watch, cmd-ignore, cmd-bury, cmd-kick, " +
      "cmd-touch, cmd-stats, cmd-stats-job, cmd-stats-tube, cmd-list-tubes, cmd-list-tube-used, cmd-list-tubes-watched"
  ),
  ...numbers("cmd-pause-tube", since("1.5")),
  ...numbers(
    "job-timeouts, total-jobs, max-job-size, current-tubes, current-connections, current-producers, " +
      "current-workers, current-waiting, total-connections, pid"
  ),
  text("version", "1.12", always, since("1.11")),
  key("rusage-utime", "0.012345", 0.012345),
  key("rusage-stime", "148.000000", 148),
  ...numbers("uptime, binlog-oldest-index, binlog-current-index"),
  ...numbers("binlog-records-migrated, binlog-records-written", since("1.5")),
  ...numbers("binlog-max-size"),
  key("draining", "true", true, since("1.12")),
  text("id", "0123456789012345", since("1.9"), never),
  text("hostname", "mail-1.example.org", since("1.9"), since("1.13")),
  text("os", "#1 SMP Debian 6.1: x", since("1.12"), since("1.13")),
  text("platform", "x86_64", since("1.12"), since("1.13"))
]

const TUBE_KEYS: ReadonlyArray<Key> = [
  text("name", "0123", always, since("1.13")),
  ...numbers(`${JOB_COUNTS}, total-jobs, current-using, current-watching, current-waiting`),
  ...numbers("cmd-delete, cmd-pause-tube, pause, pause-time-left", since("1.5"))
]

const JOB_KEYS: ReadonlyArray<Key> = [
  key("id", "9007199254740991", Number.MAX_SAFE_INTEGER),
  text("tube", "1e3", always, since("1.13")),
  text("state", "reserved", always, never),
  ...numbers("pri, age, delay, ttr, time-left"),
  ...numbers("file", since("1.5")),
  ...numbers("reserves, timeouts, releases, buries, kicks")
]

const KINDS = [
  { kind: "stats", keys: SERVER_KEYS, schema: Stats.ServerStatsFromText, type: Stats.ServerStats },
  { kind: "stats-tube", keys: TUBE_KEYS, schema: Stats.TubeStatsFromText, type: Stats.TubeStats },
  { kind: "stats-job", keys: JOB_KEYS, schema: Stats.JobStatsFromText, type: Stats.JobStats }
] as const

type AnyStats = Schema.Codec<Stats.ServerStats | Stats.TubeStats | Stats.JobStats, string>

const camelCase = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())

const write = (keys: ReadonlyArray<Key>, format: Format) =>
  "---\n" +
  keys.filter(({ exists }) => exists(format)).map((key) =>
    `${key.name}: ${key.quoted(format) ? `"${key.text}"` : key.text}\n`
  ).join("")

/** The members of an object as a plain record. */
const fieldsOf = (stats: object): Record<string, unknown> => ({ ...stats })

const decode = (schema: AnyStats, raw: string) => fieldsOf(Schema.decodeSync(schema)(raw))
const fails = (schema: AnyStats, raw: string) => assert.isTrue(Exit.isFailure(Schema.decodeExit(schema)(raw)))

// ---------------------------------------------------------------------------------------------------------------------

describe("the key lists of this file", () => {
  it("have the length that the formats have", () => {
    const sizes = (keys: ReadonlyArray<Key>) =>
      FORMATS.map((format) => keys.filter(({ exists }) => exists(format)).length)
    assert.deepStrictEqual(sizes(SERVER_KEYS), [43, 46, 48, 48, 51, 51])
    assert.deepStrictEqual(sizes(TUBE_KEYS), [10, 14, 14, 14, 14, 14])
    assert.deepStrictEqual(sizes(JOB_KEYS), [13, 14, 14, 14, 14, 14])
  })

  it("have no two fields of the same value but where it cannot be helped", () => {
    for (const { keys } of KINDS) assert.strictEqual(new Set(keys.map(({ value }) => value)).size, keys.length)
  })
})

for (const { keys, kind, schema, type } of KINDS) {
  describe(`${kind} as beanstalkd writes it`, () => {
    for (const format of FORMATS) {
      it(`since ${format} is read field by field, and nothing is added`, () => {
        const raw = write(keys, format)
        const codec: AnyStats = schema
        const stats = Schema.decodeSync(codec)(raw)
        assert.strictEqual(stats.constructor, type)
        const expected = Object.fromEntries(
          keys.filter(({ exists }) => exists(format)).map(({ name, value }) => [camelCase(name), value])
        )
        assert.deepStrictEqual(fieldsOf(stats), { ...expected, raw, extra: {} })
      })
    }

    it("keeps the whole reply in raw, and is written as that reply again", () => {
      const raw = `${write(keys, "1.13")}something: new \n\nno key here\n`
      const codec: AnyStats = schema
      const stats = Schema.decodeSync(codec)(raw)
      assert.strictEqual(stats.raw, raw)
      assert.strictEqual(Schema.encodeSync(codec)(stats), raw)
    })

    it("keeps what it does not know in extra, whatever it is called", () => {
      const unknown = {
        "cmd-new": "7",
        "raw": "a",
        "extra": "b",
        "constructor": "c",
        "toString": "d",
        "hasOwnProperty": "e",
        "time_left": "f",
        "currentJobsReady": "g",
        "with blanks": "h: i",
        "empty": ""
      }
      const plain = write(keys, "1.12")
      const raw = `${plain}__proto__: polluted\n${
        Object.entries(unknown).map(([name, value]) => `${name}: ${value}\n`).join("")
      }`
      const { extra, ...stats } = decode(schema, raw)
      assert.deepStrictEqual(
        new Map(Object.entries(extra as Record<string, string>)),
        new Map([["__proto__", "polluted"], ...Object.entries(unknown)])
      )
      const { extra: _, ...before } = decode(schema, plain)
      assert.deepStrictEqual(stats, { ...before, raw })
      assert.isUndefined(Reflect.get({}, "polluted"))
    })
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// A real one
// ---------------------------------------------------------------------------------------------------------------------

const REAL_JOB =
  "---\nid: 1\ntube: emails\nstate: reserved\npri: 5\nage: 0\ndelay: 0\nttr: 60\ntime-left: 59\nfile: 0\n" +
  "reserves: 1\ntimeouts: 0\nreleases: 0\nburies: 0\nkicks: 0\n"

describe("what a beanstalkd 1.12 said about a job", () => {
  it("is read as it was meant", () => {
    assert.deepStrictEqual(decode(Stats.JobStatsFromText, REAL_JOB), {
      id: 1,
      tube: "emails",
      state: "reserved",
      pri: 5,
      age: 0,
      delay: 0,
      ttr: 60,
      timeLeft: 59,
      file: 0,
      reserves: 1,
      timeouts: 0,
      releases: 0,
      buries: 0,
      kicks: 0,
      raw: REAL_JOB,
      extra: {}
    })
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// Text stays text, numbers are numbers
// ---------------------------------------------------------------------------------------------------------------------

/** A whole reply in which one field has another value. */
const withField = (keys: ReadonlyArray<Key>, name: string, line: string) =>
  write(keys, "1.12").replace(new RegExp(`^${name}: .*$`, "m"), () => `${name}: ${line}`)

const job = (name: string, line: string) => withField(JOB_KEYS, name, line)
const server = (name: string, line: string) => withField(SERVER_KEYS, name, line)

describe("a tube's name", () => {
  for (const name of ["123", "1e3", "null", "true", "false", "0123", "~", "0x10", "1.0", "no", "()", "$", ".inf"]) {
    it(`${name} stays text, bare and quoted`, () => {
      for (const line of [name, `"${name}"`]) {
        assert.strictEqual(decode(Stats.JobStatsFromText, job("tube", line))["tube"], name)
        assert.strictEqual(
          decode(Stats.TubeStatsFromText, withField(TUBE_KEYS, "name", line))["name"],
          name
        )
      }
    })
  }
})

describe("text in the server's statistics", () => {
  for (
    const [name, value] of [
      ["os", "#1 SMP Debian 6.1: x"],
      ["os", "- a list?"],
      ["os", "{a: b}"],
      ["os", "'single'"],
      ["os", "half \"quoted\" here"],
      ["os", "\""],
      ["id", "0123456789012345"],
      ["id", "1e15000000000000"],
      ["hostname", "127"],
      ["platform", "&x"],
      ["version", "1.10"],
      ["version", "1.13+8.g1234567"]
    ] as const
  ) {
    it(`${name} may be ${value}`, () =>
      assert.strictEqual(decode(Stats.ServerStatsFromText, server(name, value))[name], value))
  }

  it("loses one pair of quotes and no more", () => {
    assert.strictEqual(decode(Stats.ServerStatsFromText, server("os", "\"\"x\"\""))["os"], "\"x\"")
    assert.strictEqual(decode(Stats.ServerStatsFromText, server("os", "\" x \""))["os"], " x ")
    assert.strictEqual(decode(Stats.ServerStatsFromText, server("os", "\"\""))["os"], "")
  })

  it("tells whether the server is draining", () => {
    assert.strictEqual(decode(Stats.ServerStatsFromText, server("draining", "true"))["draining"], true)
    assert.strictEqual(decode(Stats.ServerStatsFromText, server("draining", "false"))["draining"], false)
    for (const line of ["", "yes", "1", "True"]) fails(Stats.ServerStatsFromText, server("draining", line))
  })
})

describe("a number", () => {
  it("may have a fraction", () => {
    for (const [line, value] of [["0.012345", 0.012345], ["0.000000", 0], ["12.5", 12.5]] as const) {
      assert.strictEqual(decode(Stats.ServerStatsFromText, server("rusage-utime", line))["rusageUtime"], value)
    }
  })

  for (const line of ["x", "-", "NaN", "Infinity", "1,5", "12 34", "1_000", "true", "null"]) {
    it(`is not ${line}`, () => {
      fails(Stats.ServerStatsFromText, server("cmd-put", line))
      fails(Stats.ServerStatsFromText, server("cmd-pause-tube", line))
      fails(Stats.TubeStatsFromText, withField(TUBE_KEYS, "total-jobs", line))
      fails(Stats.JobStatsFromText, job("pri", line))
      fails(Stats.JobStatsFromText, job("file", line))
    })
  }

  it("is not nothing, bare or quoted", () => {
    for (const line of ["", "\"\""]) {
      fails(Stats.ServerStatsFromText, server("cmd-put", line))
      fails(Stats.TubeStatsFromText, withField(TUBE_KEYS, "total-jobs", line))
      fails(Stats.JobStatsFromText, job("pri", line))
    }
  })
})

describe("the statistics of a job", () => {
  it("know four states", () => {
    for (const state of ["ready", "delayed", "reserved", "buried"]) {
      assert.strictEqual(decode(Stats.JobStatsFromText, job("state", state))["state"], state)
      assert.isTrue(Schema.is(Stats.JobState)(state))
    }
  })

  it("know no other state", () => {
    for (const state of ["Ready", "done", "", "0", "READY", "invalid"]) {
      fails(Stats.JobStatsFromText, job("state", state))
      assert.isFalse(Schema.is(Stats.JobState)(state))
    }
  })

  it("are not read without the id and the state", () => {
    for (const name of ["id", "state"]) {
      fails(Stats.JobStatsFromText, REAL_JOB.replace(new RegExp(`^${name}: .*\n`, "m"), ""))
    }
    fails(Stats.JobStatsFromText, "")
  })

  it("have an id that is exact, or none", () => {
    assert.strictEqual(decode(Stats.JobStatsFromText, job("id", "9007199254740991"))["id"], 2 ** 53 - 1)
    for (const id of ["9007199254740992", "18446744073709551615", "1.5", "-1", "x", ""]) {
      fails(Stats.JobStatsFromText, job("id", id))
    }
  })
})

describe("a field that a server leaves out", () => {
  it("is absent if older servers do not have it either", () => {
    const stats = Schema.decodeSync(Stats.ServerStatsFromText)(write(SERVER_KEYS, "1.4"))
    for (const name of ["cmdPauseTube", "binlogRecordsMigrated", "draining", "id", "hostname", "os", "platform"]) {
      assert.notProperty(stats, name)
    }
    const tube = Schema.decodeSync(Stats.TubeStatsFromText)(write(TUBE_KEYS, "1.4"))
    for (const name of ["cmdDelete", "cmdPauseTube", "pause", "pauseTimeLeft"]) assert.notProperty(tube, name)
    assert.notProperty(Schema.decodeSync(Stats.JobStatsFromText)(write(JOB_KEYS, "1.4")), "file")
  })

  it("is 0 or empty otherwise", () => {
    const stats = Schema.decodeSync(Stats.ServerStatsFromText)("---\ncmd-put: 3\n")
    assert.strictEqual(stats.cmdPut, 3)
    assert.strictEqual(stats.cmdPeek, 0)
    assert.strictEqual(stats.version, "")
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// Any values
// ---------------------------------------------------------------------------------------------------------------------

const Count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))
// Servers write their host's text as it is. A line cannot hold a line feed, and blanks around a bare value mean
// nothing.
const HostText = Arbitrary.filter(
  Arbitrary.schema(Schema.String),
  (text) => !text.includes("\n") && text.trim() === text && !/^".*"$/s.test(text)
)

describe("the statistics of a server", () => {
  it.prop("are read as whatever they were written", {
    count: Count,
    version: Schema.String.check(Schema.isPattern(/^1\.[0-9]{1,2}(\+[0-9a-g.]{1,9})?$/)),
    id: Schema.String.check(Schema.isPattern(/^[0-9a-f]{16}$/)),
    draining: Schema.Boolean,
    hostname: HostText,
    os: HostText,
    platform: HostText
  }, (values) => {
    const { count, ...rest } = values
    const keys = SERVER_KEYS.map((one): Key => {
      if (one.name in rest) {
        const value = rest[one.name as keyof typeof rest]
        return { ...one, text: String(value), value }
      }
      return typeof one.value === "number" ? { ...one, text: String(count), value: count } : one
    })
    const expected = Object.fromEntries(keys.map(({ name, value }) => [camelCase(name), value]))
    for (const format of ["1.12", "1.13"] as const) {
      const raw = write(keys, format)
      assert.deepStrictEqual(decode(Stats.ServerStatsFromText, raw), { ...expected, raw, extra: {} })
    }
  }, { arbitrary: { runs: 300 } })
})

describe("the statistics of a tube and of a job", () => {
  it.prop("are read as whatever they were written", {
    tube: TubeName,
    state: Stats.JobState,
    id: Count,
    count: Count
  }, ({ count, id, state, tube }) => {
    const values: Readonly<Record<string, string | number>> = { name: tube, tube, state, id }
    for (const { keys, schema } of KINDS.slice(1)) {
      const filled = keys.map((one): Key => {
        const value = values[one.name] ?? count
        return { ...one, text: String(value), value }
      })
      const expected = Object.fromEntries(filled.map(({ name, value }) => [camelCase(name), value]))
      for (const format of ["1.12", "1.13"] as const) {
        const raw = write(filled, format)
        assert.deepStrictEqual(decode(schema, raw), { ...expected, raw, extra: {} })
      }
    }
  }, { arbitrary: { runs: 300 } })

  it.prop("keep any text in raw, however little they make of it", [Schema.String], ([text]) => {
    assert.strictEqual(decode(Stats.TubeStatsFromText, `---\n: ${text}`)["raw"], `---\n: ${text}`)
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// Lists
// ---------------------------------------------------------------------------------------------------------------------

const list = Schema.decodeSync(Stats.TubeListFromText)

describe("a list of tubes", () => {
  it("is read in the order in which it came", () => {
    assert.deepStrictEqual(list("---\n- default\n- emails\n- a-b\n"), ["default", "emails", "a-b"])
  })

  it("is text whatever it looks like", () => {
    const names = ["123", "1e3", "null", "true", "0123", "(-)", "a;b", "+1"]
    assert.deepStrictEqual(list(`---\n${names.map((name) => `- ${name}\n`).join("")}`), names)
  })

  it("may be empty", () => assert.deepStrictEqual(list("---\n"), []))

  it.prop("is read as whatever was written, and written as it was read", [Schema.Array(TubeName)], ([names]) => {
    const text = `---\n${names.map((name) => `- ${name}\n`).join("")}`
    assert.deepStrictEqual(list(text), names)
    assert.strictEqual(Schema.encodeSync(Stats.TubeListFromText)(names), text)
  })
})

describe("a dictionary", () => {
  const dictionary = (text: string): ReadonlyMap<string, string> => {
    const entries = new Map<string, string>()
    StatsText.forEachEntry(text, (key, value) => entries.set(key, value))
    return entries
  }

  it("has every line that has a key, in order, and nothing is made of it but text", () => {
    const text = "---\nname: \"123\"\npause: 0\nos: #1 SMP: x\nno colon here\n: no key\nempty:\nlast: true"
    assert.deepStrictEqual([...dictionary(text)], [
      ["name", "123"],
      ["pause", "0"],
      ["os", "#1 SMP: x"],
      ["empty", ""],
      ["last", "true"]
    ])
    assert.strictEqual(dictionary("---\n").size, 0)
    assert.strictEqual(dictionary("").size, 0)
  })

  it("has the later of two lines with one key", () => {
    assert.deepStrictEqual([...dictionary("---\na: 1\na: 2\n")], [["a", "2"]])
  })
})

describe("a list of names", () => {
  it("may be quoted and padded, and has nothing but the lines that begin one", () => {
    const text = "---\n- default\n- \"123\"\n-  padded \r\n-none\nnone\n- \"\n"
    assert.deepStrictEqual(StatsText.parseList(text), ["default", "123", "padded", "\""])
  })
})
