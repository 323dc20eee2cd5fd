import { describe, expect, it } from 'vitest'
import { murmur2, partitionOfKey } from '#bytes/murmur2.ts'

describe('murmur2', () => {
  it('agrees with Kafka on the vectors of its own tests', () => {
    // Kafka: UtilsTest.testMurmur2
    expect(murmur2(Buffer.from('21'))).toBe(-973932308)
    expect(murmur2(Buffer.from('foobar'))).toBe(-790332482)
    expect(murmur2(Buffer.from('a-little-bit-long-string'))).toBe(-985981536)
    expect(murmur2(Buffer.from('a-little-bit-longer-string'))).toBe(-1486304829)
    expect(murmur2(Buffer.from('lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8'))).toBe(-58897971)
    expect(murmur2(Buffer.from('abc'))).toBe(479470107)
  })

  it('gives a partition for keys whose hash is negative', () => {
    expect(partitionOfKey(Buffer.from('foobar'), 12)).toBe((-790332482 & 0x7fffffff) % 12)
  })
})
