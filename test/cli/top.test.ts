/**
 * Output that only a terminal gets: `top`, progress bars, tables, colors.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import * as Cli from "../support/Cli.ts"
import * as RealServer from "../support/RealServer.ts"
import * as Runtime from "../support/Runtime.ts"
import { describeServers } from "./servers.ts"

const ENTER = "\u001b[?1049h"
const LEAVE = "\u001b[?1049l"

const describeTerminal = (name: string, body: () => void) =>
  Cli.hasTerminal ? describe(name, body) : describe.skip(`${name} (needs script of util-linux)`, body)

/** The last screen that was painted, as plain lines. */
const picture = (output: string): ReadonlyArray<string> =>
  // oxlint-disable-next-line no-control-regex
  output.split("\u001b[H").at(-1)!.replace(/\u001b\[[0-9;?]*[a-zA-Z]/g, "").split("\n").map((line) => line.trimEnd())

const cells = (output: string, tube: string) =>
  picture(output).find((line) => line.startsWith(`${tube} `))?.split(/ {2,}/)

describeTerminal("on a terminal", () => {
  describeServers("top", (make) => {
    it.live("shows the tubes, sorts them by key, and gives the terminal back", () =>
      Effect.gen(function*() {
        const server = yield* make
        const beanstalk = Cli.on(server)
        yield* beanstalk(["put", "--lines", "-u", "aaa"], { stdin: "1\n2\n" })
        yield* beanstalk(["put", "--lines", "-u", "zzz", "-p", "5"], { stdin: "1\n2\n3\n" })
        yield* beanstalk(["bury", "1"])
        yield* beanstalk(["pause", "aaa", "-d", "1000"])
        const top = yield* Cli.inTerminal(["top", "--port", `${server.port}`, "--interval", "0.3"])
        yield* top.shows(/zzz .* {2}0 +0\b/)
        assert.include(top.stdout(), ENTER)
        assert.match(
          picture(top.stdout())[0]!,
          new RegExp(`^beanstalk top  127\\.0\\.0\\.1:${server.port}  beanstalkd 1\\.`)
        )
        assert.match(
          picture(top.stdout())[3]!,
          /^TUBE\* +READY  URGENT  RESERVED  DELAYED  BURIED  WAITING  WATCHING  PUT\/S/
        )
        assert.deepStrictEqual(cells(top.stdout(), "zzz")?.slice(0, 8), ["zzz", "3", "3", "0", "0", "0", "0", "0"])
        assert.deepStrictEqual(cells(top.stdout(), "aaa")?.slice(0, 6), ["aaa", "1", "0", "0", "0", "1"])
        assert.match(cells(top.stdout(), "aaa")!.at(-1)!, /^9\d\d s$/)
        yield* top.type("\u001b[C")
        yield* top.shows("READY*")
        yield* top.shows(/READY\*[\s\S]*zzz[\s\S]*aaa/)
        yield* top.type("r")
        yield* top.shows(/READY\^[\s\S]*aaa[\s\S]*zzz/)
        yield* beanstalk(["put", "--lines", "-u", "zzz"], { stdin: "4\n5\n6\n" })
        yield* top.shows(/zzz +6/)
        yield* top.type("q")
        const { code, stdout } = yield* top.ended
        assert.strictEqual(code, 0)
        assert.isTrue(stdout.trimEnd().endsWith(LEAVE))
      }).pipe(Effect.scoped))
  })

  RealServer.describeReal("on the real server", () => {
    it.live("top survives a restart of the server, and Ctrl-C ends it with 130", () =>
      Effect.gen(function*() {
        const server = yield* RealServer.make()
        const top = yield* Cli.inTerminal(["top", "--port", `${server.port}`, "--interval", "0.2"])
        yield* top.shows("0 ready")
        yield* server.kill
        yield* top.shows(/RECONNECTING: 127\.0\.0\.1:\d+ is gone|RECONNECTING: CONNECTION_LOST/)
        yield* server.restart
        yield* Cli.on(server)(["put", "-u", "afterwards", "x"])
        yield* top.shows(/1 ready[\s\S]*afterwards +1/)
        yield* top.type("\u0003")
        const { code, stdout } = yield* top.ended
        assert.strictEqual(code, 130)
        assert.isTrue(stdout.includes(LEAVE))
      }).pipe(Effect.scoped))

    it.live("a bar on stderr, ids on stdout", () =>
      Effect.gen(function*() {
        const server = yield* RealServer.make()
        const put = ["put", "--lines", "-u", "numbers", "--port", `${server.port}`]
        const piped = yield* Cli.inTerminal(put, { shell: (command) => `seq 30000 | ${command} | tail -1` })
        const { stdout } = yield* piped.ended
        assert.match(stdout, /put into numbers  \d+  \d+\/s/)
        assert.match(stdout, /^30000\r$/m)
        const drain = yield* Cli.inTerminal(["drain", "numbers", "--yes", "--port", `${server.port}`])
        assert.match((yield* drain.ended).stdout, /deleted from numbers  \[#*-+\] \d+%  \d+  \d+\/s  \d+ s left/)
      }).pipe(Effect.scoped))

    it.live("tables are aligned, and colored unless NO_COLOR is set", () =>
      Effect.gen(function*() {
        const server = yield* RealServer.make()
        yield* Cli.on(server)(["put", "-u", "emails", `\u001b[31m${"long ".repeat(100)}`])
        const jobs = (env?: Record<string, string>) =>
          Effect.flatMap(Cli.inTerminal(["jobs", "--port", `${server.port}`], { env }), ({ ended }) => ended)
        const colored = yield* jobs()
        assert.include(colored.stdout, "\u001b[1mID  TUBE    STATE ")
        const plain = yield* jobs({ NO_COLOR: "1" })
        assert.match(plain.stdout, /^ID  TUBE    STATE    PRIORITY  AGE  LEFT  TTR  RESERVES  BODY\r$/m)
        assert.match(plain.stdout, /^ 1  emails  ready  2147483648 +\d+ +0  120 +0  \\u001b\[31mlong.*\.\.\.\r$/m)
        for (const line of plain.stdout.split("\r\n").slice(-3)) assert.isAtMost(line.length, 100)
        const stats = yield* Effect.flatMap(
          Cli.inTerminal(["stats-tube", "emails", "--port", `${server.port}`], { env: { NO_COLOR: "1" } }),
          ({ ended }) => ended
        )
        assert.match(stats.stdout, /^current-jobs-ready {5}1\r$/m)
      }).pipe(Effect.scoped))
  })
})

RealServer.describeReal("where there is no terminal", () => {
  it.live("top prints its table, or JSON, again and again, through a restart", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      yield* Cli.on(server)(["put", "x"])
      const plain = yield* Cli.on(server)(["top", "-n", "2", "--interval", "0.1"])
      // oxlint-disable-next-line no-control-regex
      assert.notMatch(plain.stdout, /\u001b/)
      assert.match(
        plain.stdout,
        /^jobs: 1 ready.*\nTUBE\* .*\ndefault +1 .* - +-\n\njobs: .*\nTUBE.*\ndefault +1 .* 0 +0\n\n$/
      )
      const json = yield* Cli.start([
        "top",
        "--json",
        "--port",
        `${server.port}`,
        "--interval",
        "0.1",
        "--sort",
        "ready"
      ])
      yield* json.shows("\n")
      yield* server.kill
      yield* json.shows("RECONNECTING: ")
      const before = json.stdout().length
      yield* server.restart
      yield* json.shows(new RegExp(`^[\\s\\S]{${before}}\\{.*"ready":0.*\\}\n`))
      yield* json.signal("SIGINT")
      const ended = yield* json.ended
      assert.strictEqual(ended.code, 130)
      const [first] = Cli.ndjson(ended)
      const [tube] = first!["tubes"] as ReadonlyArray<Record<string, unknown>>
      assert.deepStrictEqual(tube, {
        tube: "default",
        ready: 1,
        urgent: 0,
        reserved: 0,
        delayed: 0,
        buried: 0,
        waiting: 0,
        watching: 1,
        paused: 0,
        puts: null,
        deletes: null
      })
    }).pipe(Effect.scoped))
})

describe("completions", () => {
  it("complete commands and flags in bash", () => {
    const main = join(import.meta.dirname, "../../dist/cli/main.js")
    const script = `source <(${Runtime.commandLine} ${main} completions bash)
      COMP_WORDS=(beanstalk peek-b); COMP_CWORD=1; COMP_LINE="beanstalk peek-b"; COMP_POINT=16
      $(complete -p beanstalk | sed 's/.*-F \\([^ ]*\\) .*/\\1/'); echo "\${COMPREPLY[@]}"`
    const output = execFileSync("bash", ["-c", script], { encoding: "utf8" })
    assert.strictEqual(output.trim(), "peek-buried")
  })
})
