import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { asOrdinal } from '#base/numbers.ts'
import { holdObject } from '#core/garbage.ts'
import { OWN_OBJECT, type Segment } from '#core/segments.ts'
import { Partition, State, Topic } from '#core/state.ts'
import { LogMemory } from '#test/support/log-memory.ts'

const MB = 2 ** 20
const GB = 2 ** 30
/** The default of the product. */
const FILE_BYTES = 128 * MB
/** Of what the collector leaves. */
const NOISE_BYTES = 0.5 * MB

setFlagsFromString('--expose_gc')
const collect = runInNewContext('gc') as () => void

/** Everything that this process has in use. A buffer's memory is given back after the collection that found it unused. */
async function usedBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collect()
    await new Promise(setImmediate)
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

describe('the memory of a log', () => {
  it.each([
    [1, 70],
    [1, 1000],
    [1, 1_000_000],
    [100, 70],
    [100, 1000],
  ])('grows by at most 1 MB a GB with %i partitions and batches of %i bytes', async (partitions, batchBytes) => {
    const memory = await LogMemory.open({ walFileBytes: FILE_BYTES, cacheBytes: 64 * MB, partitions, batchBytes })
    // Whole files, so that what the newest one holds is the same both times.
    await memory.fillTo(GB + FILE_BYTES / 2)
    const before = { usedBytes: await usedBytes(), position: memory.log.commits.position }
    await memory.fillTo(3 * GB + FILE_BYTES / 2)
    const grownBytes = (await usedBytes()) - before.usedBytes
    const walGb = (memory.log.commits.position - before.position) / GB
    expect(grownBytes).toBeLessThan(walGb * MB + NOISE_BYTES)
  })
})

const PARTITIONS = 1000
const SEGMENTS = 200

/** Each partition has so many, of which so many lie in one object. */
function stateWithSegments(perObject: number): State {
  const state = new State()
  const topic = new Topic('id', 'topic', new Map(), state.brokerConfigs)
  state.topics.set(topic.name, topic)
  for (let index = 0; index < PARTITIONS; index++) {
    const partition = new Partition(asOrdinal(index), topic, index)
    state.partitions.push(partition)
    topic.partitions.push(partition)
  }
  for (let n = 0; n < SEGMENTS; n++) {
    for (const [index, { segments }] of topic.partitions.entries()) {
      const segment: Segment = {
        ...{
          baseOffset: n * 1000,
          nextOffset: (n + 1) * 1000,
          sizeBytes: 1_000_000 + index,
          maxTimestampMs: n * 60_000,
        },
        ...{ createdMs: n * 60_000, place: index, indexPlace: 1_000_000, indexBytes: 500, generation: 1, revision: 0 },
        sharedAt: perObject === 1 ? OWN_OBJECT : n * 1e9 + Math.floor(index / perObject),
        hash: Math.floor(index / perObject) * 7919,
      }
      segments.add(segment)
      holdObject(state, segment)
    }
  }
  return state
}

describe('the memory of what is known of segments', () => {
  it.each([1, 10, 1000])('is at most 200 bytes each, with %i in an object', async perObject => {
    const before = await usedBytes()
    const state = stateWithSegments(perObject)
    const grownBytes = (await usedBytes()) - before
    expect(state.partitions).toHaveLength(PARTITIONS)
    expect((grownBytes - NOISE_BYTES) / (PARTITIONS * SEGMENTS)).toBeLessThan(200)
  })
})
