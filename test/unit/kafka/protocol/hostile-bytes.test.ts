import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteReader, MalformedBytes } from '#bytes/cursor.ts'
import { decodeMessage } from '#kafka/protocol/codec.ts'
import { apis, decodeRequest, decodeRequestHeader, type Message } from '#kafka/protocol/protocol.ts'
import { array, bytes, int8, request, string } from '#kafka/protocol/schema.ts'
import { readGolden } from './golden-values.ts'

const maxVersions = new Map([...apis.values()].map(({ request }) => [request.name, request.versions.max]))
const requests = readGolden().filter(
  ({ name, version, variant }) => variant === 'full' && version <= (maxVersions.get(name) ?? -1),
)

/** As the broker does it: the header says which schema reads the rest. */
function decodeFrame(frame: Buffer): void {
  const reader = new ByteReader(frame)
  const { apiKey, apiVersion } = decodeRequestHeader(reader)
  const api = apis.get(apiKey)
  if (api !== undefined) decodeRequest(api.request, apiVersion, reader)
}

function malformed(work: () => void): boolean {
  try {
    work()
    return false
  } catch (error) {
    if (error instanceof MalformedBytes) return true
    throw error
  }
}

describe('a request of Apache Kafka', () => {
  it('that is cut short anywhere is malformed', () => {
    let cuts = 0
    for (const { name, version, hex } of requests) {
      const frame = Buffer.from(hex, 'hex')
      for (let length = 0; length < frame.length; length++) {
        const cut = malformed(() => decodeFrame(frame.subarray(0, length)))
        if (!cut) throw new Error(`${name} v${version}, cut to ${length} bytes, was decoded`)
        cuts++
      }
    }
    expect(cuts).toBeGreaterThan(20_000)
  })

  it('with damaged bytes is read or malformed, and nothing else happens', () => {
    let refused = 0
    const damages = fc.record({
      line: fc.constantFrom(...requests),
      // The header stays, so that the damage is in the body.
      damage: fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
    })
    const property = fc.property(damages, ({ line, damage }) => {
      const frame = Buffer.from(line.hex, 'hex')
      for (const [at, byte] of damage) frame[8 + (at % (frame.length - 8))] = byte
      if (malformed(() => decodeFrame(frame))) refused++
    })
    fc.assert(property, { seed: 20261121, numRuns: 5000 })
    expect(refused).toBeGreaterThan(1000)
  })
})

describe('a length that the bytes do not bear out', () => {
  const holder = request(
    { key: 99, name: 'Sample', versions: '0-1', flexibleFrom: 1 },
    { numbers: array(int8()), names: array(string()), structs: array({ inner: array({ data: bytes() }) }) },
  )

  function refuses(of: Message, version: number, hex: string): void {
    const before = process.memoryUsage()
    expect(() => decodeMessage(of, version, new ByteReader(Buffer.from(hex, 'hex')))).toThrow(MalformedBytes)
    const after = process.memoryUsage()
    expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(4e6)
  }

  it.each([
    ['an array of numbers', '7fffffff01', 'ffffffff0f01'],
    ['an array of strings', '00000000' + '7fffffff01', '01' + 'ffffffff0f01'],
    ['a string', '00000000' + '00000001' + '7fff01', '01' + '02' + 'ffffffff0f01'],
    ['an array within an array', '0000000000000000' + '00000001' + '7fffffff01', '0101' + '02' + 'ffffffff0f01'],
    ['bytes', '0000000000000000' + '0000000100000001' + '7fffffff01', '0101' + '0202' + 'ffffffff0f01'],
    ['tags', '7fffffff', '010101' + 'ffffffff0f01'],
    ['the size of a tag', '7fffffff', '010101' + '01' + '05' + 'ffffffff0f01'],
  ])('of %s is refused without being allocated', (_, plain, flexible) => {
    refuses(holder, 0, plain)
    refuses(holder, 1, flexible)
  })

  it('of an array is refused before the first element is read', () => {
    const decode = (version: number, hex: string) =>
      decodeMessage(holder, version, new ByteReader(Buffer.from(hex, 'hex')))
    expect(() => decode(0, '7fffffff01')).toThrow('an array of 2147483647 elements where 1 bytes are left')
    expect(() => decode(1, 'ffffffff0f01')).toThrow('an array of 4294967294 elements where 1 bytes are left')
  })

  it('is a negative one other than -1 too', () => {
    refuses(holder, 0, 'fffffffe')
    refuses(holder, 0, '00000000' + '00000001' + '8000')
    refuses(holder, 1, '8080808010')
  })

  it('is refused where many small elements would grow large', () => {
    const small = request(
      { key: 99, name: 'Sample', versions: '0', flexibleFrom: 0 },
      { rows: array({ ids: array(int8()) }) },
    )
    const row = Buffer.from('0200' + '00', 'hex')
    const frame = (rows: number) => {
      const head = Buffer.from([0x80 | ((rows + 1) & 127), 0x80 | (((rows + 1) >> 7) & 127), (rows + 1) >> 14])
      return new ByteReader(Buffer.concat([head, ...Array<Buffer>(rows).fill(row), Buffer.from([0])]))
    }
    const maxElements = 100_000
    const rows = maxElements / 2
    expect(decodeRequest(small, 0, frame(rows), maxElements).rows).toHaveLength(rows)
    expect(() => decodeRequest(small, 0, frame(rows + 1), maxElements)).toThrow('more array elements')
  })
})
