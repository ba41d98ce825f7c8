/**
 * The recipes do what `docs/recipes.md` says of them. One process for all: to start one costs more than most of them.
 */
import "./Health.ts"
import "./Hosts.ts"
import "./NodeSqlite.ts"
import "./Outbox.ts"
import "./RateLimit.ts"
import "./Reactivity.ts"
import "./TwoServers.ts"
