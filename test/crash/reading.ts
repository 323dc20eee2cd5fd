// Reading partitions, whole or at their end as a consumer does.

import { ConnectionClosed, type WireClient } from '#test/support/wire-client.ts'
import { BrokenPromise, type FetchedBatch, fetchedBatches, type History } from './history.ts'

const FETCH_VERSION = 12
const FETCH_BYTES = 8 << 20
const LIST_OFFSETS_VERSION = 6
export const EARLIEST = -2
export const LATEST = -1
const LONG_POLL_MS = 100
const OFFSET_OUT_OF_RANGE = 1

interface PartitionName {
  readonly topic: string
  readonly index: number
}

interface Fetched {
  readonly errorCode: number
  readonly highWatermark: number
  readonly logStartOffset: number
  readonly records: Buffer | null
}

export async function fetchAt(
  client: WireClient,
  { topic, index }: PartitionName,
  fetchOffset: number,
  maxWaitMs = 0,
): Promise<Fetched> {
  const partition = { partition: index, fetchOffset, partitionMaxBytes: FETCH_BYTES }
  const topics = [{ topic, partitions: [partition] }]
  const answer = await client.send('Fetch', FETCH_VERSION, { maxWaitMs, minBytes: 1, maxBytes: FETCH_BYTES, topics })
  const fetched = answer.responses[0]?.partitions[0]
  if (fetched === undefined) throw new BrokenPromise(`a fetch of ${topic}-${index} was not answered`)
  return fetched
}

export async function listOffset(client: WireClient, { topic, index }: PartitionName, timestamp: number) {
  const topics = [{ name: topic, partitions: [{ partitionIndex: index, timestamp }] }]
  const answer = await client.send('ListOffsets', LIST_OFFSETS_VERSION, { replicaId: -1, topics })
  const found = answer.topics[0]?.partitions[0]
  if (found?.errorCode !== 0) throw new BrokenPromise(`the offsets of ${topic}-${index}: error ${found?.errorCode}`)
  return found.offset
}

export interface ReadPartition {
  readonly logStart: number
  readonly watermark: number
  readonly batches: readonly FetchedBatch[]
}

/** A partition from its start to its end. */
export async function readPartition(
  client: WireClient,
  partition: PartitionName,
  firstTimeMs: number,
): Promise<ReadPartition> {
  const logStart = await listOffset(client, partition, EARLIEST)
  const watermark = await listOffset(client, partition, LATEST)
  const batches: FetchedBatch[] = []
  for (let offset = logStart; offset < watermark; ) {
    const { errorCode, records } = await fetchAt(client, partition, offset)
    const more = fetchedBatches(records ?? Buffer.alloc(0), firstTimeMs)
    const last = more.at(-1)
    if (errorCode !== 0 || last === undefined) {
      throw new BrokenPromise(`${partition.topic}-${partition.index} cannot be read at ${offset}: error ${errorCode}`)
    }
    batches.push(...more)
    offset = last.baseOffset + last.recordCount
  }
  return { logStart, watermark, batches }
}

/** Reads every partition and compares it with what was promised. */
export async function checkPartitions(client: WireClient, history: History): Promise<void> {
  for (const partition of history.partitions) {
    partition.check(await readPartition(client, partition, history.firstTimeMs))
  }
}

/** Follows the end of the partitions until the connection closes: what a consumer has seen must stay. */
export async function follow(client: WireClient, history: History): Promise<void> {
  const offsets = new Map(history.partitions.map(partition => [partition, partition.watermark]))
  try {
    for (;;) {
      for (const partition of history.partitions) {
        const from = offsets.get(partition)!
        const waitMs = partition === history.partitions.at(-1) ? LONG_POLL_MS : 0
        const { errorCode, highWatermark, logStartOffset, records } = await fetchAt(client, partition, from, waitMs)
        if (errorCode === OFFSET_OUT_OF_RANGE) {
          offsets.set(partition, await listOffset(client, partition, EARLIEST))
          continue
        }
        if (errorCode !== 0) throw new BrokenPromise(`a fetch of ${partition.name}: error ${errorCode}`)
        partition.watermark = Math.max(partition.watermark, highWatermark)
        for (const { id, baseOffset, recordCount } of fetchedBatches(records ?? Buffer.alloc(0), history.firstTimeMs)) {
          offsets.set(partition, baseOffset + recordCount)
          // One that the log start has passed is not known any more.
          if (baseOffset + recordCount > Math.max(logStartOffset, partition.logStart)) partition.stored(id, baseOffset)
        }
      }
    }
  } catch (thrown) {
    if (!(thrown instanceof ConnectionClosed)) throw thrown
  }
}
