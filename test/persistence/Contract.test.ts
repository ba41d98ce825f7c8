/**
 * One contract for all stores: Effect's own, which show that the checks are right, and ours.
 */
import { describe } from "@effect/vitest"
import { describePostgres } from "../support/Postgres.ts"
import { describeReal } from "../support/RealServer.ts"
import { describeRedis } from "../support/Redis.ts"
import { contract } from "./contract.ts"
import { claims, effects, embedded, ours, real } from "./Stores.ts"

describe("a store of Effect", () => {
  contract("in memory", effects.memory)
  contract("in SQLite", effects.sqlite, { isEarly: true })
})

describeRedis("a store of Effect", () => {
  contract("in Redis", effects.redis)
})

describe("the embedded server", () => {
  contract("with claims in memory", ours(embedded, claims.memory))
})

describeReal("beanstalkd", () => {
  contract("with claims in memory", ours(real, claims.memory))
  contract("with claims in SQLite", ours(real, claims.sqlite))
  describeRedis("and Redis", () => {
    contract("with claims in Redis", ours(real, claims.redis))
  })
  describePostgres("and PostgreSQL", () => {
    contract("with claims in PostgreSQL", ours(real, claims.postgres))
  })
})
