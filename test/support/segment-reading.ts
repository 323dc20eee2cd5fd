import { BLOCK_BYTES, checkFence, damagedSegment, readDirectory, readTrailer } from '#segments/segment-format.ts'
import { type PartIndex, readPartIndex } from '#segments/segment-index.ts'
import { BodyWalk, openBody, walkBody } from '#segments/segment-walk.kernel.ts'

export interface ReadPart {
  readonly index: PartIndex
  readonly body: Buffer
  readonly batches: readonly number[][]
}

/** Reads all of an object as somebody does who trusts nothing in it. `sizeBytes` is what the store says. */
export function readWholeSegment(bytes: Buffer, key: string, sizeBytes = bytes.length): ReadPart[] {
  const end = bytes.subarray(Math.max(0, bytes.length - 100))
  const { directoryPlace } = readTrailer(end, { key, sizeBytes })
  const directory = readDirectory(bytes.subarray(directoryPlace), { key, sizeBytes })
  checkFence(bytes, directory.fencePlace, key, directory)
  return directory.parts.map(part => {
    const index = readPartIndex(bytes.subarray(part.indexPlace), key, part)
    const body = bytes.subarray(part.place, part.place + part.sizeBytes)
    for (let block = 0; block < index.blockCount; block++) {
      const isIntact = index.blockIsIntact(block, body, block * BLOCK_BYTES)
      if (!isIntact) throw damagedSegment(key, part.place + block * BLOCK_BYTES, 'the checksum of a block is wrong')
    }
    const walk = new BodyWalk(key, part)
    const batches: number[][] = []
    openBody(walk, body, 0, body.length, 0)
    while (walkBody(walk))
      batches.push([walk.at, walk.sizeBytes, walk.baseOffset, walk.lastOffset, walk.maxTimestampMs])
    return { index, body, batches }
  })
}
