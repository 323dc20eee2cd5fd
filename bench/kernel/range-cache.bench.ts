import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { BufferPool } from '#bytes/buffer-pool.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import { CACHE_LIMITS, openRangeCache, type RangeCache } from '#object-store/range-cache.ts'
import { createCacheMetrics } from '#observe/cache-metrics.ts'
import { systemClock } from '#system/clock.ts'
import { systemDisk } from '#system/disk.ts'

// What is in the cache of the object store is read as fast as a file of the log, or nearly; what is not, as fast as the store
// gives it, at most one request a megabyte. node bench/kernel/range-cache.bench.ts [DIRECTORY on the disk to measure]

const MIB = 2 ** 20
const OBJECT_BYTES = 64 * MIB - 1
const INDEX_BYTES = 60_000
const OBJECTS = 8
const ROUNDS = 9
/** Of a store in the same region. */
const LATENCY_MS = 20
const BYTES_PER_MS = 80 * 1000

const directory = mkdtempSync(join(process.argv[2] ?? '.', 'range-cache-'))
const patient = new AbortController().signal
const metrics = createCacheMetrics()
const content = Buffer.alloc(OBJECT_BYTES, 'a record of some kind, ')
let store = { latencyMs: 0, bytesPerMs: Number.POSITIVE_INFINITY }

/** An answer takes the latency and what its bytes take on one connection. */
const memoryStore: Pick<ObjectStore, 'place' | 'getRange'> = {
  place: 'memory',
  async getRange(_key, from, length) {
    const bytes = Buffer.from(content.subarray(from, from + length))
    const { latencyMs, bytesPerMs } = store
    if (latencyMs > 0) await new Promise(resolve => setTimeout(resolve, latencyMs + bytes.length / bytesPerMs))
    return bytes
  },
}

function open(name: string, limitBytes: number): RangeCache {
  return openRangeCache({
    disk: systemDisk,
    clock: systemClock,
    store: memoryStore as ObjectStore,
    directory: join(directory, name),
    limitBytes,
    limits: CACHE_LIMITS,
    buffers,
    metrics,
    report: (level, message) => console.log(level, message),
  })
}

const buffers = new BufferPool(64 * MIB)

/** Calls for each range of all objects, one behind the other; returns how many bytes these are. */
async function through(pieceBytes: number, shift: number, read: (key: string, at: number) => Promise<void>) {
  let sizeBytes = 0
  for (let object = 0; object < OBJECTS; object++) {
    for (let at = shift; at + pieceBytes <= OBJECT_BYTES; at += pieceBytes) {
      await read(`object-${object}`, at)
      sizeBytes += pieceBytes
    }
  }
  return sizeBytes
}

/** The longest turn of the event loop is that of the round with the shortest: other load on the machine only adds. */
const best = new Map<string, { speed: number; turnMs: number }>()
async function timed(name: string, run: () => Promise<number>): Promise<void> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const beganMs = performance.now()
  const speed = (await run()) / (performance.now() - beganMs) / 1e6
  delay.disable()
  const known = best.get(name) ?? { speed: 0, turnMs: Number.POSITIVE_INFINITY }
  best.set(name, { speed: Math.max(known.speed, speed), turnMs: Math.min(known.turnMs, delay.max / 1e6) })
}

const file = `${directory}/file`
await systemDisk.createFilled(file, OBJECT_BYTES * OBJECTS)
const plain = await systemDisk.open(file, 'read')
const cache = open('warm', 2 ** 30)
for (let object = 0; object < OBJECTS; object++) await cache.keep(`object-${object}`, [content])

function readFile(pieceBytes: number): Promise<number> {
  let at = 0
  return through(pieceBytes, 0, async () => {
    const memory = buffers.take(pieceBytes)
    await plain.read(memory, 0, pieceBytes, at)
    at += pieceBytes
    buffers.give(memory)
  })
}

function readCache(pieceBytes: number, shift: number, givesBack: boolean): Promise<number> {
  return through(pieceBytes, shift, async (key, at) => {
    const read = await cache.readRange(key, at, pieceBytes, patient)
    if (givesBack) read.release()
  })
}

for (let round = 0; round < ROUNDS; round++) {
  await timed('a file, 1 MiB at a time', () => readFile(MIB))
  await timed('a file, 8 MiB at a time', () => readFile(8 * MIB))
  await timed('the cache, 1 MiB at a time', () => readCache(MIB, 0, true))
  await timed('the cache, 8 MiB at a time', () => readCache(8 * MIB, 0, true))
  await timed('the cache, 1 MiB across blocks', () => readCache(MIB, 12_345, true))
  await timed('the cache, 8 MiB, new memory each time', () => readCache(8 * MIB, 0, false))
  await timed('the cache, 64 KiB at a time', () => readCache(65_536, 0, true))
  await timed('the cache, 4 readers, 1 MiB at a time', async () => {
    const readers = await Promise.all([0, 1, 2, 3].map(() => readCache(MIB, 0, true)))
    return readers.reduce((sum, sizeBytes) => sum + sizeBytes)
  })
}
await cache.close()

store = { latencyMs: LATENCY_MS, bytesPerMs: BYTES_PER_MS }
const cold = open('cold', 2 ** 30)
await timed('written through, into new files', async () => {
  for (let object = 0; object < OBJECTS; object++) await cold.keep(`kept-${object}`, [content])
  return OBJECTS * OBJECT_BYTES
})
const before = metrics.cacheFetches.value
const beganMs = performance.now()
const coldBytes = await through(MIB, 0, async (key, at) => {
  // As a segment is read: its index first, which is at its end.
  if (at === 0) await cold.readRange(key, OBJECT_BYTES - INDEX_BYTES, INDEX_BYTES, patient)
  const read = await cold.readRange(key, at, MIB, patient)
  read.release()
})
const seconds = (performance.now() - beganMs) / 1000
const requests = (metrics.cacheFetches.value - before) / (coldBytes / MIB)
const oneConnection = (8 * MIB) / (LATENCY_MS + (8 * MIB) / BYTES_PER_MS) / 1000
for (const [name, { speed, turnMs }] of best) {
  console.log(
    `${name.padEnd(44)} ${speed.toFixed(2).padStart(6)} GB/s, longest turn ${turnMs.toFixed(1).padStart(5)} ms`,
  )
}
console.log(
  `cold, ${LATENCY_MS} ms and ${BYTES_PER_MS / 1000} MB/s a connection: ${(coldBytes / seconds / 1e6).toFixed(0)} MB/s, ` +
    `${requests.toFixed(2)} requests a MiB (8 MiB after 8 MiB: ${oneConnection.toFixed(0)} MB/s)`,
)
const reopenedMs = performance.now()
await cold.close()
const again = open('cold', 2 ** 30)
await again.getRange('object-0', 0, MIB, patient)
console.log(
  `closed, opened again with ${again.blocks} blocks, and read: ${(performance.now() - reopenedMs).toFixed(0)} ms`,
)
await again.close()
await plain.close()
rmSync(directory, { recursive: true })
