import { ChronikError, systemCodeOf } from '#base/errors.ts'
import type { Disk, Random } from '#base/ports.ts'
import { readWholeFile, writeWholeFile } from '#commit/checkpoint-files.ts'

const NAME = 'directory-id'
const ID = /^[\w-]{22}\n$/

/** What tells this data directory from every other: made with it, and gone with it. */
export async function directoryId({ disk, random }: { disk: Disk; random: Random }, dataDir: string): Promise<string> {
  const path = `${dataDir}/${NAME}`
  let text: string
  try {
    text = (await readWholeFile(disk, path)).toString()
  } catch (thrown) {
    if (systemCodeOf(thrown) !== 'ENOENT') throw thrown
    text = `${random.bytes(16).toString('base64url')}\n`
    await writeWholeFile(disk, dataDir, NAME, Buffer.from(text))
  }
  if (ID.test(text)) return text.trim()
  throw new ChronikError('DIRECTORY_ID_DAMAGED', 'corrupt', `${path} is damaged: put it back from a copy`)
}
