/**
 * All commands.
 */
import * as Command from "effect/cli/Command"
import { bench } from "./bench.ts"
import { completionsOf } from "./completions.ts"
import { drain } from "./drain.ts"
import { bury, deleteJobs, kickJob, touch } from "./byId.ts"
import { fleet } from "./fleet.ts"
import { jobs } from "./jobs.ts"
import { kick } from "./kick.ts"
import { move } from "./move.ts"
import { pause, unpause } from "./pause.ts"
import { peek, peekBuried, peekDelayed, peekReady } from "./peek.ts"
import { put } from "./put.ts"
import { reserve } from "./reserve.ts"
import { beanstalk } from "../root.ts"
import { serve } from "./serve.ts"
import { list, stats, statsJob, statsTube } from "./stats.ts"
import { tail } from "./tail.ts"
import { top } from "./top.ts"
import { wait } from "./wait.ts"
import { work } from "./work.ts"
import { exportJobs, importJobs } from "./exportImport.ts"

export const all = beanstalk.pipe(Command.withSubcommands([
  put,
  reserve,
  tail,
  work,
  peek,
  peekReady,
  peekDelayed,
  peekBuried,
  deleteJobs,
  bury,
  kick,
  kickJob,
  touch,
  list,
  pause,
  unpause,
  wait,
  stats,
  statsTube,
  statsJob,
  jobs,
  exportJobs,
  importJobs,
  move,
  drain,
  top,
  fleet,
  bench,
  serve,
  completionsOf((): Command.Command.Any => all)
]))
