/**
 * What can be wrong with a piece of source: one small change each. Types, imports and texts are left alone; what does not
 * type-check after the change is sorted out later, by the compiler.
 */
import { type ESTree, parseSync } from "vite"

/** One change: what stands from `start` to `end` is replaced. */
export interface Mutant {
  readonly start: number
  readonly end: number
  readonly replacement: string
  /** In words, such as `negated`. */
  readonly change: string
}

/** A change to a file. */
export interface Placed extends Mutant {
  readonly file: string
}

interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && typeof (value as { readonly type?: unknown }).type === "string"

const OPERATORS: Readonly<Record<string, ReadonlyArray<string>>> = {
  "<": ["<=", ">"],
  "<=": ["<", ">"],
  ">": [">=", "<"],
  ">=": [">", "<"],
  "===": ["!=="],
  "!==": ["==="],
  "+": ["-"],
  "-": ["+"],
  "*": ["/"],
  "/": ["*"],
  "%": ["*"],
  "&&": ["||"],
  "||": ["&&"],
  "+=": ["-="],
  "-=": ["+="],
  "++": ["--"],
  "--": ["++"]
}

const METHODS: Readonly<Record<string, string>> = { some: "every", every: "some", max: "min", min: "max" }

/** What a type says does not run, but for an expression that has its type named. */
const TYPED: ReadonlySet<string> = new Set(["TSAsExpression", "TSNonNullExpression", "TSSatisfiesExpression"])

const isErased = ({ importKind, exportKind, type }: Node): boolean =>
  (type.startsWith("TS") && !TYPED.has(type)) || type === "ImportDeclaration" || importKind === "type" ||
  exportKind === "type"

type Rule = (node: Node, source: string) => Iterable<Mutant>

const textOf = (node: Node, source: string) => source.slice(node.start, node.end)

const replaced = (node: Node, replacement: string, change: string): Mutant => ({
  start: node.start,
  end: node.end,
  replacement,
  change
})

// What has an opposite of its own.
const hasOpposite = ({ operator }: Node) => ["===", "!==", "!", "instanceof", "in"].includes(String(operator))

const negated = (node: Node, source: string): Mutant => replaced(node, `!(${textOf(node, source)})`, "negated")

const negatedTest: Rule = ({ test }, source) => isNode(test) && !hasOpposite(test) ? [negated(test, source)] : []

// The operator stands somewhere between its two sides, among white space and comments, of which none has one.
function* otherOperators(node: Node, left: number, right: number, source: string): Iterable<Mutant> {
  const operator = String(node["operator"])
  const start = source.indexOf(operator, left)
  if (start < 0 || start >= right) return
  for (const other of OPERATORS[operator] ?? []) {
    yield { start, end: start + operator.length, replacement: other, change: `${operator} is ${other}` }
  }
}

const binary: Rule = function*(node, source) {
  const { left, right } = node as Node & Record<"left" | "right", Node>
  if (node["operator"] === "instanceof" || node["operator"] === "in") yield negated(node, source)
  if (node["operator"] === "??") yield replaced(node, textOf(right, source), "without what comes before ??")
  yield* otherOperators(node, left.end, right.start, source)
}

/** Changes of one kind of node each. */
const RULES: Readonly<Record<string, Rule>> = {
  IfStatement: negatedTest,
  ConditionalExpression: negatedTest,
  WhileStatement: negatedTest,
  BinaryExpression: binary,
  LogicalExpression: binary,
  AssignmentExpression: binary,
  UpdateExpression: (node, source) => otherOperators(node, node.start, node.end, source),
  *UnaryExpression(node, source) {
    if (node["operator"] === "!") yield replaced(node, textOf(node["argument"] as Node, source), "without its !")
  },
  *Literal(node) {
    const { value } = node
    if (typeof value === "boolean") yield replaced(node, String(!value), `${value} is ${!value}`)
    if (typeof value !== "number" || !Number.isFinite(value)) return
    yield replaced(node, String(value + 1), "one more")
    // Where it stands behind a minus or a point, a minus of its own would make it something else.
    yield replaced(node, value === 0 ? "(-1)" : String(value - 1), "one less")
  },
  *MemberExpression(node) {
    const property = node["property"]
    const other = isNode(property) && node["computed"] === false ? METHODS[String(property["name"])] : undefined
    if (other !== undefined && isNode(property)) {
      yield replaced(property, other, `${String(property["name"])} is ${other}`)
    }
  }
}

/** Statements that can be left out without taking a name along. */
const DROPPABLE: ReadonlySet<string> = new Set([
  "ExpressionStatement",
  "IfStatement",
  "ForOfStatement",
  "ForStatement",
  "WhileStatement",
  "BreakStatement",
  "ContinueStatement",
  "TryStatement"
])

const isDirective = (node: Node) => typeof node["directive"] === "string"

const isBareReturn = ({ argument, type }: Node) => type === "ReturnStatement" && argument === null

function* droppedStatement(node: Node): Iterable<Mutant> {
  const isDropped = (DROPPABLE.has(node.type) && !isDirective(node)) || isBareReturn(node)
  if (isDropped) yield replaced(node, "{}", "left out")
}

// Of a function with a body: it does nothing. What must return something does not compile then.
function* earlyReturn({ body, type }: Node): Iterable<Mutant> {
  if (!/^(Function|Arrow)/.test(type) || !isNode(body) || body.type !== "BlockStatement") return
  yield { start: body.start + 1, end: body.start + 1, replacement: " return;", change: "returns at once" }
}

function* childrenOf(node: Node): Iterable<Node> {
  for (const [key, value] of Object.entries(node)) {
    // The property of an object that is no more than a name.
    if (key === "key" && node["computed"] !== true) continue
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) yield child
  }
}

function* mutantsIn(node: Node, source: string): Iterable<Mutant> {
  if (isErased(node)) return
  yield* RULES[node.type]?.(node, source) ?? []
  yield* droppedStatement(node)
  yield* earlyReturn(node)
  for (const child of childrenOf(node)) yield* mutantsIn(child, source)
}

/** All changes to a source of TypeScript that are tried, in the order of their places. */
export const mutantsOf = (source: string): ReadonlyArray<Mutant> => {
  const { errors, program } = parseSync("source.ts", source)
  if (errors.length > 0) throw new Error(errors[0]!.message)
  // Offsets are those of JavaScript's strings.
  const root: ESTree.Program = program
  return [...mutantsIn(root as unknown as Node, source)].sort((a, b) => a.start - b.start || a.end - b.end)
}

/** The source with the change. */
export const apply = (source: string, { end, replacement, start }: Mutant): string =>
  source.slice(0, start) + replacement + source.slice(end)

/** The line that a change begins in, from 1. */
export const lineOf = (source: string, { start }: Mutant): number => source.slice(0, start).split("\n").length

/** The lines that a change is about, before and after, without their margin. */
export const beforeAndAfter = (source: string, mutant: Mutant): readonly [before: string, after: string] => {
  const from = source.lastIndexOf("\n", mutant.start - 1) + 1
  const lineEnd = source.indexOf("\n", mutant.end)
  const to = lineEnd < 0 ? source.length : lineEnd
  const changed = source.slice(from, mutant.start) + mutant.replacement + source.slice(mutant.end, to)
  const flat = (text: string) => text.replace(/\s*\n\s*/g, " ").trim()
  return [flat(source.slice(from, to)), flat(changed)]
}

/** Numbers from 0 up to 1, the same ones for the same seed. */
const makeRandom = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** All of them in an order that the seed decides. */
export const shuffled = <A>(all: ReadonlyArray<A>, seed: number): ReadonlyArray<A> => {
  const random = makeRandom(seed)
  const order = [...all]
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const picked = order[j]!
    order[j] = order[i]!
    order[i] = picked
  }
  return order
}
