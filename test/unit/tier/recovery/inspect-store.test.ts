import { expect, it } from 'vitest'
import { OWN_OBJECT } from '#core/segments.ts'
import { segmentKey } from '#segments/segment-names.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimBucket } from '#test/support/sim/sim-object-store.ts'
import { checkpointKey, generationKey, metalogKey } from '#tier/recovery/archive-names.ts'
import { encodeGenerationFile } from '#tier/recovery/owner-format.ts'
import { inspectStore } from '#tier/recovery/ownership.ts'
import { PatientStore } from '#tier/recovery/patient-store.ts'

const GENERATION = { generation: 1, ownerId: 'one', host: 'host', attempt: 'first', begunMs: 0 }
const PIECES = 86_400

/** A day of pieces and segments, and a checkpoint shortly before its end. */
function bucketOfADay(clock: SimClock): SimBucket {
  const bucket = new SimBucket({ clock, latencyMs: () => 25 })
  bucket.poke(generationKey(1), encodeGenerationFile(GENERATION))
  for (const position of [1000, 40_000, PIECES - 10]) {
    bucket.poke(checkpointKey({ generation: 1, position }), Buffer.alloc(1))
  }
  for (let to = 1; to <= PIECES; to++) {
    bucket.poke(metalogKey({ generation: 1, from: to - 1, to }), Buffer.alloc(1))
  }
  const of = { topicId: 'id', topicName: 'topic', partition: 0, generation: 1, revision: 0, sharedAt: OWN_OBJECT }
  for (let i = 0; i < 5000; i++) {
    bucket.poke(segmentKey({ ...of, baseOffset: i, nextOffset: i + 1, hash: i }), Buffer.alloc(1))
  }
  return bucket
}

it('a start asks the store for as much as it needs to know, however much there is', async () => {
  const clock = new SimClock()
  const bucket = bucketOfADay(clock)
  let lists = 0
  bucket.onCall = ({ verb }) => {
    if (verb === 'list') lists++
    return null
  }
  const options = {
    store: new PatientStore(bucket.connect(), clock, 30_000),
    clock,
    random: { bytes: (count: number) => Buffer.alloc(count) },
    signal: new AbortController().signal,
    report() {},
  }
  const facts = await clock.run(inspectStore(options, { createsHonestly: true }))
  expect(facts).toMatchObject({ archivedTo: PIECES, archivedGeneration: 1, hasSegments: true })
  // Generations, checkpoints, segments, pieces.
  expect(lists).toBe(4)
})
