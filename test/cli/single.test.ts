/**
 * What commands on one job or tube promise besides their output: exit codes, references, TLS, bodies alone, waiting.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Client } from "effect-beanstalkd"
import { execFileSync } from "node:child_process"
import { chmodSync, writeFileSync } from "node:fs"
import * as Net from "node:net"
import { join } from "node:path"
import * as Cli from "../support/Cli.ts"
import { eventually } from "../support/Eventually.ts"
import { freePort } from "../support/FreePort.ts"
import * as RealServer from "../support/RealServer.ts"
import * as Runtime from "../support/Runtime.ts"
import { selfSigned } from "../support/SelfSigned.ts"
import { serve } from "../support/Serve.ts"
import { tempDir } from "../support/TempDir.ts"
import { describeServers } from "./servers.ts"

const CERTIFICATE = join(import.meta.dirname, "../fixtures/tls-cert.pem")

describeServers("exit codes", (make) => {
  it.live("tell an empty tube from a server that is not there", () =>
    Effect.gen(function*() {
      const beanstalk = Cli.on(yield* make)
      const elsewhere = Cli.on({ port: yield* freePort })
      const empty = [
        ["reserve", "-t", "0"],
        ["peek", "1"],
        ["peek-ready"],
        ["delete", "1"],
        ["stats-tube", "a"],
        ["touch", "1"]
      ]
      for (const args of empty) {
        assert.strictEqual((yield* beanstalk(args)).code, 3, args.join(" "))
        assert.strictEqual((yield* elsewhere(args)).code, 4, args.join(" "))
      }
    }).pipe(Effect.scoped))
})

describeServers("one job", (make) => {
  it.live("is named by its reference too, on its own server alone", () =>
    Effect.gen(function*() {
      const { port } = yield* make
      const beanstalk = Cli.on({ port })
      yield* beanstalk(["put", "--lines"], { stdin: "a\nb\nc\n" })
      const here = `127.0.0.1:${port}`
      assert.strictEqual((yield* beanstalk(["peek", `${here}/1`, "--json"])).stdout, "{\"body\":\"a\",\"id\":1}\n")
      const wrong = yield* beanstalk(["delete", "1", "10.0.0.2:11300/2"])
      assert.strictEqual(wrong.code, 2)
      assert.match(
        wrong.stderr,
        new RegExp(`^WRONG_SERVER: 10\\.0\\.0\\.2:11300/2 is a job of .* works on ${here}: .*\\n$`)
      )
      assert.strictEqual((yield* beanstalk(["peek", "1"])).code, 0, "nothing was deleted")
      assert.deepStrictEqual(yield* beanstalk(["delete", `${here}/1`, "2"]), { code: 0, stdout: "", stderr: "" })
      assert.strictEqual((yield* beanstalk(["drain", "default", "--ids", `${here}/3`])).stdout, "1\n")
      assert.strictEqual((yield* beanstalk(["drain", "default", "--ids", "other:1/3"])).code, 2)
    }).pipe(Effect.scoped))

  it.live("has a body that --raw writes alone, every byte as it was put", () =>
    Effect.gen(function*() {
      const { port } = yield* make
      const beanstalk = Cli.on({ port })
      yield* beanstalk(["put", "-"], { stdin: "a\r\n\u0000b\n\n" })
      assert.strictEqual((yield* beanstalk(["peek", "1", "--raw"])).stdout, "a\r\n\u0000b\n\n")
      assert.strictEqual((yield* beanstalk(["peek-ready", "--raw"])).stdout, "a\r\n\u0000b\n\n")
      assert.deepStrictEqual(yield* beanstalk(["reserve", "delete", "--raw"]), {
        code: 0,
        stdout: "a\r\n\u0000b\n\n",
        stderr: ""
      })
    }).pipe(Effect.scoped))

  it.live("that somebody else holds cannot be touched, and the line says who can", () =>
    Effect.gen(function*() {
      const { port } = yield* make
      const beanstalk = Cli.on({ port })
      const client = yield* Client.make({ port })
      yield* client.put("a", "x", { ttr: "1 hour" })
      const idle = yield* beanstalk(["touch", "1"])
      assert.match(idle.stderr, /^NOT_FOUND: job 1 on .* is ready, and only a reserved job has a time to renew\n$/)
      yield* client.reserve("a")
      const { code, stderr } = yield* beanstalk(["touch", "1", "2"])
      assert.match(
        stderr,
        /^NOT_FOUND: job 1 .* by another connection, which alone can touch it; 3\d\d\d s .*\nNOT_FOUND: /
      )
      assert.strictEqual(code, 3)
    }).pipe(Effect.scoped))
})

describeServers("wait --empty", (make) => {
  it.live("returns when the last job is gone, at its timeout with exit code 3, and tells buried jobs", () =>
    Effect.gen(function*() {
      const { port } = yield* make
      const beanstalk = Cli.on({ port })
      const client = yield* Client.make({ port })
      assert.deepStrictEqual(yield* beanstalk(["wait", "nosuch", "--empty"]), { code: 0, stdout: "", stderr: "" })
      yield* client.put("a", "x")
      yield* client.put("a", "y", { delay: "1 hour" })
      const late = yield* beanstalk(["wait", "a", "--empty", "-t", "0.1", "--interval", "0.05"])
      assert.deepStrictEqual(late, {
        code: 3,
        stdout: "",
        stderr: "TIMED_OUT: 2 jobs of the tube a left after 0.1 s\n"
      })
      const waiting = yield* Cli.start(["--port", `${port}`, "wait", "a", "--empty", "--interval", "0.05", "--json"])
      const job = yield* client.reserve("a")
      yield* client.delete(2 as never)
      const looks = Effect.map(client.stats, ({ cmdStatsTube }) => cmdStatsTube)
      const before = yield* looks
      yield* eventually(Effect.map(looks, (now) => assert.isAbove(now, before + 2)), { within: "20 seconds" })
      assert.strictEqual(waiting.stdout(), "", "a reserved job counts")
      yield* job.bury()
      assert.deepStrictEqual(yield* waiting.ended, {
        code: 0,
        stdout: "{\"tube\":\"a\",\"buried\":1}\n",
        stderr: "1 job of the tube a is buried\n"
      })
    }).pipe(Effect.scoped))
})

RealServer.describeReal("TLS", () => {
  it.live("is used with --tls-ca, checked against it, and shows the certificate of --tls-cert", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const proxy = yield* serve((client) => {
        const upstream = Net.connect(server.port, "127.0.0.1")
        client.pipe(upstream).on("error", () => {})
        upstream.pipe(client).on("error", () => {})
      }, { tls: selfSigned })
      const beanstalk = Cli.on(proxy)
      assert.strictEqual((yield* beanstalk(["put", "x", "--tls-ca", CERTIFICATE])).stdout, "1\n")
      const key = CERTIFICATE.replace("cert", "key")
      const both = ["--tls-ca", CERTIFICATE, "--tls-cert", CERTIFICATE, "--tls-key", key]
      assert.strictEqual((yield* beanstalk(["drain", "default", ...both])).stdout, "1\n")
      const url = `beanstalk+tls://127.0.0.1:${proxy.port}`
      const untrusted = yield* Cli.run(["list", "--url", url])
      assert.match(untrusted.stderr, /^UNREACHABLE: .*self.signed certificate/)
      assert.strictEqual(untrusted.code, 4)
      assert.strictEqual((yield* Cli.run(["list", "--url", url, "--tls-ca", CERTIFICATE])).stdout, "default\n")
    }).pipe(Effect.scoped))
})

RealServer.describeReal("completion in bash", () => {
  it.live("knows the tubes of the server that the line names, and runs none of them", () =>
    Effect.gen(function*() {
      const { port } = yield* RealServer.make()
      const client = yield* Client.make({ port })
      const directory = yield* tempDir
      for (const tube of ["emails", "emails-old", "$(touch${IFS}pwned)".replace(/[{}]/g, ""), "x"]) {
        yield* client.put(tube, "x")
      }
      const beanstalk = join(directory, "beanstalk")
      const main = join(import.meta.dirname, "../../dist/cli/main.js")
      writeFileSync(beanstalk, `#!/bin/sh\nexec ${Runtime.commandLine} "${main}" "$@"\n`)
      chmodSync(beanstalk, 0o755)
      const complete = (line: string) => {
        const words = line.split(" ")
        const script = [
          "source <(./beanstalk completions bash)",
          `COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})`,
          `COMP_CWORD=${words.length - 1} COMP_LINE='${line}' COMP_POINT=${line.length}`,
          "_beanstalk_with_tubes ./beanstalk",
          "printf '%s\\n' \"${COMPREPLY[@]}\""
        ].join("\n")
        const text = execFileSync("bash", ["-c", script], { cwd: directory, encoding: "utf8" })
        return text.split("\n").filter((word) => word !== "")
      }
      assert.deepStrictEqual(complete(`beanstalk --port ${port} drain em`), ["emails", "emails-old"])
      assert.deepStrictEqual(complete(`beanstalk put --port ${port} -u emails-`), ["emails-old"])
      assert.deepStrictEqual(complete(`beanstalk --port ${port} tail delete -w x`), ["x"])
      assert.include(complete(`beanstalk --port ${port} move emails `), "default")
      assert.deepStrictEqual(complete(`beanstalk --port ${port} drain $`), ["\\$\\(touch\\$IFSpwned\\)"])
      assert.deepStrictEqual(complete("beanstalk --port 1 drain em"), [])
      assert.include(complete("beanstalk dra"), "drain")
      assert.include(complete("beanstalk drain --st"), "--state")
      assert.notInclude(execFileSync("ls", [directory], { encoding: "utf8" }), "pwned")
    }).pipe(Effect.scoped))
})
