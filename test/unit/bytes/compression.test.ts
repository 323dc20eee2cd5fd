import { readFileSync } from 'node:fs'
import zlib from 'node:zlib'
import fc from 'fast-check'
import snappy from 'snappy'
import { describe, expect, it } from 'vitest'
import { ChronikError } from '#base/errors.ts'
import { CODEC_NAMES, type CodecName } from '#bytes/codecs.ts'
import { compress, compressOffThread, decompress, decompressOffThread } from '#bytes/compression.ts'
import { InvalidCompression, OutputTooLarge } from '#bytes/errors.ts'

const LIMIT = 1 << 20

const codecs = CODEC_NAMES.filter(codec => codec !== 'uncompressed')
const text = Buffer.from(Array.from({ length: 4000 }, (_, i) => `record ${i * 7919} of a stream\n`).join(''))
const noise = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (Math.imul(i + 1, 2654435761) >>> 13) & 255))

/** Both ways must give the same, be it bytes or an error. */
async function decompressed(codec: CodecName, bytes: Buffer, maxOutputBytes = LIMIT): Promise<Buffer | ChronikError> {
  const caught = (thrown: unknown) => {
    if (!(thrown instanceof ChronikError)) throw thrown
    return thrown
  }
  let here: Buffer | ChronikError
  try {
    here = decompress(codec, bytes, 0, bytes.length, maxOutputBytes)
  } catch (thrown) {
    here = caught(thrown)
  }
  const there = await decompressOffThread(codec, bytes, 0, bytes.length, maxOutputBytes).catch(caught)
  if (here instanceof ChronikError) expect(there).toMatchObject({ code: here.code, kind: 'invalid' })
  else expect(here.equals(there as Buffer)).toBe(true)
  return here
}

describe.each(CODEC_NAMES)('%s', codec => {
  it('gives back what was compressed, on this thread and off it', async () => {
    for (const input of [Buffer.alloc(0), Buffer.from('x'), text, noise, Buffer.alloc(300_000, 'ab')]) {
      const packed = compress(codec, input)
      expect(await compressOffThread(codec, input)).toEqual(packed)
      expect(await decompressed(codec, packed)).toEqual(input)
    }
  })

  it('reads a range of a larger buffer', async () => {
    const packed = compress(codec, text)
    const around = Buffer.concat([Buffer.alloc(5, 0xff), packed, Buffer.alloc(3, 0xff)])
    expect(decompress(codec, around, 5, 5 + packed.length, LIMIT)).toEqual(text)
    expect(await decompressOffThread(codec, around, 5, 5 + packed.length, LIMIT)).toEqual(text)
  })

  it('gives all that is allowed and refuses one byte more', async () => {
    for (const input of [text, noise, Buffer.alloc(300_000, 'ab')]) {
      const packed = compress(codec, input)
      expect(await decompressed(codec, packed, input.length)).toEqual(input)
      expect(await decompressed(codec, packed, input.length - 1)).toBeInstanceOf(OutputTooLarge)
    }
  })
})

describe.each(codecs)('%s, damaged,', codec => {
  const packed = compress(codec, text)

  it('is refused if it ends early, if something follows it, and if it is empty', async () => {
    for (const cut of [0, 1, 4, 8, 17, packed.length >> 1, packed.length - 1]) {
      expect(await decompressed(codec, packed.subarray(0, cut)), `first ${cut} bytes`).toBeInstanceOf(
        InvalidCompression,
      )
    }
    for (const rest of [Buffer.alloc(1), Buffer.alloc(20), Buffer.from('garbage')]) {
      expect(await decompressed(codec, Buffer.concat([packed, rest]))).toBeInstanceOf(InvalidCompression)
    }
  })

  it('gives bytes within the limit or an error, whatever is changed in it', async () => {
    const small = compress(codec, text.subarray(0, 600))
    const changes = fc.array(fc.tuple(fc.nat(small.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(changes, async list => {
        const bytes = Buffer.from(small)
        for (const [at, value] of list) bytes[at] = value
        const result = await decompressed(codec, bytes, 4096)
        if (Buffer.isBuffer(result)) expect(result.length).toBeLessThanOrEqual(4096)
      }),
      { numRuns: 300 },
    )
  })

  it('is an error if it is nothing but noise', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async bytes => {
        const result = await decompressed(codec, Buffer.from(bytes), 4096)
        // A block of snappy has no magic bytes: noise may be one.
        if (codec !== 'snappy') expect(result).toBeInstanceOf(InvalidCompression)
      }),
      { numRuns: 300 },
    )
  })
})

describe('gzip', () => {
  it('reads members one behind the other, as Java does', async () => {
    const members = Buffer.concat([zlib.gzipSync('one '), zlib.gzipSync('two')])
    expect(String(await decompressed('gzip', members))).toBe('one two')
  })

  it('compresses more at a higher level', () => {
    expect(compress('gzip', text, 9).length).toBeLessThan(compress('gzip', text, 1).length)
  })
})

describe('snappy', () => {
  it('reads a raw block and a stream of several blocks', async () => {
    const block = (bytes: Buffer) => {
      const raw = snappy.compressSync(bytes)
      const size = Buffer.alloc(4)
      size.writeInt32BE(raw.length)
      return Buffer.concat([size, raw])
    }
    const header = Buffer.from('82534e41505059000000000100000001', 'hex')
    const stream = Buffer.concat([header, block(text), block(noise), block(Buffer.alloc(0)), block(text)])
    expect(await decompressed('snappy', stream)).toEqual(Buffer.concat([text, noise, text]))
    expect(await decompressed('snappy', snappy.compressSync(text))).toEqual(text)
    expect(await decompressed('snappy', header)).toEqual(Buffer.alloc(0))
  })

  it('does not take memory for a size that its bytes cannot stand for', async () => {
    const lie = Buffer.from([0x80, 0x80, 0x80, 0x80, 0x04, 0, 97])
    expect(await decompressed('snappy', lie, 2 ** 31)).toMatchObject({
      message: expect.stringContaining('cannot be that large'),
    })
  })
})

describe('lz4', () => {
  const steps = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i >> 9))
  const frames = readFileSync('fixtures/records/lz4-frames.txt', 'utf8').trimEnd().split('\n')

  it.each(frames.map(line => line.split(' ') as [string, string]))(
    'reads what Java reads of liblz4: %s',
    async (name, hex) => {
      const result = await decompressed('lz4', Buffer.from(hex, 'hex'))
      if (name.startsWith('64k-linked')) expect(result).toBeInstanceOf(InvalidCompression)
      else expect(result).toEqual(steps)
    },
  )

  it('refuses a second frame, which Java would not read', async () => {
    const frame = compress('lz4', text)
    expect(await decompressed('lz4', Buffer.concat([frame, frame]))).toBeInstanceOf(InvalidCompression)
  })

  it('refuses a frame whose checksum is not that of its content', async () => {
    const frame = Buffer.from(
      frames.find(line => line.startsWith('64k-independent-content-checksum '))!.split(' ')[1]!,
      'hex',
    )
    frame[frame.length - 1]! ^= 1
    expect(await decompressed('lz4', frame)).toBeInstanceOf(InvalidCompression)
  })

  it('counts a bomb before it goes off', async () => {
    const bomb = compress('lz4', Buffer.alloc(50_000_000))
    const before = process.memoryUsage().rss
    expect(await decompressed('lz4', bomb, 10_000_000)).toBeInstanceOf(OutputTooLarge)
    expect(process.memoryUsage().rss - before).toBeLessThan(20_000_000)
  })
})

describe('zstd', () => {
  it('refuses a second frame', async () => {
    const frame = compress('zstd', text)
    expect(await decompressed('zstd', Buffer.concat([frame, frame]))).toBeInstanceOf(InvalidCompression)
  })

  it('refuses a frame that asks for a window beyond all levels', async () => {
    const frame = Buffer.from('28b52ffd0090010000', 'hex')
    expect(await decompressed('zstd', frame)).toBeInstanceOf(InvalidCompression)
  })

  it('compresses more at a higher level', () => {
    expect(compress('zstd', text, 19).length).toBeLessThan(compress('zstd', text, -5).length)
  })
})
