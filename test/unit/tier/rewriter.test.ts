import { describe, expect, it } from 'vitest'
import { settingsFrom } from '#config/load-settings.ts'
import type { Settings } from '#config/settings.ts'
import type { Partition } from '#core/state.ts'
import { TopicRules } from '#log/log.ts'
import { storedSegment } from '#segments/segment-names.ts'
import { type BatchFields, buildBatch, type RecordFields } from '#test/support/batch-builder.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { STORE, TierLab } from '#test/support/tier-lab.ts'
import { Rewriter } from '#tier/rewriter.ts'

const COMPACTED = new Map([
  ['cleanup.policy', 'compact'],
  ['min.cleanable.dirty.ratio', '0.01'],
])
const MIB = 1 << 20
const TEN_MINUTES_MS = 600_000

class Lab {
  readonly tiers: TierLab
  readonly reports: string[] = []
  readonly compacted: number[] = []
  readonly failed: string[] = []
  readonly rewriter: Rewriter

  private constructor(tiers: TierLab, settings: Partial<Settings>) {
    this.tiers = tiers
    const loaded = settingsFrom(settings)
    if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
    const { log, store, clock } = tiers
    const prng = new Prng(3)
    this.rewriter = new Rewriter({
      log,
      store,
      clock,
      topicRules: new TopicRules(log.state, loaded.settings, loaded.sources),
      random: { bytes: count => Buffer.from(Array.from({ length: count }, () => prng.between(0, 255))) },
      segmentBytes: 64 * MIB,
      metrics: {
        compacted: ({ keptRecords }) => this.compacted.push(keptRecords),
        merged() {},
        failed: kind => this.failed.push(kind),
      },
      report: (level, message) => this.reports.push(`${level}: ${message}`),
    })
  }

  static async open(settings: Partial<Settings> = {}): Promise<Lab> {
    return new Lab(await TierLab.open({ walFileBytes: 4 * MIB }), settings)
  }

  /** One segment of a batch of these records, and one more with a key of its own. */
  async partition(topic: string, records: readonly RecordFields[], fields: BatchFields = {}): Promise<Partition> {
    const { lab } = this.tiers
    const partition = (await lab.topic(topic, 1, COMPACTED)).partitions[0]!
    for (const batch of [buildBatch(records, fields), buildBatch([{ key: 'last' }])]) {
      const recordCount = batch.readInt32BE(57)
      const sent = lab.batch(partition, { recordCount })
      await lab.clock.run(
        lab.send({
          ...sent,
          bytes: batch,
          entry: { ...sent.entry, sizeBytes: batch.length, crc: batch.readUInt32BE(17) },
        }),
      )
      await this.tiers.seal([partition])
    }
    return partition
  }

  work(): Promise<void> {
    return this.tiers.clock.run(this.rewriter.work())
  }

  /** Turns a bit of its first record; returns what turns it back. */
  async damage(partition: Partition): Promise<() => Promise<void>> {
    const { disk, clock } = this.tiers.lab
    const { key } = storedSegment(partition, partition.segments.at(0))
    const file = await clock.run(disk.open(`${STORE}/${key}`, 'write'))
    const turn = async () => {
      const byte = Buffer.alloc(1)
      await file.read(byte, 0, 1, 70)
      byte[0]! ^= 1
      await file.write(byte, 0, 1, 70)
    }
    await clock.run(turn())
    return () => clock.run(turn())
  }
}

const sameKey = (count: number, value: string) => Array.from({ length: count }, () => ({ key: 'k', value }))

describe('compaction', () => {
  it('opens what was stored when more could be decompressed than now', async () => {
    const lab = await Lab.open({ maxDecompressedBytes: 64 << 10 })
    await lab.partition('topic', sameKey(100, 'x'.repeat(1000)), { codec: 'zstd' })
    await lab.work()
    expect(lab.reports).toEqual([expect.stringContaining('info: compacted topic-0')])
    expect(lab.compacted).toEqual([2])
  })

  it('leaves a partition alone that is damaged, says so once, and does the others', async () => {
    const lab = await Lab.open()
    const damaged = await lab.partition('damaged', sameKey(10, 'x'))
    const restore = await lab.damage(damaged)
    await lab.partition('sound', sameKey(5, 'x'))
    await lab.work()
    await lab.work()
    expect(lab.reports.filter(line => line.startsWith('warn'))).toEqual([
      expect.stringMatching(/^warn: damaged-0 cannot be written anew: .*it is tried again in 10 minutes$/),
    ])
    expect(lab.compacted).toEqual([2])
    expect(lab.failed).toEqual(['compaction'])

    await restore()
    await lab.work()
    expect(lab.compacted).toEqual([2])
    await lab.tiers.clock.runFor(TEN_MINUTES_MS)
    await lab.work()
    expect(lab.compacted).toEqual([2, 2])
  })

  it('says so when an object is lost, and not when its topic was deleted meanwhile', async () => {
    const lab = await Lab.open()
    const [lost, deleted] = [
      await lab.partition('lost', sameKey(10, 'x')),
      await lab.partition('deleted', sameKey(10, 'x')),
    ]
    const { store, clock, log } = lab.tiers
    const keyOf = (partition: Partition) => storedSegment(partition, partition.segments.at(0)).key
    const keys = [keyOf(lost), keyOf(deleted)]
    await clock.run(Promise.all(keys.map(key => store.delete(key, new AbortController().signal))))
    const working = lab.rewriter.work()
    await clock.run(Promise.all([working, log.propose({ kind: 'topic-deleted', id: deleted.topic.id })]))
    expect(lab.reports).toEqual([
      expect.stringMatching(/^warn: lost-0 cannot be written anew: .*it is tried again in 10 minutes$/),
    ])
  })

  it('that fails is told of once, counted, and told of when it works again', async () => {
    const lab = await Lab.open()
    await lab.partition('topic', sameKey(10, 'x'))
    lab.tiers.lab.disk.onCall = ({ kind }) => (kind === 'write' ? 'EIO' : null)
    await lab.tiers.clock.runFor(100_000)
    const failed = expect.stringMatching('^warn: segments could not be written anew, it is tried again: .+')
    expect(lab.reports).toEqual([failed])
    expect(new Set(lab.failed)).toEqual(new Set(['compaction']))
    expect(lab.failed.length).toBeGreaterThan(3)
    lab.tiers.lab.disk.onCall = () => null
    await lab.tiers.clock.runFor(60_000)
    expect(lab.reports).toEqual([
      failed,
      expect.stringContaining('info: compacted'),
      'info: segments are written anew again',
    ])
  })
})
