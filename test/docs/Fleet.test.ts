/**
 * The page about fleets: its diff is that of the two examples, its files for Compose and Kubernetes say what it says, and
 * beanstalkd takes the flags that they give it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Client, Fleet, Server } from "effect-beanstalkd"
import * as Yaml from "effect/encoding/Yaml"
import * as Dns from "effect/net/Dns"
import * as Host from "effect/net/Host"
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { eventually } from "../support/Eventually.ts"
import * as RealServer from "../support/RealServer.ts"
import { tempDir } from "../support/TempDir.ts"

const root = join(import.meta.dirname, "../..")
const read = (file: string) => readFileSync(join(root, file), "utf8")
const page = read("docs/fleet.md")

interface Compose {
  readonly services: Record<string, Service>
  readonly volumes: Record<string, null>
}

interface Service {
  readonly build: { readonly dockerfile_inline: string }
  readonly command: ReadonlyArray<string>
  readonly ports: ReadonlyArray<string>
  readonly volumes: ReadonlyArray<string>
}

const compose = Yaml.parse(read("examples/compose.yaml")) as Compose
const services = Object.values(compose.services)

type Labels = Record<string, string>

interface HeadlessService {
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly spec: {
    readonly clusterIP: string
    readonly publishNotReadyAddresses: boolean
    readonly selector: Labels
    readonly ports: readonly [{ readonly name: string; readonly port: number }]
  }
}

interface DisruptionBudget {
  readonly spec: { readonly selector: { readonly matchLabels: Labels } }
}

interface Container {
  readonly args: ReadonlyArray<string>
  readonly ports: ReadonlyArray<unknown>
  readonly volumeMounts: readonly [{ readonly name: string; readonly mountPath: string }]
}

interface StatefulSet {
  readonly spec: {
    readonly serviceName: string
    readonly selector: { readonly matchLabels: Labels }
    readonly template: {
      readonly metadata: { readonly labels: Labels }
      readonly spec: { readonly containers: readonly [Container] }
    }
    readonly volumeClaimTemplates: readonly [{ readonly metadata: { readonly name: string } }]
  }
}

const [service, budget, set] = read("examples/kubernetes.yaml").split(/^---$/m).map(Yaml.parse) as unknown as readonly [
  HeadlessService,
  DisruptionBudget,
  StatefulSet
]
const [container] = set.spec.template.spec.containers

// The header of a file says which of the two it is.
const code = (file: string): ReadonlyArray<string> => read(file).replace(/^\/\*\*[^]*?\*\/\n/, "").split("\n")

describe("docs/fleet.md", () => {
  it("shows how the program for one server becomes one for several, by its layer alone", () => {
    const [one, several] = [code("examples/one-server.ts"), code("examples/fleet.ts")]
    const [, diff] = /```diff\n([^]*?)```/.exec(page)!
    const shown = (sign: string) => diff!.split("\n").flatMap((line) => line.startsWith(sign) ? [line.slice(1)] : [])
    assert.strictEqual(one.length, several.length)
    assert.deepStrictEqual(shown("-"), one.filter((line, i) => line !== several[i]))
    assert.deepStrictEqual(shown("+"), several.filter((line, i) => line !== one[i]))
  })

  it("names the ports of the Compose file in the URL for it", () => {
    const [, url] = /BEANSTALKD_URL=(\S+)/.exec(page)!
    assert.strictEqual(
      url,
      `beanstalk://${services.map(({ ports }) => ports[0]!.split(":").slice(0, 2).join(":")).join()}`
    )
    assert.include(read("examples/compose.yaml"), `BEANSTALKD_URL=${url} `)
  })

  it("names the Service and its port in the URL for Kubernetes", () => {
    const { metadata: { name, namespace }, spec: { ports: [port] } } = service
    const url = `beanstalk+srv://_${port.name}._tcp.${name}.${namespace}.svc.cluster.local`
    assert.include(page, `Fleet.layerUrl("${url}")`)
    assert.include(read("examples/kubernetes.yaml"), url)
  })
})

describe("examples/compose.yaml", () => {
  it("gives each server a port and a volume of its own, where its binlog is", () => {
    const volumes = services.map(({ volumes: [volume] }) => volume!.split(":"))
    assert.deepStrictEqual(volumes.map(([name]) => name), Object.keys(compose.volumes))
    assert.strictEqual(new Set(services.map(({ ports: [port] }) => port!.split(":")[1])).size, services.length)
    for (const [i, { build, command }] of services.entries()) {
      assert.strictEqual(command[command.indexOf("-b") + 1], volumes[i]![1])
      assert.include(build.dockerfile_inline, ` ${volumes[i]![1]}\n`)
    }
  })
})

describe("examples/kubernetes.yaml", () => {
  it("has a headless Service of its pods, which stay in it while they are not ready", () => {
    const { metadata, spec } = service
    assert.deepInclude(spec, { clusterIP: "None", publishNotReadyAddresses: true })
    assert.strictEqual(set.spec.serviceName, metadata.name)
    for (const { matchLabels } of [set.spec.selector, budget.spec.selector]) {
      assert.deepStrictEqual(matchLabels, spec.selector)
    }
    assert.deepStrictEqual(set.spec.template.metadata.labels, spec.selector)
    assert.deepStrictEqual(container.ports, [{ name: spec.ports[0].name, containerPort: spec.ports[0].port }])
  })

  it("keeps the binlog in the volume of the pod", () => {
    const [{ mountPath, name }] = container.volumeMounts
    assert.strictEqual(container.args[container.args.indexOf("-b") + 1], mountPath)
    assert.strictEqual(set.spec.volumeClaimTemplates[0].metadata.name, name)
  })
})

RealServer.describeReal("the command lines of both", () => {
  const lines: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
    ["Compose", services[0]!.command],
    ["Kubernetes", container.args]
  ]
  it.live.each(lines)(
    "%s: beanstalkd takes them, and has its jobs after a restart",
    ([, line]) =>
      Effect.gen(function*() {
        const at = line.indexOf("-b")
        const server = yield* RealServer.make({ args: line.toSpliced(at, 2), binlogDir: yield* tempDir })
        const beanstalkd = yield* Client.make(server.clientOptions)
        yield* beanstalkd.put("orders", "tent")
        yield* server.restart
        assert.strictEqual((yield* beanstalkd.peekReady("orders")).text, "tent")
      })
  )
})

RealServer.describeReal("examples/fleet.ts", () => {
  it.live("runs on real servers, from the same source", () =>
    Effect.gen(function*() {
      const servers = yield* Effect.forEach([1, 2, 3], () => RealServer.make())
      const BEANSTALKD_URL = `beanstalk://${servers.map(({ port }) => `127.0.0.1:${port}`).join()}`
      const options = { cwd: root, env: { ...process.env, BEANSTALKD_URL }, timeout: 30_000 }
      const { stdout } = yield* Effect.promise(() =>
        promisify(execFile)(process.execPath, ["examples/fleet.ts"], options)
      )
      for (const customer of ["ada", "edsger", "grace", "tony"]) {
        const homes = new Set(
          stdout.split("\n").filter((line) => line.endsWith(` ${customer}`)).map((line) => line.split("/")[0])
        )
        assert.strictEqual(homes.size, 1, customer)
      }
      const stats = yield* Effect.forEach(servers, ({ stats }) => stats)
      assert.strictEqual(stats.reduce((sum, each) => sum + Number(each["total-jobs"]), 0), 12)
    }))
})

RealServer.describeReal("a rolling upgrade of real servers", () => {
  it.live("puts elsewhere after SIGUSR1, and uses the server again once it was restarted", () =>
    Effect.gen(function*() {
      const servers = yield* Effect.forEach([1, 2], () => RealServer.make())
      const fleet = yield* Fleet.make({ servers: servers.map(({ clientOptions }) => clientOptions) })
      const second = `127.0.0.1:${servers[1]!.port}`
      const is = (status: string) =>
        Effect.map(fleet.servers, (states) => assert.strictEqual(states[0]!.status, status))
      yield* eventually(is("up"))
      yield* servers[0]!.signal("SIGUSR1")
      // No put fails. The one that the server refuses is put on the other.
      yield* eventually(Effect.andThen(fleet.put("emails", "hello"), is("draining")))
      for (let i = 0; i < 5; i++) assert.strictEqual((yield* fleet.put("emails", "hello")).server, second)
      yield* servers[0]!.restart
      yield* eventually(is("up"))
    }))
})

describe("the URL for Kubernetes", () => {
  it.live("finds the servers of the SRV records of the named port", () =>
    Effect.gen(function*() {
      const { port } = (yield* Server.make({ port: 0 })).clientOptions
      const name = "_beanstalkd._tcp.beanstalkd.jobs.svc.cluster.local"
      const record = yield* Effect.fromResult(
        Dns.makeRecord("SRV", {
          target: Host.domainNameFromStringUnsafe("localhost"),
          port: port!,
          priority: 0,
          weight: 100
        })
      )
      const zone = Dns.layerStatic({ records: { [name]: [record] } })
      const live = Fleet.layerUrl(`beanstalk+srv://${name}`)
      const context = yield* Effect.provide(Layer.build(live), zone)
      const ref = yield* Context.get(context, Fleet.Fleet).put("emails", "hello")
      assert.strictEqual(String(ref), `localhost:${port}/1`)
    }))
})

describe("the test on the page", () => {
  it.effect("passes", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(Fleet.layerMemory(3))
      const [first] = Context.get(context, Fleet.MemoryServers)
      yield* first!.drain
      const refs = yield* Context.get(context, Fleet.Fleet).putAll("emails", ["a", "b", "c", "d"])
      assert.notInclude(refs.map(({ server }) => server), first!.server)
    }))
})
