import { assert } from '#base/assert.ts'
import { ChronikError } from '#base/errors.ts'
import { asOrdinal } from '#base/numbers.ts'
import { ByteReader, ByteWriter } from '#bytes/cursor.ts'
import { readText, readTextMap, writeText, writeTextMap } from './change-records.ts'
import { Extents } from './extents.ts'
import type { Producer } from './producers.ts'
import { Partition, State, Topic } from './state.ts'

// The state at one position of the log, as bytes: equal states give equal bytes. docs/formats/checkpoint.md shows them.

export const CHECKPOINT_VERSION = 1

export function encodeState(state: State): Buffer {
  const into = new ByteWriter(1 << 16)
  into.u16(CHECKPOINT_VERSION)
  into.f64(state.timeMs)
  writeText(into, state.clusterId)
  into.i64(state.nextProducerId)
  writeTextMap(into, state.brokerConfigs)
  into.u32(state.partitions.length)
  into.u32(state.topics.size)
  for (const topic of state.topics.values()) {
    writeText(into, topic.id)
    writeText(into, topic.name)
    writeTextMap(into, topic.configs)
    into.u32(topic.partitions.length)
    for (const partition of topic.partitions) writePartition(into, partition)
  }
  return into.written()
}

export function decodeState(bytes: Buffer): State {
  const from = new ByteReader(bytes)
  const version = from.u16()
  if (version !== CHECKPOINT_VERSION) {
    throw new ChronikError('UNKNOWN_CHECKPOINT', 'corrupt', `checkpoint version ${version} is not known`)
  }
  const state = new State()
  state.timeMs = from.f64()
  state.clusterId = readText(from)
  state.nextProducerId = from.i64()
  state.brokerConfigs = readTextMap(from)
  state.partitions.length = from.u32()
  for (let left = from.u32(); left > 0; left--) {
    const topic = new Topic(readText(from), readText(from), readTextMap(from), state.brokerConfigs)
    state.topics.set(topic.name, topic)
    state.topicsById.set(topic.id, topic)
    const partitionCount = from.u32()
    for (let index = 0; index < partitionCount; index++) {
      const partition = readPartition(from, topic, index)
      topic.partitions.push(partition)
      state.partitions[partition.ordinal] = partition
      for (let i = 0; i < partition.extents.length; i++) state.holdFile(partition.extents.fileAt(i))
    }
  }
  assert(from.remaining === 0, 'a checkpoint is read whole')
  return state
}

function writePartition(into: ByteWriter, partition: Partition): void {
  into.u32(partition.ordinal)
  into.i32(partition.leaderEpoch)
  into.i64(partition.nextOffset)
  into.i64(partition.logStart)
  const rows = partition.extents.rows()
  into.u32(rows.length)
  for (const value of rows) into.f64(value)
  into.u32(partition.producers?.size ?? 0)
  for (const [id, producer] of partition.producers ?? []) {
    into.i64(id)
    into.i16(producer.epoch)
    into.f64(producer.lastAppendMs)
    into.u8(producer.batches.length)
    for (const batch of producer.batches) {
      into.i32(batch.firstSequence)
      into.i32(batch.lastSequence)
      into.i64(batch.baseOffset)
      into.f64(batch.timestampMs)
    }
  }
}

function readPartition(from: ByteReader, topic: Topic, index: number): Partition {
  const ordinal = asOrdinal(from.u32())
  const leaderEpoch = from.i32()
  const nextOffset = from.i64()
  const logStart = from.i64()
  const rows = new Float64Array(from.u32())
  for (let i = 0; i < rows.length; i++) rows[i] = from.f64()
  const partition = new Partition(ordinal, topic, index, new Extents(rows))
  partition.leaderEpoch = leaderEpoch
  partition.nextOffset = nextOffset
  partition.logStart = logStart
  const producerCount = from.u32()
  if (producerCount > 0) partition.producers = new Map()
  for (let left = producerCount; left > 0; left--) partition.producers?.set(from.i64(), readProducer(from))
  return partition
}

function readProducer(from: ByteReader): Producer {
  const producer: Producer = { epoch: from.i16(), lastAppendMs: from.f64(), batches: [] }
  for (let left = from.u8(); left > 0; left--) {
    producer.batches.push({
      firstSequence: from.i32(),
      lastSequence: from.i32(),
      baseOffset: from.i64(),
      timestampMs: from.f64(),
    })
  }
  return producer
}
