import { expect, it } from 'vitest'
import { decodeArchived, encodeArchived } from '#tier/recovery/archive-format.ts'
import { packerOf, unpack } from '#tier/recovery/pack.ts'

const header = { kind: 'checkpoint', generation: 1, from: 9, to: 9, stateTimeMs: 1, writtenMs: 2 } as const

it.each([
  ['gzip', '1f8b'],
  ['zstd', '28b52ffd'],
] as const)('what is archived with %s is small, and what it was', async (codec, magic) => {
  const content = Buffer.alloc(100_000, 'the same again and again ')
  const bytes = await encodeArchived(header, content, packerOf(codec))
  expect(bytes.length).toBeLessThan(2000)
  expect(bytes.toString('hex', 52)).toMatch(new RegExp(`^${magic}`))
  const object = await decodeArchived('key', bytes, unpack)
  expect(object.header).toEqual(header)
  expect(object.content.equals(content)).toBe(true)
})
