import { type SystemReport, verifyPlaces } from '#server/verify.ts'
import { systemClock } from '#system/clock.ts'
import { systemProcess } from '#system/process.ts'
import type { Command } from './command.ts'
import { PrintingInspector, sizeText } from './inspection.ts'
import { settingsWithStore } from './store-place.ts'
import { printable } from './table.ts'

const HELP = `Usage: chronik verify [--data-dir DIR] [--from PLACE] [--store-only] [--json] [settings]

Checks everything that a stopped broker has stored, and says what is damaged or missing, which records that takes with it, and what
to do. Reads all of it, and changes nothing: neither on the disk nor in the store.

  --data-dir DIR   directory of the broker's data. With no log in it only the store is checked, against the archive that is in it
  --from PLACE     the store: a directory, s3://BUCKET, gs://BUCKET or azure://CONTAINER, with /PREFIX behind it if there is one;
                   or unset the one of the settings. These, and so endpoint and credentials, are those of 'chronik start':
                   flags, environment (STORAGE_BACKEND, S3_BUCKET and others) or --config FILE
  --store-only     check only the store, and leave the data directory alone: a broker may be running on both
  --json           print JSON, for programs

What is checked:
  log        checksums of every checkpoint and of every group and batch of the write-ahead log, its indexes, and that each
             partition has a place for all of its offsets
  archive    every checkpoint and every piece of the metadata log in the store, that the pieces follow each other, whose it is
  segments   every object: its name, its checksums, the CRC and the offsets of every batch, that its indexes say what its batches
             say, that it has what the log says, and that no object is missing
What nothing refers to is counted: the broker deletes it in time. Files of the cache are only counted: whoever reads one checks it.

Prints a line for each finding, the progress on the standard error, and a summary. Exit code: 0 all is well, 1 something is
damaged or could not be checked, 2 wrong use.
`

export const verifyCommand: Command = {
  name: 'verify',
  summary: 'Check every file and object of a stopped broker, or of a store.',
  help: () => HELP,
  run,
}

async function run(argv: readonly string[]): Promise<number> {
  const { own, flags } = split(argv)
  const settings = settingsWithStore(flags, own.from)
  const inspector = new PrintingInspector(systemClock, own.json)
  try {
    const report = await verifyPlaces({
      settings,
      storeOnly: own.storeOnly,
      inspector,
      report: message => systemProcess.printError(`${message}\n`),
    })
    const { damages, notices, findings } = inspector
    const isWell = damages === 0
    const summary = { isWell, damages, notices, findings, ...report }
    systemProcess.print(own.json ? `${JSON.stringify(summary, null, 2)}\n` : describe(report, inspector))
    return isWell ? 0 : 1
  } finally {
    inspector.end()
  }
}

interface Own {
  from: string | undefined
  storeOnly: boolean
  json: boolean
}

/** Its own options; all others are settings. */
function split(argv: readonly string[]): { own: Own; flags: string[] } {
  const own: Own = { from: undefined, storeOnly: false, json: false }
  const flags: string[] = []
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i]!
    if (argument === '--json') own.json = true
    else if (argument === '--store-only') own.storeOnly = true
    else if (argument.startsWith('--from=')) own.from = argument.slice('--from='.length)
    else if (argument === '--from') own.from = argv[++i] ?? ''
    else flags.push(argument)
  }
  return { own, flags }
}

function describe(report: SystemReport, { damages, notices }: PrintingInspector): string {
  const { log, archive, segments, cache, unknown, place } = report
  const lines = [
    '',
    `store         ${place}`,
    `log           ${log === null ? 'not checked' : logText(log)}`,
    `archive       ${countText(archive.checkpoints, 'checkpoint')}, ${countText(archive.pieces, 'piece')} of the metadata log, ${sizeText(archive.sizeBytes)}`,
    `segments      ${countedText(segments.segments)}; of the record tail ${countedText(segments.tail)}`,
    `unreferenced  ${countedText(segments.unreferenced)}; waiting to be deleted ${countedText(segments.garbage)}`,
  ]
  if (cache.objects > 0) lines.push(`cache         ${countedText(cache)}, not checked`)
  if (unknown.count > 0) lines.push(`unknown       ${unknown.count}: ${unknown.names.map(printable).join(', ')}`)
  const noted = notices === 0 ? '' : `, ${countText(notices, 'notice')}`
  lines.push('', damages === 0 ? `all is well${noted}` : `${damages} damaged${noted}`, '')
  return lines.join('\n')
}

function logText({ files, checkpoints, position }: NonNullable<SystemReport['log']>): string {
  return `${countText(files, 'file')}, ${countText(checkpoints, 'checkpoint')}, up to position ${position}`
}

function countedText({ objects, sizeBytes }: { objects: number; sizeBytes: number }): string {
  return `${objects} (${sizeText(sizeBytes)})`
}

function countText(count: number, of: string): string {
  return `${count} ${of}${count === 1 ? '' : 's'}`
}
