import { ChronikError } from '#base/errors.ts'
import { checkpointDirectory, walDirectory } from '#log/log.ts'
import { systemDisk } from '#system/disk.ts'

/** Refuses a directory that no broker has worked on: most likely it is the wrong one. Leaves nothing in it. */
export async function requireLog(dataDir: string): Promise<void> {
  for (const directory of [walDirectory(dataDir), checkpointDirectory(dataDir)]) {
    if ((await systemDisk.list(directory)).length > 0) return
  }
  const message = `there is no log in ${dataDir}: name the data directory that a broker was started with`
  throw new ChronikError('NO_LOG', 'invalid', message)
}
