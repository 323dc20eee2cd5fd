import type { Disk } from '#base/ports.ts'
import { listCheckpoints, writeCheckpoint } from '#commit/checkpoint-files.ts'
import { findFiles } from '#commit/wal-recovery.ts'
import { encodeState } from '#core/checkpoint.ts'
import type { State } from '#core/state.ts'
import { checkpointDirectory, walDirectory } from './directories.ts'
import { BEGINNING } from './log.ts'

/** Nothing was ever logged in the data directory, or nothing is left of it. */
export async function hasNoLog(disk: Disk, dataDir: string): Promise<boolean> {
  const checkpoints = await listCheckpoints(disk, checkpointDirectory(dataDir))
  return checkpoints.length === 0 && (await findFiles(disk, walDirectory(dataDir))).length === 0
}

/** Makes an empty data directory one whose log goes on at the position, with this state: all at once, or not at all. */
export async function placeCheckpoint(
  { disk, dataDir, writtenMs }: { disk: Disk; dataDir: string; writtenMs: number },
  position: number,
  state: State,
): Promise<void> {
  const directory = checkpointDirectory(dataDir)
  await disk.makeDirectory(directory)
  await disk.syncDirectory(dataDir)
  await writeCheckpoint(disk, directory, { ...BEGINNING, position, writtenMs, state: encodeState(state) })
}
