import { ChronikError } from '#base/errors.ts'
import type { Disk } from '#base/ports.ts'
import { listCheckpoints, readNewestCheckpoint, readWholeFile, writeWholeFile } from '#commit/checkpoint-files.ts'
import { walFileName } from '#commit/wal-files.ts'
import { eachRecord } from '#commit/wal-format.ts'
import { cutLog, type RecoveredGroup, scanLog } from '#commit/wal-recovery.ts'
import { decodeState } from '#core/checkpoint.ts'
import { apply, NO_EFFECTS } from '#core/core.ts'
import { State } from '#core/state.ts'
import { checkpointDirectory, walDirectory } from './directories.ts'
import { BEGINNING } from './log.ts'
import { missingFiles } from './needed-files.ts'
import { payloadIsIntact } from './payload.ts'

export interface RepairReport {
  isSound: boolean
  /** For people. */
  lines: string[]
}

interface Place {
  disk: Disk
  dataDir: string
}

/** Says what is wrong with a log that nobody has open; cuts it at `cutAt` if that is where it is damaged. */
export async function repairLog(place: Place, cutAt: number | null): Promise<RepairReport> {
  const { disk, dataDir } = place
  const lines: string[] = []
  const checkpoints = checkpointDirectory(dataDir)
  let checkpoint: Awaited<ReturnType<typeof readNewestCheckpoint>>
  try {
    checkpoint = await readNewestCheckpoint(disk, checkpoints, path => {
      lines.push(`${path} is damaged. The checkpoint before it is used instead: nothing is lost by that.`)
    })
  } catch (thrown) {
    // Of one that a newer version wrote nothing is to be mended.
    if (!(thrown instanceof ChronikError) || thrown.code !== 'CHECKPOINT_DAMAGED') throw thrown
    return { isSound: false, lines: [...lines, thrown.message, ...(await withoutCheckpoint(place))] }
  }
  const state = checkpoint === null ? new State() : decodeState(checkpoint.state)
  const log = await scanLog({
    disk,
    directory: walDirectory(dataDir),
    resume: checkpoint ?? BEGINNING,
    isIntact: payloadIsIntact,
    recovered: group => applyGroup(state, group),
  })
  const missing = missingFiles(state, log.files)
  for (const position of missing) {
    lines.push(
      `The file of the log that begins at position ${position} is missing, and records in it are still kept. ` +
        'Put it back from a backup together with its .idx file.',
    )
  }
  if (log.damage === null) {
    if (log.tornBytes > 0)
      lines.push(`A torn tail of ${log.tornBytes} bytes, never acknowledged, is cut at the next start.`)
    if (missing.length === 0) lines.push(`The log is sound up to its end at position ${log.position}.`)
    return { isSound: missing.length === 0, lines }
  }
  lines.push(log.damage.message.replace(/\. Run 'chronik repair'.*/, '.'))
  lines.push(
    `Groups of ${log.tornBytes} bytes can still be recognised behind the damage; their records cannot be placed.`,
  )
  if (cutAt !== log.position) {
    lines.push(
      'Best: stop here and restore the directory, or this file, from a backup.',
      `Otherwise 'chronik repair --data-dir ${dataDir} --cut-at ${log.position}' gives up every record from position ` +
        `${log.position} on, acknowledged ones included, keeps everything before, and copies what is cut to ${dataDir}/repaired-${log.position}.`,
    )
    return { isSound: false, lines }
  }
  await keepCopies(place, log.position, log.sequence)
  await cutLog(disk, walDirectory(dataDir), log)
  lines.push(`Cut at position ${log.position}. What was cut is in ${dataDir}/repaired-${log.position}.`)
  return { isSound: missing.length === 0, lines }
}

function applyGroup(state: State, group: RecoveredGroup): void {
  eachRecord(group.bytes, group.recordsFrom, group.recordsTo, record => apply(state, record, NO_EFFECTS))
}

/** What can be done when no checkpoint can be read: the log alone is enough if it is there from the beginning. */
async function withoutCheckpoint({ disk, dataDir }: Place): Promise<string[]> {
  const isWhole = (await disk.list(walDirectory(dataDir))).includes(walFileName(1))
  const positions = await listCheckpoints(disk, checkpointDirectory(dataDir))
  if (!isWhole)
    return ['The log does not reach back to its beginning, so a checkpoint is needed: restore one from a backup.']
  return [
    `The log reaches back to its beginning. If none of its files is missing, it is enough: move the ${positions.length} files in ` +
      `${checkpointDirectory(dataDir)} away and start; everything is read again.`,
  ]
}

async function keepCopies({ disk, dataDir }: Place, position: number, firstCut: number): Promise<void> {
  const into = `${dataDir}/repaired-${position}`
  await disk.makeDirectory(into)
  for (const name of await disk.list(walDirectory(dataDir))) {
    if (name < walFileName(Math.max(1, firstCut - 1)) || !name.endsWith('.wal')) continue
    await writeWholeFile(disk, into, name, await readWholeFile(disk, `${walDirectory(dataDir)}/${name}`))
  }
}
