import { repairLog } from '#log/repair.ts'
import { systemDisk } from '#system/disk.ts'
import { lockDirectory } from '#system/lock.ts'
import { systemProcess } from '#system/process.ts'
import { type Command, readOptions, UsageError } from './command.ts'
import { requireLog } from './data-directory.ts'

const HELP = `Usage: chronik repair --data-dir DIR [--cut-at POSITION]

Looks at the log of a stopped broker and says what is wrong with it, if anything, and what can be done. Changes nothing unless
told to.

  --data-dir DIR       directory of the broker's data
  --cut-at POSITION    give up everything from this position on, acknowledged records included. Takes only the position that
                       the look has named. The files that are cut are copied to DIR/repaired-POSITION first
`

export const repairCommand: Command = {
  name: 'repair',
  summary: 'Say what is wrong with the data of a stopped broker, and what can be done.',
  help: () => HELP,
  run,
}

async function run(argv: readonly string[]): Promise<number> {
  const options = readOptions(argv, ['data-dir', 'cut-at'], [])
  const dataDir = options['data-dir']
  const cutAt = options['cut-at']
  if (dataDir === undefined) throw new UsageError('--data-dir is needed')
  if (cutAt !== undefined && !/^\d{1,15}$/.test(cutAt))
    throw new UsageError(`--cut-at takes a position, not '${cutAt}'`)
  await requireLog(dataDir)
  const lock = await lockDirectory(dataDir)
  try {
    const found = await repairLog({ disk: systemDisk, dataDir }, cutAt === undefined ? null : Number(cutAt))
    for (const line of found.lines) systemProcess.print(`${line}\n`)
    return found.isSound ? 0 : 1
  } finally {
    await lock.release()
  }
}
