import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesOf, checksumOf, collect, sliceOf, streamOf } from '#object-store/transfer.ts'

const text = (bytes: string) => Buffer.from(bytes)
const somePieces = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 8 })

async function contentOf(pieces: readonly Uint8Array[]): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of streamOf(pieces)) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

describe('pieces on their way', () => {
  it('are sent one behind the other, the large ones in chunks', async () => {
    const large = Buffer.alloc(300_000, 'large ')
    const pieces = [text('one'), text(''), large, text('two')]
    const sizes: number[] = []
    for await (const chunk of streamOf(pieces)) sizes.push((chunk as Buffer).length)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(128 * 1024)
    expect((await contentOf(pieces)).equals(Buffer.concat(pieces))).toBe(true)
    expect((await contentOf([])).length).toBe(0)
  })

  it('are cut where one wants', () => {
    const cut = fc.property(somePieces, fc.nat(200), fc.nat(200), (pieces, one, other) => {
      const [from, to] = [Math.min(one, other), Math.max(one, other)]
      expect(Buffer.concat(sliceOf(pieces, from, to))).toEqual(Buffer.concat(pieces).subarray(from, to))
    })
    fc.assert(cut)
  })

  it('have one checksum, however they are cut', () => {
    expect(checksumOf([text('123456789')])).toBe(Buffer.from('e3069283', 'hex').toString('base64'))
    expect(checksumOf([])).toBe('AAAAAA==')
    fc.assert(
      fc.property(somePieces, pieces => {
        expect(checksumOf(pieces)).toBe(checksumOf([Buffer.concat(pieces)]))
        expect(bytesOf(pieces)).toBe(Buffer.concat(pieces).length)
      }),
    )
  })
})

describe('what comes', () => {
  it('is gathered into one buffer', async () => {
    const body = Readable.from([text('one '), text('two')], { objectMode: false })
    expect((await collect(body, 7, 'it')).toString()).toBe('one two')
    expect((await collect(Readable.from([], { objectMode: false }), 0, 'it')).length).toBe(0)
  })

  it.each([4, 6, 0])('is refused if it is not of the %i bytes that were announced', async sizeBytes => {
    const body = Readable.from([text('one'), text('tw')], { objectMode: false })
    await expect(collect(body, sizeBytes, 'it')).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(/^it: [35] bytes came instead of/),
    })
    expect(body.destroyed).toBe(true)
  })

  it('is refused if it breaks off, with or without an error', async () => {
    const broken = (error?: Error) =>
      new Readable({
        read() {
          this.push(text('one'))
          this.destroy(error)
        },
      })
    await expect(collect(broken(), 7, 'it')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(collect(broken(new Error('reset')), 7, 'it')).rejects.toThrow('reset')
  })
})
