// A pass over a large partition in a process of its own: `large-pass.ts RECORDS KEYS MAP_BYTES` prints what came of it as JSON.

import { randomBytes } from 'node:crypto'
import { stdout } from 'node:process'
import { LoadChunks } from '#bench/kernel/compaction-load.ts'
import { SECRET_BYTES } from '#bytes/chaskey.kernel.ts'
import { batchSizeBytesOf, lastOffsetOf } from '#records/batch.ts'
import { buildOffsetMap } from '#tier/compaction/build-offset-map.ts'
import { Cleaner } from '#tier/compaction/clean.ts'
import { OffsetMap } from '#tier/compaction/offset-map.kernel.ts'

const [records, keys, mapBytes] = process.argv.slice(2).map(Number) as [number, number, number]
const timestampMs = 1_800_000_000_000
const load = { records, keys, recordsPerBatch: 100, valueBytes: 76, timestampMs }

function* upTo(offset: number): Generator<Buffer> {
  for (const chunk of new LoadChunks(load)) {
    let end = 0
    while (end < chunk.length && lastOffsetOf(chunk, end) < offset) end += batchSizeBytesOf(chunk, end)
    yield chunk.subarray(0, end)
    if (end < chunk.length) return
  }
}

const map = new OffsetMap(mapBytes, randomBytes(SECRET_BYTES))
const common = {
  map,
  to: records,
  aborted: null,
  decompressLimitBytes: 1 << 28,
  nextTurn: () => new Promise<void>(resolve => void setImmediate(resolve)),
}
const mapTo = await buildOffsetMap(new LoadChunks(load), { ...common, from: 0 })
const cleaner = new Cleaner({ ...common, mapTo, nowMs: timestampMs, deleteRetentionMs: 0, producers: null })
for (const chunk of upTo(mapTo)) await cleaner.clean(chunk)
const maxResidentBytes = process.resourceUsage().maxRSS * 1024
stdout.write(JSON.stringify({ maxResidentBytes, mapTo, mapSize: map.size, capacity: map.capacity, ...cleaner.totals }))
