import { type RestoreReport, restoreFromStore } from '#server/restore.ts'
import { systemProcess } from '#system/process.ts'
import { type Command, readOptions, UsageError } from './command.ts'
import { readMoment } from './moment.ts'
import { settingsWithStore } from './store-place.ts'
import { table } from './table.ts'

const HELP = `Usage: chronik restore --data-dir DIR [--from PLACE] [--at TIME] [--execute] [--take-over] [--accept-loss]

Says what an object store would give back, and makes a data directory of it if told to. Changes nothing without --execute, which
takes the store over: its owner before must be gone, and only this data directory can go on with it. 'chronik start' with an
empty data directory does the same for the newest state; this command is for going back in time, and for looking first.

  --data-dir DIR   the data directory to make: there must be no log in it
  --from PLACE     the store: a directory, s3://BUCKET, gs://BUCKET or azure://CONTAINER, with /PREFIX behind it if there is one;
                   endpoint and credentials are those of the settings (S3_ENDPOINT, AWS_ACCESS_KEY_ID and others, --config).
                   Unset: the store of the settings (CHRONIK_LOCAL_STORAGE_PATH and others, --config)
  --at TIME        the state at this time, within the restore window: 2026-01-31T12:00:00.000Z, UTC unless it names a zone.
                   Unset: the newest there is
  --execute        do it
  --take-over      also if the owner of the store may still live; it is fenced first
  --accept-loss    without what is damaged in the store, or missing, and without what is lost by that: look first
  --config FILE    settings file
`

export const restoreCommand: Command = {
  name: 'restore',
  summary: 'Make a data directory from an object store, as it is or as it was at a time.',
  help: () => HELP,
  run,
}

async function run(argv: readonly string[]): Promise<number> {
  const options = readOptions(argv, ['data-dir', 'from', 'at', 'config'], ['execute', 'take-over', 'accept-loss'])
  const dataDir = options['data-dir']
  if (dataDir === undefined) throw new UsageError('--data-dir is needed')
  const config = options.config === undefined ? [] : ['--config', options.config]
  const settings = settingsWithStore(['--data-dir', dataDir, ...config], options.from)
  const executes = options.execute ?? false
  const found = await restoreFromStore({
    settings,
    atMs: options.at === undefined ? null : readMoment('at', options.at),
    takeOver: options['take-over'] ?? false,
    acceptsLoss: options['accept-loss'] ?? false,
    executes,
    report: message => systemProcess.printError(`${message}\n`),
  })
  systemProcess.print(describe(found))
  systemProcess.print(
    executes
      ? `\nrestored into ${dataDir}: start it with 'chronik start --data-dir ${dataDir}' and the same store\n`
      : '\nnothing was changed: add --execute to restore this\n',
  )
  return 0
}

function describe({ place, owner, plan }: RestoreReport): string {
  const { state, mended, damage, position, stateTimeMs, generation } = plan
  const lost = new Map<string, number>()
  for (const { topic } of mended.cutPartitions) lost.set(topic.name, (lost.get(topic.name) ?? 0) + 1)
  const rows = [...state.topics.values()].map(({ name, partitions }) => {
    const records = partitions.reduce((sum, { logStart, nextOffset }) => sum + nextOffset - logStart, 0)
    return [name, partitions.length, records, lost.get(name) ?? 0]
  })
  const lines = [
    `store       ${place}`,
    `owner       ${owner}`,
    `state of    ${new Date(stateTimeMs).toISOString()}, position ${position} of generation ${generation}`,
    `groups      ${state.groups.size}`,
    `lost        ${lostText(plan)}`,
    ...damage.map(({ what, why }) => `damaged     ${what}: ${why}`),
    `complete    ${completeText(plan)}`,
  ]
  return `${lines.join('\n')}\n\n${table(['TOPIC', 'PARTITIONS', 'RECORDS', 'CUT'], rows)}`
}

function completeText({ isComplete, isAtTime, mended }: RestoreReport['plan']): string {
  if (isComplete && mended.lostRecords === 0) return 'yes: everything that was ever acknowledged is there'
  const why = isComplete
    ? 'no: but for the lost records everything that was ever acknowledged is there'
    : isAtTime
      ? 'as of that time: later changes are left out'
      : 'not known: what was acknowledged after this state is not in the store'
  return `${why}. Open transactions are aborted, consumers and producers are told to look where they are`
}

function lostText({ mended }: RestoreReport['plan']): string {
  const { lostRecords, cutPartitions, abortedTransactions } = mended
  const aborted = abortedTransactions === 0 ? '' : `; ${abortedTransactions} open transactions are aborted`
  if (lostRecords === 0) return `no record of this state${aborted}`
  return `${lostRecords} records of this state, at the end of ${cutPartitions.length} partitions, are not in the store${aborted}`
}
