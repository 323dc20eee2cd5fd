import { describe, expect, it } from 'vitest'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import {
  decodeGenerationFile,
  decodeOwnerFile,
  encodeGenerationFile,
  encodeOwnerFile,
  type OwnerFile,
} from '#tier/recovery/owner-format.ts'

const OWNER: OwnerFile = {
  ...{
    generation: 3,
    ownerId: 'bDHLR67p0_qvFtvsVrHzqw',
    host: 'vm',
    clusterId: 'c',
    session: 's',
    writtenMs: 1_767_225_600_123,
  },
  ...{ takeoverAfterMs: 10_000, durability: 'bucket', restoreWindowMs: 86_400_000, phase: 'running', archivedTo: 4711 },
}
const GENERATION = {
  generation: 3,
  ownerId: 'bDHLR67p0_qvFtvsVrHzqw',
  host: 'vm',
  attempt: 'a',
  begunMs: 1_767_225_600_123,
}

describe('an object that says who owns a store', () => {
  it('gives back what was put into it, however it is laid out', () => {
    expect(decodeOwnerFile(encodeOwnerFile(OWNER))).toEqual(OWNER)
    expect(decodeGenerationFile('key', encodeGenerationFile(GENERATION))).toEqual(GENERATION)
    const compact = Buffer.from(JSON.stringify(JSON.parse(encodeOwnerFile(OWNER).toString())))
    expect(decodeOwnerFile(compact)).toEqual(OWNER)
  })

  it('is refused with any bit altered that changes what it says', () => {
    const bytes = encodeOwnerFile(OWNER)
    let harmless = 0
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const altered = Buffer.from(bytes)
      altered[bit >> 3]! ^= 1 << (bit & 7)
      try {
        expect(decodeOwnerFile(altered)).toEqual(OWNER)
        harmless++
      } catch (thrown) {
        expect(String(thrown)).toMatch(/owner.json cannot be read: (it is no JSON|its checksum is of something else)/)
      }
    }
    // Of the blanks between the fields.
    expect(harmless).toBeLessThan(bytes.length / 2)
  })

  it('is refused cut off at any length, as something else, and by a version that does not know it', () => {
    const bytes = encodeOwnerFile(OWNER)
    for (let length = 0; length < bytes.length - 1; length++) {
      expect(() => decodeOwnerFile(bytes.subarray(0, length))).toThrow(/it is no JSON|it has no fields/)
    }
    expect(() => decodeOwnerFile(encodeGenerationFile(GENERATION))).toThrow('it is no owner')
    expect(() => decodeGenerationFile('key', encodeOwnerFile(OWNER))).toThrow('it is no generation')
    const newer = { chronik: 'owner', format: 2, more: true }
    const checked = Buffer.from(JSON.stringify(newer))
    const sum = crc32c(checked, 0, checked.length).toString(16).padStart(8, '0')
    const written = Buffer.from(JSON.stringify({ ...newer, crc32c: sum }))
    expect(() => decodeOwnerFile(written)).toThrow('owner.json was written by a newer version (format 2, known is 1)')
  })
})
