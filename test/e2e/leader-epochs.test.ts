// What clients learn of leaders that came and went, over records in segments and in the write-ahead log: each restore of a lost
// machine begins an epoch.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import { readBatches } from '#test/support/batch-reader.ts'
import { type BrokerProcess, startBrokerProcess } from '#test/support/broker-process.ts'
import { scrape } from '#test/support/metrics-page.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { until } from '#test/support/until.ts'
import { WireClient } from '#test/support/wire-client.ts'

const TOPIC = 'orders'
/** Of the record at offset 0; each is a second later. Those of the second and third leader are later still. */
const FIRST_MS = Date.now() - 3_600_000
const SECOND_MS = 1000

const [LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED] = [-1, -2, -3, -4, -5]

interface Place {
  readonly dataDir: string
  readonly flags: readonly string[]
}

class Running {
  readonly broker: BrokerProcess
  readonly wire: WireClient

  private constructor(broker: BrokerProcess, wire: WireClient) {
    this.broker = broker
    this.wire = wire
  }

  static async start({ dataDir, flags }: Place, wish: { seals: boolean; takesOver?: boolean }): Promise<Running> {
    const more = wish.takesOver ? ['--take-over'] : []
    const broker = await startBrokerProcess({
      dataDir,
      flags: [...flags, ...more],
      // Either at once, or not at all.
      environment: { CHRONIK_SEAL_MAX_MS: wish.seals ? '100' : '3600000' },
    })
    onTestFinished(() => broker.remove())
    const wire = await WireClient.connect(broker.kafka)
    onTestFinished(() => wire.close())
    return new Running(broker, wire)
  }

  /** One batch each. */
  async produce(timestamps: readonly number[]): Promise<void> {
    for (const timestampMs of timestamps) {
      const records = buildBatch([{ value: `at ${timestampMs}`, timestampMs }])
      const topicData = [{ name: TOPIC, partitionData: [{ index: 0, records }] }]
      const answer = await this.wire.send('Produce', 9, { acks: -1, timeoutMs: 5000, topicData })
      expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(0)
    }
  }

  async untilZero(metric: string): Promise<void> {
    const metrics = { host: this.broker.kafka.host, port: this.broker.metricsPort }
    const isZero = () => scrape(metrics).then(page => page.get(metric) === 0)
    await until(`${metric} is 0`, () => isZero().catch(() => false))
  }

  /** The machine is lost, and with it the disk. */
  async lose({ dataDir }: Place): Promise<void> {
    await this.untilZero('chronik_upload_lag_bytes')
    await this.broker.kill9()
    await rm(dataDir, { recursive: true })
  }

  async fetch(fields: { fetchOffset?: number; lastFetchedEpoch?: number; currentLeaderEpoch?: number }) {
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20, ...fields }]
    const body = { maxWaitMs: 1000, minBytes: 1, maxBytes: 1 << 20, topics: [{ topic: TOPIC, partitions }] }
    return (await this.wire.send('Fetch', 12, body)).responses[0]!.partitions[0]!
  }

  /** Epoch of each offset, as its batch says. */
  async epochs(): Promise<number[]> {
    const found: number[] = []
    for (;;) {
      const { records, highWatermark } = await this.fetch({ fetchOffset: found.length })
      for (const { baseOffset, partitionLeaderEpoch } of readBatches(records)) found[baseOffset] = partitionLeaderEpoch
      if (found.length === highWatermark) return found
    }
  }

  async endOf(leaderEpoch: number, currentLeaderEpoch = -1): Promise<unknown[]> {
    const topics = [{ topic: TOPIC, partitions: [{ partition: 0, leaderEpoch, currentLeaderEpoch }] }]
    const answer = (await this.wire.send('OffsetForLeaderEpoch', 4, { topics })).topics[0]!.partitions[0]!
    return [errorName(answer.errorCode), answer.leaderEpoch, answer.endOffset]
  }

  async list(timestamp: number, currentLeaderEpoch = -1): Promise<unknown[]> {
    const topics = [{ name: TOPIC, partitions: [{ partitionIndex: 0, timestamp, currentLeaderEpoch }] }]
    const answer = (await this.wire.send('ListOffsets', 10, { topics })).topics[0]!.partitions[0]!
    return [errorName(answer.errorCode), answer.offset, answer.leaderEpoch, answer.timestamp]
  }
}

const at = (second: number): number => FIRST_MS + second * SECOND_MS

/** Offsets 0-3 are of epoch 0, three more of it are lost; 4 and 5 of epoch 1, all in segments; 6 and 7 of epoch 2, which leads. */
async function thirdLeader(): Promise<Running> {
  const root = await temporaryDirectory()
  // No copies of what is in no segment: so it is lost, and known to be.
  const store = ['--local-storage-path', join(root, 'store'), '--tail-upload-ms', '0', '--takeover-after-ms', '2000']
  const place = { dataDir: join(root, 'data'), flags: store }
  const sealing = await Running.start(place, { seals: true })
  await sealing.wire.send('Metadata', 9, { topics: [{ name: TOPIC }] })
  await sealing.produce([at(0), at(1), at(2), at(3)])
  await sealing.untilZero('chronik_unsealed_bytes')
  await sealing.broker.stop()
  const first = await Running.start(place, { seals: false })
  await first.produce([at(4), at(5), at(6)])
  expect(await first.endOf(0)).toEqual(['NONE', 0, 7])
  await first.lose(place)

  const second = await Running.start(place, { seals: false, takesOver: true })
  await second.produce([at(10), at(11)])
  expect(await second.epochs()).toEqual([0, 0, 0, 0, 1, 1])
  await second.broker.stop()
  const sealingAgain = await Running.start(place, { seals: true })
  await sealingAgain.untilZero('chronik_unsealed_bytes')
  await sealingAgain.lose(place)

  const third = await Running.start(place, { seals: false, takesOver: true })
  await third.produce([at(20), at(21)])
  return third
}

it('after restores clients are told of each leader what it wrote, and who has read what is lost finds out', async () => {
  const leader = await thirdLeader()
  // Of segments and of the write-ahead log.
  expect(await leader.epochs()).toEqual([0, 0, 0, 0, 1, 1, 2, 2])

  expect(await leader.endOf(0)).toEqual(['NONE', 0, 4])
  expect(await leader.endOf(1)).toEqual(['NONE', 1, 6])
  expect(await leader.endOf(2, 2)).toEqual(['NONE', 2, 8])
  expect(await leader.endOf(3)).toEqual(['NONE', -1, -1])
  expect(await leader.endOf(2, 1)).toEqual(['FENCED_LEADER_EPOCH', -1, -1])
  expect(await leader.endOf(2, 3)).toEqual(['UNKNOWN_LEADER_EPOCH', -1, -1])

  expect(await leader.list(LATEST)).toEqual(['NONE', 8, 2, -1])
  expect(await leader.list(EARLIEST)).toEqual(['NONE', 0, 0, -1])
  expect(await leader.list(MAX_TIMESTAMP)).toEqual(['NONE', 7, 2, at(21)])
  expect(await leader.list(EARLIEST_LOCAL)).toEqual(['NONE', 6, 2, -1])
  expect(await leader.list(LATEST_TIERED)).toEqual(['NONE', 5, 1, -1])
  // Those of the records that are lost are found nowhere.
  expect(await leader.list(at(3))).toEqual(['NONE', 3, 0, at(3)])
  expect(await leader.list(at(4))).toEqual(['NONE', 4, 1, at(10)])
  expect(await leader.list(at(11), 2)).toEqual(['NONE', 5, 1, at(11)])
  expect(await leader.list(at(12))).toEqual(['NONE', 6, 2, at(20)])
  expect(await leader.list(LATEST, 1)).toEqual(['FENCED_LEADER_EPOCH', -1, -1, -1])
  expect(await leader.list(LATEST, 3)).toEqual(['UNKNOWN_LEADER_EPOCH', -1, -1, -1])

  const problem = async (fields: Parameters<Running['fetch']>[0]) => errorName((await leader.fetch(fields)).errorCode)
  expect(await problem({ currentLeaderEpoch: 1 })).toBe('FENCED_LEADER_EPOCH')
  expect(await problem({ currentLeaderEpoch: 3 })).toBe('UNKNOWN_LEADER_EPOCH')
  expect(await problem({ currentLeaderEpoch: 2 })).toBe('NONE')
  expect(await problem({ fetchOffset: 4, lastFetchedEpoch: 3 })).toBe('OFFSET_OUT_OF_RANGE')

  const diverging = async (lastFetchedEpoch: number, fetchOffset: number) => {
    const answer = await leader.fetch({ lastFetchedEpoch, fetchOffset, currentLeaderEpoch: 2 })
    expect([errorName(answer.errorCode), answer.highWatermark]).toEqual(['NONE', 8])
    expect(answer.divergingEpoch.epoch === -1).toBe(answer.records!.length > 0)
    return answer.divergingEpoch
  }
  // A consumer who has read the three records that are lost, and those who have not.
  expect(await diverging(0, 7)).toEqual({ epoch: 0, endOffset: 4 })
  expect(await diverging(0, 4)).toEqual({ epoch: -1, endOffset: -1 })
  expect(await diverging(1, 7)).toEqual({ epoch: 1, endOffset: 6 })
  expect(await diverging(1, 6)).toEqual({ epoch: -1, endOffset: -1 })
  expect(await diverging(2, 7)).toEqual({ epoch: -1, endOffset: -1 })

  const topics = [{ name: TOPIC, partitions: [{ partitionIndex: 0, offset: 5 }] }]
  await leader.wire.send('DeleteRecords', 2, { topics, timeoutMs: 5000 })
  expect(await leader.list(EARLIEST)).toEqual(['NONE', 5, 1, -1])
  expect(await leader.endOf(0)).toEqual(['NONE', 0, 5])
  expect(await problem({ fetchOffset: 4, lastFetchedEpoch: 0 })).toBe('OFFSET_OUT_OF_RANGE')
})
