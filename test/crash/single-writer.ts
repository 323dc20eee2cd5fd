// A producer that waits for each answer: what became of each of its batches is known one by one.

import { buildBatch } from '#test/support/batch-builder.ts'
import type { WireClient } from '#test/support/wire-client.ts'
import type { History, PartitionHistory } from './history.ts'

/** Sends one batch of one record, and returns the error code of the answer. */
export async function produceOne(
  client: WireClient,
  history: History,
  partition: PartitionHistory,
  sizeBytes: number,
): Promise<number> {
  const id = history.newId()
  const value = Buffer.alloc(sizeBytes, `${id};`)
  const records = buildBatch([{ value }], { baseTimestampMs: history.firstTimeMs + id })
  const { length } = records
  const crc = records.readUInt32BE(17)
  partition.batches.set(id, { id, writer: 'single', crc, sizeBytes: length, recordCount: 1, baseOffset: null })
  const topicData = [{ name: partition.topic, partitionData: [{ index: partition.index, records }] }]
  const { responses } = await client.send('Produce', 9, { acks: -1, timeoutMs: 10_000, topicData })
  const { errorCode, baseOffset } = responses[0]!.partitionResponses[0]!
  if (errorCode === 0) partition.stored(id, baseOffset)
  return errorCode
}
