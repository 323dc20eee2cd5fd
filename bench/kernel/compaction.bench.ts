import { hash, randomBytes } from 'node:crypto'
import { ChaskeySecret, chaskey, SECRET_BYTES } from '#bytes/chaskey.kernel.ts'
import { CODEC_NAMES, type CodecName } from '#bytes/codecs.ts'
import { BATCH_HEADER_BYTES, setBaseOffset } from '#records/batch.ts'
import { buildBatch } from '#records/build.ts'
import { buildOffsetMap } from '#tier/compaction/build-offset-map.ts'
import { Cleaner } from '#tier/compaction/clean.ts'
import { NOTED_KEYS, OffsetMap } from '#tier/compaction/offset-map.kernel.ts'
import {
  copyShifted,
  Judgement,
  judgeRecords,
  KeyScan,
  MAX_GROWTH_BYTES,
  mapKeys,
} from '#tier/compaction/records.kernel.ts'
import { cpuMs, LoadChunks } from './compaction-load.ts'
import { measure } from './kernel-bench.ts'

// Compaction: its kernels, an item being a key or a record, and whole passes over what a partition has, as MB of input for each
// second of one core.

const MAP_BYTES = 64 << 20
const DAY_MS = 86_400_000
const ROUNDS = 3
const timestampMs = 1_800_000_000_000

const newMap = () => new OffsetMap(MAP_BYTES, randomBytes(SECRET_BYTES))

function benchHash(sizeBytes: number): void {
  const secret = new ChaskeySecret(randomBytes(SECRET_BYTES))
  const bytes = randomBytes(1000 + sizeBytes)
  const into = new Int32Array(4)
  measure(`hash ${sizeBytes} B`, { items: 1000, bytes: 1000 * sizeBytes }, () => {
    for (let at = 0; at < 1000; at++) chaskey(secret, bytes, at, at + sizeBytes, into, 0)
  })
}

/** What Kafka knows keys by, in native code. */
function benchMd5(sizeBytes: number): void {
  const bytes = randomBytes(sizeBytes)
  measure(`MD5 of node:crypto, ${sizeBytes} B`, { items: 1, bytes: sizeBytes }, () => {
    hash('md5', bytes, 'buffer')
  })
}

function benchMap(count: number, keyBytes: number): void {
  const map = newMap()
  const keys = Buffer.alloc(count * keyBytes)
  for (let i = 0; i < count; i++) keys.write(`${(i * 7919) % count}`.padStart(keyBytes), i * keyBytes)
  let at = 0
  const noteSome = () => {
    for (let i = 0; i < NOTED_KEYS; i++) {
      map.note(i, keys, at, at + keyBytes)
      at = at + keyBytes < keys.length ? at + keyBytes : 0
    }
    map.fetch(NOTED_KEYS)
  }
  const name = `${count} keys of ${keyBytes} B`
  const work = { items: NOTED_KEYS, bytes: NOTED_KEYS * keyBytes }
  measure(`put, ${name}`, work, () => {
    noteSome()
    for (let i = 0; i < NOTED_KEYS; i++) map.put(i, at)
  })
  measure(`get, ${name}`, work, () => {
    noteSome()
    for (let i = 0; i < NOTED_KEYS; i++) map.get(i)
  })
}

function benchRecords(): void {
  const count = 100
  const keyOf = (i: number) => Buffer.from(`key-${i}`.padEnd(16, '.'))
  const value = Buffer.alloc(76)
  const records = Array.from({ length: count }, (_, i) => ({ timestampMs: timestampMs + i, key: keyOf(i), value }))
  const bytes = buildBatch(records).subarray(BATCH_HEADER_BYTES)
  const work = { items: count, bytes: bytes.length }
  const map = newMap()
  const scan = new KeyScan()
  measure('map the keys of records of 100 B', work, () => {
    scan.begin(0)
    mapKeys(map, bytes, bytes.length, count, scan)
  })
  const judgement = new Judgement()
  judgement.latestOffset = count
  measure('judge records of 100 B', work, () => {
    judgement.begin(0)
    judgeRecords(map, bytes, bytes.length, count, judgement)
  })
  const into = Buffer.alloc(bytes.length + count * MAX_GROWTH_BYTES)
  measure('copy records of 100 B with other times', work, () => {
    copyShifted(bytes, 0, bytes.length, into, 0, 1, -DAY_MS)
  })
}

interface Source extends Iterable<Buffer> {
  readonly bytes: number
  readonly spentMs: number
}

/** A few batches, compressed, over and over. */
class CompressedChunks implements Source {
  readonly #batches: Buffer[]
  readonly #times: number
  readonly bytes: number
  readonly spentMs = 0

  constructor(codec: CodecName, distinct: number, times: number) {
    this.#batches = Array.from({ length: distinct }, (_, batch) => {
      const records = Array.from({ length: 100 }, (_, i) => {
        const key = batch * 50 + i
        return { timestampMs, key: Buffer.from(`key-${key}`), value: Buffer.from(`{"id":${key},"name":"${key * 77}"}`.repeat(3)) } // biome-ignore format: a record
      })
      return buildBatch(records, { codec })
    })
    this.#times = times
    this.bytes = times * this.#batches.reduce((sum, batch) => sum + batch.length, 0)
  }

  *[Symbol.iterator](): Generator<Buffer> {
    let offset = 0
    for (let time = 0; time < this.#times; time++) {
      for (const batch of this.#batches) {
        setBaseOffset(batch, 0, offset)
        offset += 100
        yield batch
      }
    }
  }
}

async function benchPass(name: string, to: number, open: () => Source): Promise<void> {
  const map = newMap()
  let best = { mapMs: Number.POSITIVE_INFINITY, cleanMs: Number.POSITIVE_INFINITY }
  let totals = new Cleaner(optionsOf(map, to)).totals
  let bytes = 0
  for (let round = 0; round < ROUNDS; round++) {
    map.clear(randomBytes(SECRET_BYTES))
    const [dirty, all] = [open(), open()]
    const startMs = cpuMs()
    await buildOffsetMap(dirty, { ...optionsOf(map, to), from: 0 })
    const mappedMs = cpuMs()
    const cleaner = new Cleaner(optionsOf(map, to))
    for (const chunk of all) await cleaner.clean(chunk)
    const mapMs = mappedMs - startMs - dirty.spentMs
    const cleanMs = cpuMs() - mappedMs - all.spentMs
    if (mapMs + cleanMs < best.mapMs + best.cleanMs) best = { mapMs, cleanMs }
    totals = cleaner.totals
    bytes = all.bytes
  }
  const rate = (ms: number) => `${(bytes / 1000 / ms).toFixed(0).padStart(5)} MB/s`
  const kept = `${((100 * totals.keptRecords) / totals.records).toFixed(0).padStart(3)} % kept`
  const rss = `${(process.memoryUsage.rss() / 1e6).toFixed(0)} MB resident`
  console.log(
    `${name.padEnd(52)} pass ${rate(best.mapMs + best.cleanMs)}, map ${rate(best.mapMs)}, clean ${rate(best.cleanMs)}, ${kept}, ${rss}`,
  )
}

function optionsOf(map: OffsetMap, to: number) {
  const times = { nowMs: timestampMs, deleteRetentionMs: DAY_MS }
  const limits = {
    decompressLimitBytes: 1 << 28,
    nextTurn: () => new Promise<void>(resolve => void setImmediate(resolve)),
  }
  return { map, mapTo: to, to, aborted: null, producers: null, ...times, ...limits }
}

for (const sizeBytes of [8, 16, 36, 100, 1000]) benchHash(sizeBytes)
benchMd5(16)
benchMap(1000, 16)
benchMap(1_000_000, 16)
benchRecords()
for (const [name, records, keys, recordsPerBatch, valueBytes] of [
  ['10M records of 100 B, 1M keys', 10_000_000, 1_000_000, 100, 76],
  ['2M records of 100 B, 2^40 keys: nearly all stay', 2_000_000, 2 ** 40, 100, 76],
  ['2M records of 100 B, 10k keys: nearly all go', 2_000_000, 10_000, 100, 76],
  ['500k records of 1 kB, 1M keys', 500_000, 1_000_000, 100, 1000],
  ['500k batches of 1 record of 100 B, 1M keys', 500_000, 1_000_000, 1, 76],
] as const) {
  const load = { records, keys, recordsPerBatch, valueBytes, timestampMs }
  await benchPass(name, records, () => new LoadChunks(load))
}
for (const codec of CODEC_NAMES) {
  await benchPass(`${codec}, half of each batch goes`, 1_000_000, () => new CompressedChunks(codec, 100, 100))
}
