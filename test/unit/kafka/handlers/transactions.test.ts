import { describe, expect, it, vi } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import type { BrokerFixture } from '#test/support/broker-fixture.ts'
import {
  addPartitions,
  begin,
  brokerWithTopic,
  commitOffset,
  end,
  fetch,
  GROUP,
  ID,
  offsetOf,
  type Producer,
  TOPIC,
  write,
} from '#test/support/transactional-producer.ts'

describe('a transaction before KIP-890', () => {
  it('adds its partitions and its group first, and keeps its epoch', async () => {
    const fixture = await brokerWithTopic()
    const producer = await begin(fixture)
    expect(await addPartitions(fixture, producer, [0, 1])).toEqual(['NONE', 'NONE'])
    expect(await commitOffset(fixture, producer, {}, 3)).toBe('INVALID_TXN_STATE')
    const added = await fixture.ask('AddOffsetsToTxn', 3, { ...producer, groupId: GROUP })
    expect(errorName(added.errorCode)).toBe('NONE')
    expect(await commitOffset(fixture, producer, {}, 3)).toBe('NONE')
    expect(await end(fixture, producer, true, 3)).toMatchObject({ error: 'NONE' })
    expect(fixture.state.transactions.get(ID)).toMatchObject({ phase: 'CompleteCommit', epoch: 0 })
    expect(await offsetOf(fixture)).toEqual({ committedOffset: 7, metadata: 'kept' })
    expect([0, 1].map(index => fixture.partition(TOPIC, index).nextOffset)).toEqual([1, 1])
  })

  it('adds all partitions or none', async () => {
    const fixture = await brokerWithTopic()
    const producer = await begin(fixture)
    expect(await addPartitions(fixture, producer, [0, 2])).toEqual([
      'OPERATION_NOT_ATTEMPTED',
      'UNKNOWN_TOPIC_OR_PARTITION',
    ])
    expect(fixture.state.transactions.get(ID)?.isOngoing).toBe(false)
  })

  it('is told by the older code that its producer was fenced, where the newer is not known', async () => {
    const fixture = await brokerWithTopic()
    const zombie = await begin(fixture)
    await begin(fixture)
    const codes = async (version: number) => [
      ...(await addPartitions(fixture, zombie, [0], version)),
      errorName((await fixture.ask('AddOffsetsToTxn', version, { ...zombie, groupId: GROUP })).errorCode),
      (await end(fixture, zombie, true, version)).error,
    ]
    expect(await codes(1)).toEqual(Array(3).fill('INVALID_PRODUCER_EPOCH'))
    expect(await codes(2)).toEqual(Array(3).fill('PRODUCER_FENCED'))
    const again = (version: number) => fixture.ask('InitProducerId', version, { ...zombie, transactionTimeoutMs: 1000 })
    expect(errorName((await again(3)).errorCode)).toBe('INVALID_PRODUCER_EPOCH')
    expect(errorName((await again(4)).errorCode)).toBe('PRODUCER_FENCED')
  })

  it('is verified for other brokers, in one request for several', async () => {
    const fixture = await brokerWithTopic()
    const producer = await begin(fixture)
    await addPartitions(fixture, producer, [0])
    const topics = [{ name: TOPIC, partitions: [0, 1] }]
    const asked = { ...producer, verifyOnly: true, topics }
    const wrong = { ...asked, transactionalId: 'unknown' }
    const { resultsByTransaction } = await fixture.ask('AddPartitionsToTxn', 4, { transactions: [asked, wrong] })
    const codes = resultsByTransaction.map(({ topicResults }) =>
      topicResults[0]!.resultsByPartition.map(result => errorName(result.partitionErrorCode)),
    )
    expect(codes).toEqual([
      ['NONE', 'TRANSACTION_ABORTABLE'],
      ['INVALID_PRODUCER_ID_MAPPING', 'INVALID_PRODUCER_ID_MAPPING'],
    ])
  })
})

describe('what is not the producer that has the transactional id', () => {
  it.each<[string, Partial<Producer>, string]>([
    ['of an id that nobody has', { transactionalId: 'unknown' }, 'INVALID_PRODUCER_ID_MAPPING'],
    ['of a producer id that was never issued', { producerId: 4711 }, 'INVALID_PRODUCER_ID_MAPPING'],
    ['of an epoch from the future', { producerEpoch: 5 }, 'PRODUCER_FENCED'],
    ['without an id', { transactionalId: '' }, 'INVALID_REQUEST'],
  ])('is refused: %s, and nothing changes', async (_, wrong, error) => {
    const fixture = await brokerWithTopic()
    const producer = await begin(fixture)
    await write(fixture, producer)
    const asking = { ...producer, ...wrong }
    expect(await addPartitions(fixture, asking, [1])).toEqual([error])
    const added = await fixture.ask('AddOffsetsToTxn', 4, { ...asking, groupId: GROUP })
    expect(errorName(added.errorCode)).toBe(error)
    expect((await end(fixture, asking, true)).error).toBe(error)
    const ofGroup = error === 'PRODUCER_FENCED' ? 'INVALID_PRODUCER_EPOCH' : 'INVALID_PRODUCER_ID_MAPPING'
    expect(await commitOffset(fixture, asking)).toBe(ofGroup)
    expect(fixture.state.transactions.get(ID)).toMatchObject({ phase: 'Ongoing', groups: new Set() })
    expect(fixture.partition(TOPIC).lastStableOffset).toBe(0)
  })
})

describe('offsets of a transaction', () => {
  it('go with those that are deleted meanwhile', async () => {
    const fixture = await brokerWithTopic()
    const producer = await begin(fixture)
    await commitOffset(fixture, producer)
    const topics = [{ name: TOPIC, partitions: [{ partitionIndex: 0 }] }]
    await fixture.ask('OffsetDelete', 0, { groupId: GROUP, topics })
    await end(fixture, producer, true)
    expect(await offsetOf(fixture, true)).toEqual({ committedOffset: -1, metadata: '' })
  })

  it.each([
    [3, 'INVALID_TXN_STATE'],
    [4, 'TRANSACTION_ABORTABLE'],
    [5, 'NONE'],
  ])('are of a group that the transaction was told of, in v%i', async (version, error) => {
    const fixture = await brokerWithTopic()
    expect(await commitOffset(fixture, await begin(fixture), {}, version)).toBe(error)
  })

  it('count with its commit, and are not stable before', async () => {
    const fixture = await brokerWithTopic()
    const producer = await begin(fixture)
    expect(await commitOffset(fixture, producer)).toBe('NONE')
    expect(await offsetOf(fixture)).toEqual({ committedOffset: -1, metadata: '' })
    expect(await offsetOf(fixture, true)).toBe('UNSTABLE_OFFSET_COMMIT')
    await end(fixture, producer, true)
    expect(await offsetOf(fixture, true)).toEqual({ committedOffset: 7, metadata: 'kept' })
  })

  it('never count if it is aborted', async () => {
    const fixture = await brokerWithTopic()
    const producer = await begin(fixture)
    await commitOffset(fixture, producer)
    await end(fixture, producer, false)
    expect(await offsetOf(fixture, true)).toEqual({ committedOffset: -1, metadata: '' })
  })

  it.each<[string, Record<string, unknown>, number, string]>([
    ['of no group', { groupId: '' }, 5, 'INVALID_GROUP_ID'],
    ['of a member that is none', { memberId: 'ghost', generationIdOrMemberEpoch: 1 }, 5, 'ILLEGAL_GENERATION'],
    ['with too much beside it', { committedMetadata: 'x'.repeat(5000) }, 5, 'OFFSET_METADATA_TOO_LARGE'],
    ['of a partition that is not there', { partitionIndex: 9 }, 5, 'UNKNOWN_TOPIC_OR_PARTITION'],
  ])('are refused: %s', async (_, wrong, version, error) => {
    const fixture = await brokerWithTopic()
    const producer = await begin(fixture)
    expect(await commitOffset(fixture, producer, wrong, version)).toBe(error)
    expect(fixture.state.transactions.get(ID)?.isOngoing).toBe(false)
  })

  it('are of a topic by its id from version 6 on', async () => {
    const fixture = await brokerWithTopic()
    const producer = await begin(fixture)
    expect(await commitOffset(fixture, producer, {}, 6)).toBe('NONE')
  })
})

describe('a consumer of what is committed', () => {
  it('reads up to the first open transaction, and is told which were aborted', async () => {
    const fixture = await brokerWithTopic()
    const producer = await begin(fixture)
    await write(fixture, producer)
    const { producerEpoch } = await end(fixture, producer, false)
    await fixture.append(TOPIC, [{ value: 'plain' }])
    await write(fixture, { ...producer, producerEpoch })
    const answerOf = async (isolationLevel: number) => {
      const { responses } = await fixture.clock.run(fetch(fixture, isolationLevel))
      const { highWatermark, lastStableOffset, abortedTransactions, records } = responses[0]!.partitions[0]!
      return { highWatermark, lastStableOffset, abortedTransactions, sizeBytes: (records as Buffer).length }
    }
    const [all, committed] = [await answerOf(0), await answerOf(1)]
    expect(all).toMatchObject({ highWatermark: 4, lastStableOffset: 3, abortedTransactions: null })
    const abortedTransactions = [{ producerId: producer.producerId, firstOffset: 0 }]
    expect(committed).toMatchObject({ highWatermark: 4, lastStableOffset: 3, abortedTransactions })
    expect(committed.sizeBytes).toBeLessThan(all.sizeBytes)
    const wanted = { topics: [{ name: TOPIC, partitions: [{ partitionIndex: 0, timestamp: -1 }] }] }
    const latest = async (isolationLevel: number) =>
      (await fixture.ask('ListOffsets', 7, { ...wanted, isolationLevel })).topics[0]!.partitions[0]!.offset
    expect([await latest(0), await latest(1)]).toEqual([4, 3])
  })

  it('waits for the end of a transaction, and is woken by it', async () => {
    const fixture = await brokerWithTopic()
    const producer = await begin(fixture)
    const waiting = fetch(fixture, 1, 0, 5000)
    await write(fixture, producer)
    await fixture.clock.runFor(1000)
    const beganMs = fixture.clock.monotonicMs()
    await end(fixture, producer, true)
    const { responses } = await fixture.clock.run(waiting)
    expect(fixture.clock.monotonicMs() - beganMs).toBeLessThan(100)
    expect(responses[0]!.partitions[0]).toMatchObject({
      highWatermark: 2,
      lastStableOffset: 2,
      abortedTransactions: [],
    })
  })
})

describe('a read from files that loses its records meanwhile', () => {
  it('shows none of them: what was aborted is not known any more', async () => {
    const before = await brokerWithTopic()
    const producer = await begin(before)
    await write(before, producer)
    await end(before, producer, false)
    const fixture = await before.restart()
    await begin(fixture) // which begins the file that the next change goes to
    const fetching = fetch(fixture, 1)
    const { ordinal } = fixture.partition(TOPIC)
    const moved = fixture.broker.log.propose({ kind: 'log-start-moved', ordinal, offset: 2 })
    const [{ responses }] = await fixture.clock.run(Promise.all([fetching, moved]))
    const { errorCode, records } = responses[0]!.partitions[0]!
    expect(errorName(errorCode)).toBe('OFFSET_OUT_OF_RANGE')
    expect(records).toHaveLength(0)
  })
})

describe('a transaction that is left open', () => {
  it.each([
    ['in a broker that goes on', (fixture: BrokerFixture) => fixture],
    ['over a restart', (fixture: BrokerFixture) => fixture.restart()],
  ])('is aborted when its time is over, and its producer goes on with the next epoch, %s', async (_, onward) => {
    const before = await brokerWithTopic()
    const producer = await begin(before, 10_000)
    await write(before, producer)
    await before.clock.runFor(4000)
    const fixture = await onward(before)
    await fixture.clock.runFor(5900)
    expect(fixture.partition(TOPIC).lastStableOffset).toBe(0)
    await fixture.clock.runFor(200)
    expect(fixture.partition(TOPIC)).toMatchObject({ lastStableOffset: 2, nextOffset: 2 })
    expect((await end(fixture, producer, true)).error).toBe('INVALID_TXN_STATE')
    // What it asks when it hears of that, as in Kafka.
    expect(await fixture.ask('EndTxn', 5, { ...producer, transactionalId: ID, committed: false })).toMatchObject({
      errorCode: 0,
      producerEpoch: 1,
    })
    expect(fixture.broker.metrics.transactionsTimedOut.value).toBe(1)
  })

  it('is aborted in time though it begins later than that', async () => {
    const fixture = await brokerWithTopic()
    const { producerId, producerEpoch } = await begin(fixture, 5)
    const fields = { producerId, producerEpoch, baseSequence: 0, isTransactional: true, joinsTransaction: true }
    // Written off the thread, by a disk that takes its time.
    fixture.disk.onCall = () => {
      fixture.clock.elapse(20)
      return null
    }
    expect(fixture.broker.transactions.mayProduce(ID, producerId)).toBe('NONE')
    await fixture.append(TOPIC, [{ value: 'x'.repeat(1 << 20) }], fields)
    fixture.disk.onCall = () => null
    await fixture.clock.runFor(10)
    expect(fixture.partition(TOPIC)).toMatchObject({ lastStableOffset: 2, nextOffset: 2 })
  })

  it.each([-86_400_000, 86_400_000])('has its time though somebody sets the clock by %i ms', async byMs => {
    const before = await brokerWithTopic()
    const producer = await begin(before, 10_000)
    await write(before, producer)
    before.clock.jump(byMs)
    const fixture = await before.restart()
    // Ahead: as if it had been open for a day. Back: it has its whole time again, and no more.
    if (byMs < 0) {
      await fixture.clock.runFor(9900)
      expect(fixture.partition(TOPIC).lastStableOffset).toBe(0)
    }
    await fixture.clock.runFor(200)
    expect(fixture.partition(TOPIC).lastStableOffset).toBe(2)
  })

  it('is not aborted if its producer ends it in the last moment', async () => {
    const before = await brokerWithTopic()
    const producers: Producer[] = []
    for (const id of ['a', 'b', 'c']) producers.push(await begin(before, 10_000, id))
    for (const producer of producers) await write(before, producer)
    before.clock.jump(10_000)
    const fixture = await before.restart()
    const last = producers[2]!
    const ended = fixture.begin('EndTxn', 5, { ...last, committed: true })
    await fixture.clock.runFor(100)
    expect(await ended).toMatchObject({ errorCode: 0, producerEpoch: 1 })
    const phases = [...fixture.state.transactions.values()].map(({ phase, epoch }) => [phase, epoch])
    expect(phases).toEqual([
      ['CompleteAbort', 1],
      ['CompleteAbort', 1],
      ['CompleteCommit', 1],
    ])
    expect(fixture.broker.metrics.transactionsTimedOut.value).toBe(2)
  })

  it('is listed, described and aborted by an administrator', async () => {
    const fixture = await brokerWithTopic()
    const producer = await begin(fixture)
    await write(fixture, producer, 0, 1)
    await begin(fixture, 60_000, 'idle')
    await fixture.clock.runFor(5000)
    const list = async (filters: object) =>
      (await fixture.ask('ListTransactions', 1, { stateFilters: [], producerIdFilters: [], ...filters }))
        .transactionStates
    expect((await list({})).map(({ transactionalId }) => transactionalId)).toEqual([ID, 'idle'])
    for (const filters of [{ stateFilters: ['Ongoing'] }, { durationFilter: 4000 }, { producerIdFilters: [0] }]) {
      expect(await list(filters)).toEqual([{ transactionalId: ID, producerId: 0, transactionState: 'Ongoing' }])
    }
    expect(await list({ durationFilter: 6000 })).toEqual([])
    const match = async (transactionalIdPattern: string) => {
      const wanted = { stateFilters: [], producerIdFilters: [], transactionalIdPattern }
      const { errorCode, transactionStates } = await fixture.ask('ListTransactions', 2, wanted)
      return errorCode === 0 ? transactionStates.map(({ transactionalId }) => transactionalId) : errorName(errorCode)
    }
    expect(await match('')).toEqual([ID, 'idle'])
    expect(await match('i.*')).toEqual(['idle'])
    expect(await match('(')).toBe('INVALID_REGULAR_EXPRESSION')
    const [found, missing] = (await fixture.ask('DescribeTransactions', 0, { transactionalIds: [ID, 'x'] }))
      .transactionStates
    expect(found).toMatchObject({ transactionState: 'Ongoing', topics: [{ topic: TOPIC, partitions: [1] }] })
    expect(errorName(missing!.errorCode)).toBe('TRANSACTIONAL_ID_NOT_FOUND')
    const producers = await fixture.ask('DescribeProducers', 0, { topics: [{ name: TOPIC, partitionIndexes: [1] }] })
    expect(producers.topics[0]!.partitions[0]!.activeProducers).toMatchObject([{ currentTxnStartOffset: 0 }])
    const marker = {
      ...producer,
      transactionResult: false,
      coordinatorEpoch: 0,
      topics: [{ name: TOPIC, partitionIndexes: [1] }],
    }
    const mark = async (fields: object) => {
      const { markers } = await fixture.ask('WriteTxnMarkers', 1, { markers: [{ ...marker, ...fields }] })
      return errorName(markers[0]!.topics[0]!.partitions[0]!.errorCode)
    }
    expect(await mark({ transactionResult: true })).toBe('INVALID_TXN_STATE')
    expect(await mark({ producerEpoch: -1 })).toBe('INVALID_PRODUCER_EPOCH')
    expect(await mark({})).toBe('NONE')
    expect(fixture.partition(TOPIC, 1).lastStableOffset).toBe(2)
    expect((await end(fixture, producer, true)).error).toBe('INVALID_TXN_STATE')
  })
})

describe('behind the last epoch a producer goes on as another', () => {
  const LAST = 32766
  async function atTheLastEpoch() {
    const fixture = await brokerWithTopic()
    const { producerId } = await begin(fixture, 1000)
    const from = { fromProducerId: producerId, fromEpoch: 0, isNamed: false }
    const claim = { transactionalId: ID, timeoutMs: 1000, ...from, producerId, epoch: LAST }
    await fixture.propose({ kind: 'transactional-id-claimed', ...claim })
    const producer = { transactionalId: ID, producerId, producerEpoch: LAST }
    await write(fixture, producer)
    return { fixture, producer }
  }
  const init = async (fixture: BrokerFixture, producer: Producer) => {
    const answer = await fixture.ask('InitProducerId', 5, { ...producer, transactionTimeoutMs: 1000 })
    return {
      error: errorName(answer.errorCode),
      epoch: answer.producerEpoch,
      isNew: answer.producerId !== producer.producerId,
    }
  }
  const another = { error: 'NONE', epoch: 0, isNew: true }

  it('when it aborts what was aborted in time', async () => {
    const { fixture, producer } = await atTheLastEpoch()
    await fixture.clock.runFor(2000)
    expect((await end(fixture, producer, true)).error).toBe('INVALID_TXN_STATE')
    const { error, producerId, producerEpoch } = await end(fixture, producer, false)
    expect({ error, epoch: producerEpoch, isNew: producerId !== producer.producerId }).toEqual(another)
  })

  it('when it begins anew after that, also if it does not hear the answer', async () => {
    const { fixture, producer } = await atTheLastEpoch()
    await fixture.clock.runFor(2000)
    expect(await init(fixture, producer)).toEqual(another)
    expect(await init(fixture, producer)).toEqual(another)
  })

  it('when it begins anew with its transaction open', async () => {
    const { fixture, producer } = await atTheLastEpoch()
    expect(await init(fixture, producer)).toEqual(another)
    expect(fixture.partition(TOPIC).lastStableOffset).toBe(2)
  })

  it('unless somebody else has the transactional id by then', async () => {
    const { fixture, producer } = await atTheLastEpoch()
    await begin(fixture)
    expect((await init(fixture, producer)).error).toBe('PRODUCER_FENCED')
  })
})

describe('a full disk', () => {
  it('is told as a coordinator that is not available, and nothing changes', async () => {
    const fixture = await brokerWithTopic()
    const producer = await begin(fixture)
    await write(fixture, producer)
    fixture.fillDisk()
    expect((await end(fixture, producer, true)).error).toBe('COORDINATOR_NOT_AVAILABLE')
    expect(await addPartitions(fixture, producer, [1])).toEqual(['COORDINATOR_NOT_AVAILABLE'])
    expect(await commitOffset(fixture, producer)).toBe('COORDINATOR_NOT_AVAILABLE')
    expect(fixture.state.transactions.get(ID)).toMatchObject({ phase: 'Ongoing', groups: new Set() })
  })

  it('is one line of the log a second, however many transactions are to be aborted', async () => {
    const fixture = await brokerWithTopic()
    for (let i = 0; i < 20; i++) await write(fixture, await begin(fixture, 1000, `t${i}`))
    const warn = vi.spyOn(fixture.broker.logger, 'warn')
    fixture.fillDisk()
    await fixture.clock.runFor(10_500)
    expect(fixture.state.openTransactions.size).toBe(20)
    expect(warn.mock.calls.length).toBeGreaterThan(5)
    expect(warn.mock.calls.length).toBeLessThanOrEqual(10)
    expect(warn).toHaveBeenLastCalledWith(expect.stringContaining('tried again'), { count: 20 })
  })
})
