import { crc32c, crc32cHere } from '#bytes/crc32c.kernel.ts'
import { measure } from './kernel-bench.ts'

// Where NATIVE_FROM_BYTES comes from: the size at which both columns cost the same.

for (const size of [64, 128, 160, 192, 256, 1024, 16384, 1048576]) {
  const bytes = Buffer.alloc(size + 1, 0xa5)
  const work = { items: 1, bytes: size }
  measure(`crc32c ${size} B, here`, work, () => {
    crc32cHere(bytes, 1, size + 1)
  })
  measure(`crc32c ${size} B, as chosen`, work, () => {
    crc32c(bytes, 1, size + 1)
  })
}
