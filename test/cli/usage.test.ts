/**
 * Help, wrong usage, and servers that are not there. Help and usage need no server. Every command that needs a server says in
 * one line what is wrong with it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as Cli from "../support/Cli.ts"
import { freePort } from "../support/FreePort.ts"
import * as RealServer from "../support/RealServer.ts"
import { serve, silent } from "../support/Serve.ts"
import * as InProcess from "./inProcess.ts"

/** Every command that needs a server, with valid arguments. */
const COMMANDS: Record<string, ReadonlyArray<string>> = {
  put: ["body"],
  reserve: ["delete"],
  tail: ["delete"],
  work: ["--", "true"],
  peek: ["1"],
  "peek-ready": [],
  "peek-delayed": [],
  "peek-buried": [],
  delete: ["1"],
  bury: ["1"],
  kick: [],
  "kick-job": ["1"],
  touch: ["1"],
  list: [],
  pause: ["default", "-d", "1"],
  unpause: ["default"],
  wait: ["default", "--empty"],
  stats: [],
  "stats-tube": ["default"],
  "stats-job": ["1"],
  jobs: [],
  export: [],
  import: [],
  move: ["a", "b"],
  drain: ["a"],
  top: [],
  bench: []
}
const WITHOUT_SERVER = ["serve", "completions"]
/** That a server is down is a result of these. */
const ABOUT_SERVERS = ["fleet"]

const forEach = <A>(items: ReadonlyArray<A>, f: (item: A) => Effect.Effect<unknown>) =>
  Effect.forEach(items, f, { concurrency: 3, discard: true })

/** Flags come before the command of `work`. */
const withFlags = ([name, ...args]: ReadonlyArray<string>, flags: ReadonlyArray<string>) =>
  args[0] === "--" ? [name!, ...flags, ...args] : [name!, ...args, ...flags]

const needingServer = Object.entries(COMMANDS).map(([name, args]) => [name, ...args])

/** The commands that read stdin, and one of each other kind. */
const asProcess = [["put", "--lines"], ["import"], ["list"], ["reserve", "delete"], ["top"]]

describe("help", () => {
  it.live("is there for every command, with examples", () =>
    Effect.gen(function*() {
      const help = yield* Cli.run(["--help"])
      assert.deepStrictEqual([help.code, help.stderr], [0, ""])
      const names = [...help.stdout.split("SUBCOMMANDS")[1]!.split("EXAMPLES")[0]!.matchAll(/^ {2}([a-z-]+) /gm)].map((
        [, n]
      ) => n)
      assert.sameMembers(names, [...Object.keys(COMMANDS), ...WITHOUT_SERVER, ...ABOUT_SERVERS])
      for (const name of names) {
        const ended = yield* InProcess.run([name!, "--help"])
        assert.deepStrictEqual([ended.code, ended.stderr], [0, ""])
        assert.match(ended.stdout, new RegExp(`USAGE\\n  beanstalk ${name}`))
        assert.match(ended.stdout, new RegExp(`EXAMPLES\\n[\\s\\S]*beanstalk .*${name}`))
        if (name === "put") assert.deepStrictEqual(yield* Cli.run([name, "--help"]), ended)
      }
    }))

  it.live("--version is that of the package", () =>
    Effect.gen(function*() {
      const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8")) as {
        readonly version: string
      }
      assert.strictEqual((yield* Cli.run(["--version"])).stdout, `beanstalk v${version}\n`)
    }))

  it.live("completions are scripts of their shells, and know the commands", () =>
    forEach(
      ["bash", "zsh", "fish"],
      Effect.fnUntraced(function*(shell) {
        const { code, stdout } = yield* Cli.run(["completions", shell])
        assert.strictEqual(code, 0)
        for (const word of ["stats-tube", "peek-buried", "server-timeout"]) assert.include(stdout, word)
        if (shell === "bash") execFileSync("bash", ["-n"], { input: stdout })
      })
    ))
})

const CA = join(import.meta.dirname, "../fixtures/tls-cert.pem")

describe("wrong usage", () => {
  const WRONG: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
    [["pot"], /^beanstalk: Unknown subcommand "pot".*put\nUsage: beanstalk </],
    [["put"], /^beanstalk put: a body is missing.*\nUsage: beanstalk put /],
    [["put", "x", "--lines"], /^beanstalk put: either a body or --lines/],
    [["put", "x", "y"], /Unexpected positional argument: "y"\nUsage: beanstalk put/],
    [["put", "x", "--nope"], /Unrecognized flag: --nope/],
    [["put", "x", "-p", "-1"], /"-1"\. Expected: a whole number from 0 to 4294967295\nUsage/],
    [["put", "x", "-t", "0"], /Expected: a number of seconds from 1 /],
    [["put", "x", "-d", "soon"], /Expected: a number of seconds from 0 .* or a duration/],
    [["put", "x", "-u", "a b"], /Expected: the name of a tube/],
    [["stats-tube", "\u00e9"], /Expected: the name of a tube/],
    [["drain"], /Missing required argument: tube\nUsage: beanstalk drain /],
    [["drain", "x", "--state", "reserved"], /"delayed" \| "ready" \| "buried"/],
    [["delete", "1", "x"], /"x"\. Expected: the id of a job/],
    [["peek", "9007199254740992"], /Expected: the id of a job/],
    [["reserve", "eat"], /"delete" \| "release" \| "bury"/],
    [["reserve", "-i"], /--ignore-default leaves no tube/],
    [["reserve", "--raw", "--json"], /either --raw or --json/],
    [["peek", "1", "--raw", "--base64"], /either --raw or --base64/],
    [["peek", "/7"], /Expected: the id of a job, a whole number, or its reference/],
    [["pause", "emails"], /--delay\nUsage: beanstalk pause /],
    [["wait", "emails"], /say what to wait for: --empty/],
    [["kick", "-b", "1", "-n", "1"], /either -b or -n/],
    [["drain", "x", "--ids", "9-7"], /Expected: ids and ranges of ids, such as 7,9-12/],
    [["drain", "x", "--older", "soon"], /Expected: a number of seconds/],
    [["work"], /Missing required argument: command\nUsage: beanstalk work /],
    [["work", "-c", "0", "--", "true"], /Expected: a whole number from 1 /],
    [["list", "--host", "a:1"], /Expected: a host alone: --host a --port 1\n/],
    [["list", "-H", "[::1]"], /Expected: an address without brackets: --host ::1\n/],
    [["list", "-H", "[::1]:2"], /Expected: a host alone: --host ::1 --port 2\n/],
    [["list", "--host", "beanstalk://a"], /a URL goes to --url: --url beanstalk:\/\/a\n/],
    [["list", "-h", "a"], /^beanstalk: -h is --help; the host is given with -H or --host: --host a\n$/],
    [["-ha", "list"], /^beanstalk: -h is --help; .* --host a\n$/],
    [["list", "--tls-cert", "x"], /--tls-cert and --tls-key go together/],
    [["list", "--tls-ca", "/nonexistent"], /--tls-ca \/nonexistent: .*ENOENT/],
    [["list", "--tls-ca", "package.json"], /--tls-ca package\.json: it is not in PEM/],
    [["list", "--url", "unix:///x", "--tls-ca", CA], /a unix socket has no TLS/],
    [["serve", "--tls-ca", CA], /it has no TLS/],
    [["move", "a", "a"], /the two tubes are the same/],
    [["list", "--port", "99999"], /Expected: a whole number from 0 to 65535/],
    [["list", "--port", "0"], /port must be an integer from 1 to 65535/],
    [["list", "--url", "http://x"], /url must be a URL of the form/],
    [["list", "--url", "unix:///x", "--port", "1"], /either a unix socket or has --host and --port/],
    [["serve", "--unix", "/x", "--port", "1"], /either --unix, or --host and --port/],
    [["serve", "--url", "unix:///x"], /not on a --url/],
    [["completions", "tcsh"], /"bash" \| "zsh" \| "fish"/]
  ]

  it.live("exits 2, with the right usage on stderr and nothing on stdout", () =>
    Effect.gen(function*() {
      for (const [args, message] of WRONG) {
        const ended = yield* InProcess.run(args)
        assert.match(ended.stderr, message)
        assert.notMatch(ended.stderr, /^ +at /m)
        assert.deepStrictEqual([ended.code, ended.stdout], [2, ""])
      }
    }))

  // Errors of the parser, of a command, and of the connection.
  it.live("is what a process says as well", () =>
    Effect.gen(function*() {
      for (const args of [["pot"], ["put", "x", "--nope"], ["move", "a", "a"], ["list", "--port", "0"]]) {
        assert.deepStrictEqual(yield* Cli.run(args), yield* InProcess.run(args))
      }
    }))

  it.live("beanstalk alone shows its help on stderr", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* Cli.run([])
      assert.deepStrictEqual([code, stdout], [2, ""])
      assert.include(stderr, "SUBCOMMANDS")
    }))

  it.live("in the environment is wrong usage too", () =>
    Effect.gen(function*() {
      const ended = yield* Cli.run(["list"], { env: { BEANSTALKD_URL: "nonsense" } })
      assert.match(ended.stderr, /^beanstalk: url must be a URL of the form/)
      assert.strictEqual(ended.code, 2)
    }))
})

describe("a server that is not there", () => {
  const everyCommand = Effect.fnUntraced(function*(
    env: Readonly<Record<string, string>>,
    args: ReadonlyArray<string>,
    expected: RegExp
  ) {
    const { stderr, stdout, value: endings } = yield* InProcess.printedBy(
      Effect.forEach(needingServer, (command) => InProcess.ending(withFlags(command, args), env), { concurrency: 5 })
    )
    assert.deepStrictEqual([stdout, stderr], ["", ""])
    for (const [i, { code, line }] of endings.entries()) {
      assert.match(`${line}\n`, expected, needingServer[i]!.join(" "))
      assert.strictEqual(code, 4)
    }
    yield* forEach(asProcess, (command) =>
      Effect.map(Cli.run([...command, ...args], { env }), (ended) => {
        assert.match(ended.stderr, expected, command.join(" "))
        assert.deepStrictEqual([ended.code, ended.stdout], [4, ""])
      }))
  })

  it.live("nobody listens: every command exits 4, with one line", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      yield* everyCommand(
        { BEANSTALKD_URL: `beanstalk://127.0.0.1:${port}` },
        [],
        new RegExp(`^UNREACHABLE: nobody listens on 127\\.0\\.0\\.1:${port} .*--host, --port.*\\n$`)
      )
    }))

  it.live("it never answers: every command exits 4 within the timeout, with one line", () =>
    Effect.gen(function*() {
      const { port } = yield* silent()
      yield* everyCommand(
        {},
        ["--server-timeout", "0.3", "--port", `${port}`],
        new RegExp(`^NO_ANSWER: 127\\.0\\.0\\.1:${port} did not answer .* within 0\\.3 s; .*\\n$`)
      )
    }).pipe(Effect.scoped))

  it.live("it is another server, or closes at once, or is a socket that does not exist", () =>
    Effect.gen(function*() {
      const web = yield* serve((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
      const closing = yield* serve((socket) => socket.destroy())
      const cases: ReadonlyArray<readonly [string, number, RegExp]> = [
        [`beanstalk://127.0.0.1:${web.port}`, 1, /^UNEXPECTED_REPLY: .* is it a beanstalkd\?.*\n$/],
        [`beanstalk://127.0.0.1:${closing.port}`, 4, /^(CONNECTION_LOST|UNREACHABLE): .*\n$/],
        ["unix:///nonexistent/x.sock", 4, /^UNREACHABLE: there is no socket unix:\/nonexistent\/x\.sock; .*\n$/],
        ["beanstalk://nosuch.invalid", 4, /^UNREACHABLE: .*nosuch\.invalid.*\n$/]
      ]
      yield* forEach(cases, ([url, expected, message]) =>
        Effect.map(Cli.run(["list", "--url", url]), ({ code, stderr, stdout }) => {
          assert.match(stderr, message)
          assert.deepStrictEqual([code, stdout], [expected, ""])
        }))
    }).pipe(Effect.scoped))
})

RealServer.describeReal("which server", () => {
  it.live("--host and --port win over --url, and any of them over BEANSTALKD_URL", () =>
    Effect.gen(function*() {
      const { port } = yield* RealServer.make()
      const nobody = `beanstalk://127.0.0.1:${yield* freePort}`
      const here = `beanstalk://127.0.0.1:${port}`
      const reaches = (args: ReadonlyArray<string>, env?: Record<string, string>) =>
        Effect.map(Cli.run(["list", ...args], { env }), ({ code }) => assert.strictEqual(code, 0, args.join(" ")))
      yield* reaches([], { BEANSTALKD_URL: here })
      yield* reaches(["--url", here], { BEANSTALKD_URL: nobody })
      yield* reaches(["--port", `${port}`, "--url", nobody])
      yield* reaches(["--port", `${port}`], { BEANSTALKD_URL: "unix:///nonexistent" })
      yield* reaches(["-H", "localhost", `--port=${port}`])
    }).pipe(Effect.scoped))
})
