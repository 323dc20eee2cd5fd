import { partitionOfKey } from '#bytes/murmur2.ts'
import { measure } from './kernel-bench.ts'

for (const sizeBytes of [8, 36, 200]) {
  const key = Buffer.alloc(sizeBytes, 0x61)
  let sum = 0
  measure(`partition of a key of ${sizeBytes} B`, { items: 1000, bytes: 1000 * sizeBytes }, () => {
    for (let i = 0; i < 1000; i++) {
      key[0] = i
      sum += partitionOfKey(key, 12)
    }
  })
  if (sum === 0) throw new Error('all keys in one partition')
}
