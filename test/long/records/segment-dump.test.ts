import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { CODEC_NAMES } from '#bytes/codecs.ts'
import {
  attributesOf,
  baseOffsetOf,
  crcOf,
  isControl,
  isTransactional,
  lastOffsetOf,
  leaderEpochOf,
  maxTimestampOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
} from '#records/batch.ts'
import { buildBatch } from '#records/build.ts'
import { recordsOf } from '#records/read.ts'
import { missingForKafka, runKafkaTool } from '#test/support/kafka-peer.ts'
import {
  type FixturePart,
  OWN_SEGMENT,
  SHARED_SEGMENT,
  sealedBytes,
  servedBytes,
} from '#test/support/segment-fixtures.ts'

// Kafka's own kafka-dump-log.sh reads the objects that we seal as the .log files that their bodies are.

const DUMP = 'org.apache.kafka.tools.DumpLogSegments'
const LIMIT_BYTES = 1 << 20
const LARGE_BATCHES = 4000

/** Over many pieces of memory: batches lie across their ends. */
const LARGE_SEGMENT: FixturePart[] = [
  {
    ...OWN_SEGMENT[0]!,
    baseOffset: 0,
    nextOffset: 2 * LARGE_BATCHES,
    batches: Array.from({ length: LARGE_BATCHES }, (_, i) => {
      const values = [`${i}-`.repeat(300 + (i % 700)), `${i}`]
      const records = values.map(value => ({ timestampMs: 1_800_000_000_000 + i, value: Buffer.from(value) }))
      return {
        baseOffset: 2 * i,
        leaderEpoch: 5,
        bytes: buildBatch(records, { codec: CODEC_NAMES[i % CODEC_NAMES.length]! }),
      }
    }),
  },
]

/** What the tool has to say of a batch and of each of its records. */
function linesOf(batch: Buffer, position: number): unknown[] {
  const attributes = attributesOf(batch, 0)
  const line = {
    baseOffset: baseOffsetOf(batch, 0),
    lastOffset: lastOffsetOf(batch, 0),
    count: recordCountOf(batch, 0),
    partitionLeaderEpoch: leaderEpochOf(batch, 0),
    producerId: producerIdOf(batch, 0),
    producerEpoch: producerEpochOf(batch, 0),
    isTransactional: isTransactional(attributes),
    isControl: isControl(attributes),
    position,
    CreateTime: maxTimestampOf(batch, 0),
    size: batch.length,
    crc: crcOf(batch, 0),
    isvalid: true,
  }
  const records = [...recordsOf(batch, 0, LIMIT_BYTES)].map(({ offset, timestampMs, key, value }) => {
    if (!isControl(attributes)) return { offset, CreateTime: timestampMs, payload: value?.toString() ?? null }
    return { offset, CreateTime: timestampMs, endTxnMarker: key!.readInt16BE(2) === 1 ? 'COMMIT' : 'ABORT' }
  })
  return [line, ...records]
}

/** The fields of a line that are asked for, as they are printed: a name, a colon and a value. */
function fieldsOf(line: string, names: readonly string[]): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const name of names) {
    const text = new RegExp(`(?:^|[ |])${name}: (\\S+)`).exec(line)?.[1]
    if (text !== undefined)
      fields[name] = /^-?\d+$/.test(text) ? Number(text) : text === 'true' || (text !== 'false' && text)
  }
  return fields
}

const BATCH_FIELDS = [
  'baseOffset',
  'lastOffset',
  'count',
  'partitionLeaderEpoch',
  'producerId',
  'producerEpoch',
  'isTransactional',
  'isControl',
  'position',
  'CreateTime',
  'size',
  'crc',
  'isvalid',
]

function dumped(stdout: string): unknown[] {
  return stdout.split('\n').flatMap<unknown>(line => {
    if (line.startsWith('baseOffset: ')) return [fieldsOf(line, BATCH_FIELDS)]
    if (!line.startsWith('| offset: ')) return []
    if (line.includes(' endTxnMarker: ')) return [fieldsOf(line, ['offset', 'CreateTime', 'endTxnMarker'])]
    const payload = / payload: (.*)$/.exec(line)?.[1] ?? null
    return [{ ...fieldsOf(line, ['offset', 'CreateTime']), payload }]
  })
}

it.skipIf(missingForKafka() !== null).each<[string, readonly FixturePart[]]>([
  ['of one partition', OWN_SEGMENT],
  ['of several', SHARED_SEGMENT],
  ['of several megabytes', LARGE_SEGMENT],
])('Kafka dumps an object %s batch by batch and stops behind the last one', async (_, parts) => {
  const directory = await mkdtemp(join(tmpdir(), 'segment-dump-'))
  try {
    const bytes = sealedBytes(parts)
    const batches = parts.flatMap(part => part.batches.map(servedBytes))
    const bodiesBytes = batches.reduce((sum, { length }) => sum + length, 0)
    const path = join(directory, `${String(parts[0]!.baseOffset).padStart(20, '0')}.log`)
    await writeFile(path, bytes)
    const { code, stdout, stderr } = await runKafkaTool(DUMP, ['--deep-iteration', '--print-data-log', '--files', path])
    let position = 0
    const expected = batches.flatMap(batch => {
      position += batch.length
      return linesOf(batch, position - batch.length)
    })
    expect(dumped(stdout), stdout.slice(0, 5000) + stderr).toEqual(expected)
    if (parts === LARGE_SEGMENT) expect(bodiesBytes).toBeGreaterThan(2 << 20)
    const markers = expected.filter(line => Object.hasOwn(line as object, 'endTxnMarker'))
    expect(markers).toHaveLength(parts === LARGE_SEGMENT ? 0 : 2)
    expect(stdout).toContain(
      `Found ${bytes.length - bodiesBytes} invalid bytes at the end of ${path.split('/').at(-1)}`,
    )
    expect(stdout).not.toContain('isvalid: false')
    expect(code, stderr).toBe(0)
  } finally {
    await rm(directory, { recursive: true })
  }
})
