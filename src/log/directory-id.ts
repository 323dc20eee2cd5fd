import { ChronikError, systemCodeOf, writtenByNewer } from '#base/errors.ts'
import { hexadecimal } from '#base/numbers.ts'
import type { Disk, Random } from '#base/ports.ts'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import { readWholeFile, writeWholeFile } from '#commit/checkpoint-files.ts'

// What tells a data directory from every other: made with it, and gone with it. A line of text, which docs/formats/owner.md shows.

const NAME = 'directory-id'
const FORMAT = 1
const LINE = /^chronik-directory (\d+) ([\w-]{22}) [\da-f]{8}\n$/

export async function directoryId({ disk, random }: { disk: Disk; random: Random }, dataDir: string): Promise<string> {
  const path = `${dataDir}/${NAME}`
  let text: string
  try {
    text = (await readWholeFile(disk, path)).toString()
  } catch (thrown) {
    if (systemCodeOf(thrown) !== 'ENOENT') throw thrown
    const id = random.bytes(16).toString('base64url')
    await writeWholeFile(disk, dataDir, NAME, Buffer.from(lineOf(FORMAT, id)))
    return id
  }
  const [, format, id = ''] = LINE.exec(text) ?? []
  if (text !== lineOf(Number(format), id)) {
    throw new ChronikError('DIRECTORY_ID_DAMAGED', 'corrupt', `${path} is damaged: put it back from a copy`)
  }
  if (Number(format) === FORMAT) return id
  throw writtenByNewer('DIRECTORY_ID_TOO_NEW', path, { found: Number(format), known: FORMAT })
}

function lineOf(format: number, id: string): string {
  const checked = Buffer.from(`chronik-directory ${format} ${id}`)
  return `${checked} ${hexadecimal(crc32c(checked, 0, checked.length))}\n`
}
