/**
 * Which server of a fleet gets a job: that of its key, or else the one with less on its way of two that are drawn.
 *
 * Puts of one turn of the event loop that have no key go to the same server, since they leave in one write then: spread over
 * 16 servers, each put costs three times as much.
 */
import * as Hash from "effect/Hash"
import * as HashRing from "effect/HashRing"
import type { Pipeline } from "../connection/pipeline.ts"
import type { Member } from "./member.ts"
import type { Members } from "./members.ts"

// As many as `effect/cluster` has by default for each of a dozen runners: the shares of 64 servers differ by 2 percent.
const SHARDS = 4096

// How many puts of one turn go to the same server at most.
const MOST_IN_A_TURN = 32

/** Where jobs go whose key has a server that takes none. */
export type WhenDown = "elsewhere" | "wait"

const isAvoided = ({ pipeline }: Member, avoided: ReadonlyArray<Pipeline>): boolean =>
  pipeline !== undefined && avoided.includes(pipeline)

/** Chooses servers. */
export class Placement {
  readonly #members: Members
  /** A number from 0 to 1. */
  readonly #draw01: () => number
  readonly #whenDown: WhenDown
  /** The server of each shard: of all servers that stay, and of those that take jobs now. */
  readonly #homes = new ShardTable((member) => !member.isLeaving)
  readonly #open = new ShardTable(({ status }) => status === "up")
  #stuck: Member | undefined
  #stuckFor = 0

  constructor(members: Members, random: () => number, whenDown: WhenDown) {
    this.#members = members
    this.#draw01 = random
    this.#whenDown = whenDown
  }

  /** The server for a job, but none over these connections; undefined if none takes it now. */
  choose(key: string | undefined, avoided: ReadonlyArray<Pipeline>): Member | undefined {
    if (key === undefined) return avoided.length === 0 ? this.#sticky() : this.#draw(avoided)
    const home = this.#homes.of(key, this.#members)
    if (home === undefined) return undefined
    if (home.status === "up" && !isAvoided(home, avoided)) return home
    if (this.#whenDown === "wait") return undefined
    const other = this.#open.of(key, this.#members)
    return other !== undefined && isAvoided(other, avoided) ? this.#draw(avoided) : other
  }

  #sticky(): Member | undefined {
    const stuck = this.#stuck
    // With nothing on the way there is no write to share.
    if (stuck !== undefined && this.#stuckFor > 0 && stuck.load > 0 && stuck.status === "up") {
      this.#stuckFor--
      return stuck
    }
    if (stuck === undefined) queueMicrotask(this.#onEndOfTurn)
    this.#stuckFor = MOST_IN_A_TURN - 1
    return this.#stuck = this.#draw([])
  }

  readonly #onEndOfTurn = (): void => {
    this.#stuck = undefined
  }

  #draw(avoided: ReadonlyArray<Pipeline>): Member | undefined {
    const { open } = this.#members
    const candidates = avoided.length === 0 ? open : open.filter((member) => !isAvoided(member, avoided))
    if (candidates.length <= 1) return candidates[0]
    const one = this.#one(candidates)
    const other = this.#one(candidates)
    return one.load * other.settings.weight <= other.load * one.settings.weight ? one : other
  }

  // By weight: a server of weight 2 is drawn twice as often as one of weight 1.
  #one(candidates: ReadonlyArray<Member>): Member {
    let total = 0
    for (const { settings } of candidates) total += settings.weight
    let at = this.#draw01() * total
    for (const member of candidates) {
      at -= member.settings.weight
      if (at < 0) return member
    }
    return candidates[candidates.length - 1]!
  }
}

/** The servers of all shards, made anew after a change. */
class ShardTable {
  readonly #belongs: (member: Member) => boolean
  #shards: ReadonlyArray<Member> | undefined
  #version = -1

  constructor(belongs: (member: Member) => boolean) {
    this.#belongs = belongs
  }

  of(key: string, members: Members): Member | undefined {
    if (this.#version !== members.version) {
      this.#version = members.version
      this.#shards = this.#make(members.list.filter(this.#belongs))
    }
    return this.#shards?.[Math.abs(Hash.string(key)) % SHARDS]
  }

  #make(list: ReadonlyArray<Member>): ReadonlyArray<Member> | undefined {
    const ring = HashRing.make<Member>()
    // By their ratios, so that weights of 25 each make the same shards as weights of 1.
    const least = Math.min(...list.map(({ settings }) => settings.weight))
    for (const member of list) HashRing.add(ring, member, { weight: member.settings.weight / least })
    return HashRing.getShards(ring, SHARDS)
  }
}
