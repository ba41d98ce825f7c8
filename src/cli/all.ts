/**
 * All commands.
 */
import * as Command from "effect/cli/Command"
import { bury, deleteJobs, kick, kickJob } from "./ids.ts"
import { peek, peekBuried, peekDelayed, peekReady } from "./peek.ts"
import { put } from "./put.ts"
import { reserve, tail } from "./reserve.ts"
import { beanstalk } from "./root.ts"
import { list, pause, stats, statsJob, statsTube } from "./stats.ts"

export const all = beanstalk.pipe(Command.withSubcommands([
  put,
  reserve,
  tail,
  peek,
  peekReady,
  peekDelayed,
  peekBuried,
  deleteJobs,
  bury,
  kick,
  kickJob,
  list,
  pause,
  stats,
  statsTube,
  statsJob
]))
