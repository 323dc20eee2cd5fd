import { RECORD_TYPE_NAMES } from '#core/change-records.ts'
import { dumpLog } from '#log/dump.ts'
import { systemDisk } from '#system/disk.ts'
import { systemProcess } from '#system/process.ts'
import type { Command } from './command.ts'
import { readOptions, UsageError } from './command.ts'
import { requireLog } from './data-directory.ts'

const HELP = `Usage: chronik log dump --data-dir DIR [filters]

Prints the records of the commit log, the audit trail of everything that changed, as one JSON object a line, oldest first.
Reads only; a broker may be running on the directory.

  --data-dir DIR      directory of the broker's data
  --type NAME         only records of this type, several with commas:
${[...RECORD_TYPE_NAMES.values()].map(name => `                        ${name}`).join('\n')}
  --topic NAME        only records about this topic
  --group NAME        only records about this consumer group
  --partition NUMBER  only produced batches of this partition
  --from POSITION     only records from this position of the log on
  --to POSITION       only records before this position
`

export const logCommand: Command = {
  name: 'log',
  summary: 'Print the records of the commit log (log dump).',
  help: () => HELP,
  run,
}

async function run(argv: readonly string[]): Promise<number> {
  const [action, ...rest] = argv
  if (action !== 'dump') throw new UsageError("say what to do with the log: 'chronik log dump --data-dir DIR'")
  const options = readOptions(rest, ['data-dir', 'type', 'topic', 'group', 'partition', 'from', 'to'], [])
  const dataDir = options['data-dir']
  if (dataDir === undefined) throw new UsageError('--data-dir is needed')
  const filter = {
    types: typesOrNull(options.type),
    topic: options.topic ?? null,
    group: options.group ?? null,
    partition: wholeOrNull('partition', options.partition),
    from: wholeOrNull('from', options.from) ?? 0,
    to: wholeOrNull('to', options.to) ?? Number.POSITIVE_INFINITY,
  }
  await requireLog(dataDir)
  const damage = await dumpLog({ disk: systemDisk, dataDir }, filter, record =>
    systemProcess.print(`${JSON.stringify(record)}\n`),
  )
  if (damage === null) return 0
  systemProcess.printError(`chronik log dump: ${damage}\n`)
  return 1
}

function typesOrNull(text: string | undefined): string[] | null {
  if (text === undefined) return null
  const known = [...RECORD_TYPE_NAMES.values()]
  const types = text.split(',')
  const unknown = types.find(type => !known.includes(type))
  if (unknown !== undefined) throw new UsageError(`no record type '${unknown}'. Types: ${known.join(', ')}`)
  return types
}

function wholeOrNull(name: string, text: string | undefined): number | null {
  if (text === undefined) return null
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--${name} takes a whole number, not '${text}'`)
  return Number(text)
}
