// npm run bench -- [options]: our broker beside Apache Kafka on this machine, as a table.
import { statfsSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { messageOf } from '#base/errors.ts'
import { describeMachine, measureLimits } from './machine.ts'
import { kafkaMissing, kafkaVersion, OUR_COMMAND, type Target } from './paths/brokers.ts'
import { Lab } from './paths/lab.ts'
import { buildLoad } from './paths/load.ts'
import { ROWS } from './paths/paths.ts'
import { FIGURES, type Figure, type Figures, type Row } from './paths/row.ts'
import { format, Results, renderReport } from './report.ts'

const USAGE = `npm run bench -- [options]
  --only REGEX     rows whose name matches: ${ROWS.map(row => row.name).join(', ')}
  --runs N         medians of so many interleaved runs (3; with --quick 1)
  --quick          short runs that do not wait for a quiet machine: for development
  --ours-only      without Apache Kafka
  --command LINE   another way to start ours (${OUR_COMMAND})
  --dir DIR        a directory on the disk to measure
  --lock FILE      held during each run, where several people measure on one machine
  --write          write the benchmarks' page of the docs`

const CACHE_DIR = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'chronik-bench')
const BENCHMARKS_MD = fileURLToPath(new URL('../docs/BENCHMARKS.md', import.meta.url))
const BENCHMARKS_HEAD = `# Benchmarks

<!-- Written by \`npm run bench -- --write\`: change the bench, not this file. -->

Our broker, which syncs before every answer, beside Apache Kafka on the same machine.`

// The data of all runs stays until the end: so much per run of the load rows on one broker, and for the recovery of a large log.
const RUN_GB = 7
const RECOVERY_GB = 15
const QUICK_PART = 5

interface Options {
  readonly rows: readonly Row[]
  readonly runs: number
  readonly quick: boolean
  readonly oursOnly: boolean
  readonly ourCommand: string
  readonly dir: string
  readonly lockPath: string | undefined
  readonly write: boolean
}

/** Null: only the usage is asked for. */
function parseOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      runs: { type: 'string' },
      quick: { type: 'boolean', default: false },
      'ours-only': { type: 'boolean', default: false },
      command: { type: 'string', default: OUR_COMMAND },
      dir: { type: 'string', default: join(CACHE_DIR, 'data') },
      lock: { type: 'string' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return null
  const only = new RegExp(values.only)
  const rows = ROWS.filter(row => only.test(row.name))
  const runs = Number(values.runs ?? (values.quick ? 1 : 3))
  if (rows.length === 0) throw new Error(`no row matches --only ${values.only}`)
  if (!Number.isInteger(runs) || runs < 1) throw new Error('--runs is a number from 1 on')
  if (values.write && (values.quick || values.only !== ''))
    throw new Error('--write needs a whole run, without --quick and --only')
  return {
    rows,
    runs,
    quick: values.quick,
    oursOnly: values['ours-only'],
    ourCommand: values.command,
    dir: values.dir,
    lockPath: values.lock,
    write: values.write,
  }
}

async function main(options: Options, signal: AbortSignal): Promise<void> {
  if (process.platform !== 'linux') throw new Error('the bench reads /proc: it needs Linux')
  const load = await buildLoad(CACHE_DIR)
  const missing: string[] = []
  const kafkaReason = options.oursOnly ? 'not asked for' : await kafkaMissing()
  if (kafkaReason !== undefined) missing.push(`Apache Kafka (${kafkaReason})`)
  if (load.withoutLibrdkafka !== undefined) missing.push(`librdkafka (${load.withoutLibrdkafka})`)
  const targets: readonly Target[] = kafkaReason === undefined ? ['ours', 'kafka', 'kafka-flush'] : ['ours']
  const rows = options.rows.filter(row => row.name !== 'closed-librdkafka' || load.withoutLibrdkafka === undefined)
  const { dir, ourCommand, quick, lockPath, runs } = options
  const lab = new Lab({ load, dir, ourCommand, quick, lockPath, signal })
  try {
    checkSpace(lab.dir, targets.length, runs, quick)
    const machine = await describeMachine(lab.dir, kafkaReason === undefined ? await kafkaVersion() : undefined)
    const limits = await measureLimits(lab)
    const results = new Results()
    const measureRun = (run: number): Promise<void> => measureRows(lab, { rows, targets, results, run, runs })
    await measureRun(0)
    for (let run = 1; run <= runs; run++) {
      await measureRun(run)
      // After each run: who stops a later one has these.
      const report = renderReport({ machine, limits, rows, targets, results, missing, runs: run, quick })
      if (options.write) writeFileSync(BENCHMARKS_MD, `${BENCHMARKS_HEAD}\n\n${report}\n`)
      if (run === runs) console.log(report)
    }
  } finally {
    await lab.close()
  }
}

function checkSpace(dir: string, targets: number, runs: number, quick: boolean): void {
  const neededGb = (targets * runs * RUN_GB + RECOVERY_GB) / (quick ? QUICK_PART : 1)
  const { bavail, bsize } = statfsSync(dir)
  const freeGb = (bavail * bsize) / 1e9
  if (freeGb < neededGb) {
    throw new Error(
      `${dir} has ${freeGb.toFixed(0)} GB free, the bench needs ${neededGb.toFixed(0)}: see --dir and --quick`,
    )
  }
}

interface Run {
  readonly rows: readonly Row[]
  readonly targets: readonly Target[]
  readonly results: Results
  /** 0 warms up. */
  readonly run: number
  readonly runs: number
}

/** Each row on one broker after the other before the next row, and all rows before the second run: drift hits all alike. */
async function measureRows(lab: Lab, { rows, targets, results, run, runs }: Run): Promise<void> {
  const warmUp = run === 0
  for (const row of rows.filter(row => (warmUp ? row.warm : run === 1 || !row.once))) {
    for (const target of row.targets.filter(target => targets.includes(target))) {
      const figures = await row.measure(lab, target, warmUp)
      if (!warmUp) results.add(row, target, figures)
      console.error(`${warmUp ? 'warm-up' : `run ${run}/${runs}`}  ${row.name}  ${target}: ${summary(row, figures)}`)
    }
  }
}

function summary(row: Row, figures: Figures): string {
  const shown = row.lines.map(line => line.figure).filter((figure: Figure) => figures[figure] !== undefined)
  return shown.map(figure => `${FIGURES[figure].title} ${format(figure, figures[figure] ?? 0)}`).join(', ')
}

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort(new Error(`${signal}: stopped`)))
try {
  const options = parseOptions()
  if (options === null) console.log(USAGE)
  else await main(options, stop.signal)
} catch (error) {
  const usage = error instanceof TypeError && 'code' in error ? `\n${USAGE}` : ''
  console.error(`bench: ${messageOf(error)}${usage}`)
  process.exitCode = 1
}
