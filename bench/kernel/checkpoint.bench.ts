import { asOrdinal } from '#base/numbers.ts'
import { decodeState, encodeState } from '#core/checkpoint.ts'
import { Partition, State, Topic } from '#core/state.ts'

// The state of a broker with as many partitions as it is made for: how long its checkpoint holds up the broker's thread, which
// is at every roll of the log, and how long a start takes to read it.

const PARTITIONS = 10_000
const ROUNDS = 15

function stateOf(extents: number, producers: number): State {
  const state = new State()
  const topic = new Topic('AAAAAAAAAAAAAAAAAAAAAA', 'bench', new Map(), state.brokerConfigs)
  state.topics.set(topic.name, topic)
  state.topicsById.set(topic.id, topic)
  for (let index = 0; index < PARTITIONS; index++) {
    const partition = new Partition(asOrdinal(index), topic, index)
    for (let i = 0; i < extents; i++) {
      const baseOffset = i * 100
      const place = { file: i * 2 ** 26, baseOffset, nextOffset: baseOffset + 100, sizeBytes: 1000 }
      partition.extents.add({ ...place, maxTimestampMs: i, timeMs: i, segmentBytes: 2 ** 30, segmentMs: 2 ** 30 })
      state.holdFile(place.file)
    }
    for (let id = 0; id < producers; id++) {
      const batches = Array.from({ length: 5 }, (_, i) => {
        return { firstSequence: i, lastSequence: i, baseOffset: i, timestampMs: i }
      })
      partition.producers ??= new Map()
      partition.producers.set(id, { epoch: 0, lastAppendMs: id, batches })
    }
    topic.partitions.push(partition)
    state.partitions.push(partition)
  }
  return state
}

function bestOf(run: () => void): string {
  let bestMs = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const beganMs = performance.now()
    run()
    bestMs = Math.min(bestMs, performance.now() - beganMs)
  }
  return `${bestMs.toFixed(1).padStart(6)} ms`
}

for (const [extents, producers] of [
  [80, 0],
  [1, 10],
] as const) {
  const state = stateOf(extents, producers)
  const bytes = encodeState(state)
  const name = `checkpoint, ${PARTITIONS} partitions, ${extents} extents, ${producers} producers each`
  console.log(
    `${name.padEnd(68)} encode ${bestOf(() => encodeState(state))} decode ${bestOf(() => decodeState(bytes))}`,
  )
}
