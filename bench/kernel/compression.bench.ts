import { CODEC_NAMES } from '#bytes/codecs.ts'
import { compress, decompress } from '#bytes/compression.ts'
import { measure } from './kernel-bench.ts'

// Where the sizes come from up to which `inspectBatch` decompresses, and compresses, on the calling thread: 0.3 ms.

let text = ''
for (let i = 0; text.length < 1 << 20; i++) {
  text += `{"id":${i},"user":"u${(i * 7919) % 1000}","level":"info","message":"request ${i % 17} handled"}`
}

for (const codec of CODEC_NAMES) {
  if (codec === 'uncompressed') continue
  for (const sizeBytes of [4 << 10, 32 << 10, 256 << 10, 1 << 20]) {
    const input = Buffer.from(text.slice(0, sizeBytes))
    const packed = compress(codec, input)
    const work = { items: 1, bytes: sizeBytes }
    measure(`${codec} of ${sizeBytes >> 10} KiB`, work, () => compress(codec, input))
    measure(`un-${codec} to ${sizeBytes >> 10} KiB`, work, () => decompress(codec, packed, 0, packed.length, 1 << 21))
  }
}
