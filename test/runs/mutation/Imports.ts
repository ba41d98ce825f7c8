/**
 * Which tests are close to a module: by how many imports they are away from it.
 */
import { globSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"

const PACKAGE = "effect-beanstalkd"
const INDEX = "src/index.ts"

const STATEMENT = /(?:^|\n)\s*(?:import|export)\b([^"';]*?)\bfrom\s*["']([^"']+)["']/g

/** What one file says that it takes from where. */
interface Import {
  readonly names: string
  readonly from: string
}

const importsIn = (text: string): ReadonlyArray<Import> =>
  [...text.matchAll(STATEMENT)].map(([, names = "", from = ""]) => ({ names, from }))

const isRelative = (from: string) => from.startsWith("./") || from.startsWith("../")

/** The files of a tree, and what each imports of it. */
export class Imports {
  readonly #root: string
  readonly #imported = new Map<string, ReadonlySet<string>>()
  /** What the index exports under which name: who takes one thing from it is not close to all the others. */
  readonly #exported = new Map<string, string>()

  constructor(root: string) {
    this.#root = root
    for (const { from, names } of importsIn(this.#read(INDEX))) {
      const name = /\bas\s+(\w+)/.exec(names)?.[1]
      if (name !== undefined) this.#exported.set(name, normalize(join(dirname(INDEX), from)))
    }
    for (const file of globSync("{src,test,examples}/**/*.ts", { cwd: root })) {
      this.#imported.set(file, new Set(importsIn(this.#read(file)).flatMap((one) => this.#resolve(file, one))))
    }
  }

  /** All files of `src/`. */
  get modules(): ReadonlyArray<string> {
    return [...this.#imported.keys()].filter((file) => file.startsWith("src/")).sort()
  }

  /** All test files. */
  get tests(): ReadonlyArray<string> {
    return [...this.#imported.keys()].filter(isTest).sort()
  }

  /**
   * The test files from which this module can be reached, and how far away each is: those of its name 0, those in a folder
   * of the name of its own 1 and a tenth per import, the others as many imports, but at least 2. The closest come first.
   */
  testsOf(module: string): ReadonlyMap<string, number> {
    const reached = this.#reaching(module)
    const distanceOf = (test: string) => {
      const imports = reached.get(test) ?? Infinity
      if (isNamedAfter(test, module) && imports < Infinity) return 0
      return isInRoomOf(test, module) ? 1 + Math.min(9, imports) / 10 : Math.max(2, imports)
    }
    const all = this.tests.map((test) => [test, distanceOf(test)] as const)
    return new Map(all.filter(([, distance]) => distance < Infinity).sort(([, a], [, b]) => a - b))
  }

  /** All files from which a module can be reached, and by how many imports. */
  #reaching(module: string): ReadonlyMap<string, number> {
    const importers = new Map<string, Array<string>>()
    for (const [file, imported] of this.#imported) {
      for (const one of imported) importers.set(one, [...importers.get(one) ?? [], file])
    }
    const reached = new Map([[module, 0]])
    // A map that grows while it is walked through is walked through to its end.
    for (const [file, distance] of reached) {
      for (const importer of importers.get(file) ?? []) {
        if (!reached.has(importer)) reached.set(importer, distance + 1)
      }
    }
    return reached
  }

  #read(file: string): string {
    return readFileSync(join(this.#root, file), "utf8")
  }

  #resolve(file: string, { from, names }: Import): ReadonlyArray<string> {
    if (isRelative(from)) return [normalize(join(dirname(file), from))]
    if (from.startsWith(`${PACKAGE}/`)) {
      const name = from.slice(PACKAGE.length + 1)
      return [this.#exported.get(name) ?? `src/${name}.ts`]
    }
    if (from !== PACKAGE) return []
    const taken = names.match(/\w+/g) ?? []
    const modules = taken.flatMap((name) => this.#exported.get(name) ?? [])
    return modules.length === 0 ? [INDEX] : modules
  }
}

const isTest = (file: string) => file.endsWith(".test.ts")

const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1).replace(/(\.test)?\.ts$/, "").toLowerCase()

/** The folders that say what is in them: not those that hold all. */
const roomsOf = (path: string) =>
  path.toLowerCase().split("/").slice(0, -1).filter((folder) => !["src", "internal", "test"].includes(folder))

// A test in another room is about something else of the same name.
const isNamedAfter = (test: string, module: string) => {
  const isInOtherRoom = roomsOf(module).length > 0 && roomsOf(test).length > 0 && !isInRoomOf(test, module)
  return nameOf(test) === nameOf(module) && !isInOtherRoom
}

// A module that will have a folder of its own has it in the tests already, or the other way round.
const isInRoomOf = (test: string, module: string) => {
  const rooms = new Set([...roomsOf(module), nameOf(module)])
  return roomsOf(test).some((room) => rooms.has(room))
}
