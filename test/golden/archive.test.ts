import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { decodeState } from '#core/checkpoint.ts'
import { unpack } from '#test/support/recovery-lab.ts'
import { ARCHIVE_HEADER_BYTES, decodeArchived, encodeArchived, readGroups } from '#tier/recovery/archive-format.ts'
import {
  decodeGenerationFile,
  decodeOwnerFile,
  encodeGenerationFile,
  encodeOwnerFile,
} from '#tier/recovery/owner-format.ts'
import { Replay } from '#tier/recovery/replay.ts'

// What an owner left in a store: objects of the first version of each format, as they were written.

const FOLDER = fileURLToPath(new URL('../../fixtures/formats/archive-v1/', import.meta.url))
const bytesOf = async (name: string): Promise<Buffer> =>
  Buffer.from((await readFile(`${FOLDER}${name}`, 'utf8')).replaceAll('\n', ''), 'hex')

it('an archive that was written is read, and written again the same', async () => {
  const [checkpoint, metalog] = [await bytesOf('checkpoint.hex'), await bytesOf('metalog.hex')]
  const first = await decodeArchived('checkpoint', checkpoint, unpack)
  const second = await decodeArchived('metalog', metalog, unpack)
  expect(first.header).toMatchObject({ kind: 'checkpoint', generation: 1, from: first.header.to })
  expect(second.header).toMatchObject({ kind: 'metalog', generation: 1, from: first.header.to })
  const replay = new Replay(decodeState(first.content), first.header.to, null)
  for (const group of readGroups('metalog', second)) replay.add(group)
  expect(replay.position).toBe(second.header.to)
  expect(replay.state.topics.get('orders')?.partitions.map(({ nextOffset }) => nextOffset)).toEqual([3, 0])
  for (const [bytes, { header, content }] of [
    [checkpoint, first],
    [metalog, second],
  ] as const) {
    const packer = { codec: 'gzip', pack: async () => bytes.subarray(ARCHIVE_HEADER_BYTES) } as const
    expect((await encodeArchived(header, content, packer)).equals(bytes)).toBe(true)
  }
})

it('the objects that name an owner are read, and written again the same', async () => {
  const owner = await readFile(`${FOLDER}owner.json`)
  const generation = await readFile(`${FOLDER}generation.json`)
  expect(encodeOwnerFile(decodeOwnerFile(owner)).toString()).toBe(owner.toString())
  expect(encodeGenerationFile(decodeGenerationFile('key', generation)).toString()).toBe(generation.toString())
})
