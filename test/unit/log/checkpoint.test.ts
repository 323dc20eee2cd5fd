import { describe, expect, it } from 'vitest'
import { asOrdinal } from '#base/numbers.ts'
import { decodeState, encodeState } from '#core/checkpoint.ts'
import { Partition, State, Topic } from '#core/state.ts'
import { Prng } from '#test/support/sim/prng.ts'

const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA'

function stateWith(partitions: number, prng: Prng, most: { extents: number; producers: number }): State {
  const state = new State()
  state.brokerConfigs = new Map([['log.retention.ms', '1000']])
  const topic = new Topic(TOPIC_ID, 'stored', new Map([['segment.bytes', '99']]), state.brokerConfigs)
  state.topics.set(topic.name, topic)
  state.topicsById.set(topic.id, topic)
  for (let index = 0; index < partitions; index++) {
    const partition = new Partition(asOrdinal(index * 2), topic, index)
    for (let left = prng.between(0, most.extents); left > 0; left--) addExtent(state, partition, prng)
    partition.extents.dropBefore(prng.between(0, partition.nextOffset), state.releaseFile)
    for (let left = prng.between(0, most.producers); left > 0; left--) addProducer(partition, prng)
    topic.partitions.push(partition)
    state.partitions[partition.ordinal] = partition
  }
  return state
}

function addExtent(state: State, partition: Partition, prng: Prng): void {
  const baseOffset = partition.nextOffset
  partition.nextOffset += prng.between(1, 2 ** 40)
  const file = prng.between(0, 5) * 2 ** 41
  const sizes = { sizeBytes: prng.between(1, 2 ** 30), segmentBytes: 0, segmentMs: 0 }
  partition.extents.add({
    file,
    baseOffset,
    nextOffset: partition.nextOffset,
    maxTimestampMs: prng.between(-1, 2 ** 42),
    timeMs: prng.between(0, 2 ** 42),
    ...sizes,
  })
  state.holdFile(file)
}

function addProducer(partition: Partition, prng: Prng): void {
  const batches = Array.from({ length: prng.between(0, 5) }, () => ({
    firstSequence: prng.between(0, 2 ** 31 - 1),
    lastSequence: prng.between(0, 2 ** 31 - 1),
    baseOffset: prng.between(0, 2 ** 52),
    timestampMs: prng.between(-1, 2 ** 42),
  }))
  partition.producers ??= new Map()
  partition.producers.set(prng.between(0, 2 ** 52), {
    epoch: prng.between(0, 32767),
    lastAppendMs: prng.between(0, 2 ** 42),
    batches,
  })
}

describe('the state in a checkpoint', () => {
  it.each([1, 2, 3])('is the same when it was read back, and so are its bytes (seed %i)', seed => {
    const state = stateWith(40, new Prng(seed), { extents: 20, producers: 6 })
    const bytes = encodeState(state)
    const found = decodeState(bytes)
    expect(encodeState(found)).toEqual(bytes)
    expect(found.extentsOfFile).toEqual(state.extentsOfFile)
    for (const partition of state.topics.get('stored')!.partitions) {
      const { extents, producers, nextOffset } = found.partitions[partition.ordinal]!
      expect(extents.rows()).toEqual(partition.extents.rows())
      expect(producers).toEqual(partition.producers)
      expect(nextOffset).toBe(partition.nextOffset)
    }
  })

  it('has extents little-endian and producers big-endian, as docs/formats/checkpoint.md says', () => {
    const state = stateWith(1, new Prng(1), { extents: 0, producers: 0 })
    const partition = state.partitions[0]!
    const times = { maxTimestampMs: 5, timeMs: 6, segmentBytes: 1, segmentMs: 1 }
    partition.extents.add({ file: 1, baseOffset: 2, nextOffset: 3, sizeBytes: 4, ...times })
    const batch = { firstSequence: 10, lastSequence: 11, baseOffset: 2 ** 33 + 12, timestampMs: 13 }
    partition.producers = new Map([[7, { epoch: 8, lastAppendMs: 9, batches: [batch] }]])
    const bytes = encodeState(state)
    const transactionsBytes = 4 + 4
    const segmentsBytes = 4 + 8 + 8 + 4
    const storeBytes = 4 + 1 + 8 + 4
    const groupsBytes = 8 + 4 + 4 + 4
    const producerAt = bytes.length - storeBytes - groupsBytes - segmentsBytes - transactionsBytes - 43
    const extentAt = producerAt - 4 - 6 * 8
    expect(bytes.readUInt32BE(extentAt - 4)).toBe(6)
    for (let i = 0; i < 6; i++) expect(bytes.readDoubleLE(extentAt + i * 8)).toBe(i + 1)
    expect(bytes.readUInt32BE(producerAt - 4)).toBe(1)
    expect(bytes.readBigInt64BE(producerAt)).toBe(7n)
    expect(bytes.readInt16BE(producerAt + 8)).toBe(8)
    expect(bytes.readDoubleBE(producerAt + 10)).toBe(9)
    expect(bytes[producerAt + 18]).toBe(1)
    expect(bytes.readInt32BE(producerAt + 19)).toBe(10)
    expect(bytes.readInt32BE(producerAt + 23)).toBe(11)
    expect(bytes.readBigInt64BE(producerAt + 27)).toBe(2n ** 33n + 12n)
    expect(bytes.readDoubleBE(producerAt + 35)).toBe(13)
  })

  it('is refused when bytes of it are missing', () => {
    const bytes = encodeState(stateWith(3, new Prng(4), { extents: 9, producers: 3 }))
    for (let end = 2; end < bytes.length; end += 7) expect(() => decodeState(bytes.subarray(0, end))).toThrow()
  })
})
