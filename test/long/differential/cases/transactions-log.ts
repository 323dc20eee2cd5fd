// What transactions leave in partitions and groups, and who sees it when.

import { errorName } from '#kafka/protocol/protocol.ts'
import { type Case, otherThanKafka, sameAsKafka } from '#test/long/differential/case.ts'
import type { Conversation } from '#test/long/differential/conversation.ts'
import { coordinatorOf, type Member, Party } from '#test/long/differential/party.ts'
import { Transactor } from '#test/long/differential/transactor.ts'

const RECORD = [{ value: 'v' }]
const READ_COMMITTED = 1
const UNKNOWN_PRODUCER = 9_999_999
const UNKNOWN_ID = 'wire-client-00000000-0000-4000-8000-000000000000'
const TRANSACTIONAL = 0x10
const COMMIT_VERSIONS = [0, 1, 2, 3, 4, 5, 6]
const IDS_FROM = 6
const MEMBERS_FROM = 3

/** What readers of both kinds see of a partition, and where it ends for them. */
async function seen(broker: Conversation, topic: string) {
  const views: unknown[] = []
  for (const isolationLevel of [0, READ_COMMITTED]) {
    const { responses } = await broker.fetch([{ topic }], { isolationLevel })
    const asked = [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1 }] }]
    const ends = await broker.send('ListOffsets', 7, { replicaId: -1, isolationLevel, topics: asked })
    views.push(responses[0]!.partitions[0]!, ends.topics[0]!.partitions[0]!.offset)
  }
  return views
}

// Records of one time, so that both brokers store the same bytes; of now, or Kafka would begin a segment with the first marker.
const at = { baseTimestampMs: Date.now() }

const producing: Case[] = [
  sameAsKafka('an open transaction, and records behind it', async broker => {
    const [transactor, topic] = [await Transactor.open(broker), await broker.topic('open')]
    await broker.produce(topic, RECORD, at)
    const answer = await transactor.produce(topic, RECORD, at)
    await broker.produce(topic, RECORD, at)
    return [answer, await seen(broker, topic), await producers(broker, topic)]
  }),
  ...[true, false].map(committed =>
    sameAsKafka(`a transaction that was ${committed ? 'committed' : 'aborted'}`, async broker => {
      const [transactor, topic] = [await Transactor.open(broker), await broker.topic('ended')]
      await transactor.produce(topic, RECORD, at)
      await transactor.produce(topic, RECORD, at)
      await transactor.end(committed)
      await broker.produce(topic, RECORD, at)
      return [await offsetsSeen(broker, topic), await producers(broker, topic)]
    }),
  ),
  sameAsKafka('transactions that overlap', async broker => {
    const topic = await broker.topic('overlap')
    const [first, second] = [await Transactor.open(broker), await Transactor.open(broker)]
    await first.produce(topic, RECORD, at)
    await second.produce(topic, RECORD, at)
    await second.end(false)
    const open = await offsetsSeen(broker, topic)
    await first.end(true)
    return [open, await offsetsSeen(broker, topic)]
  }),
  ...[3, 9, 10, 11, 12].map(version =>
    sameAsKafka(`Produce v${version} in a transaction that was not told of the partition`, async broker => {
      const [transactor, topic] = [await Transactor.open(broker), await broker.topic('untold')]
      const produced = await transactor.produce(topic, RECORD, { ...at, version })
      return [produced, (await transactor.described()).transactionState]
    }),
  ),
  ...[3, 11, 12].map(version =>
    sameAsKafka(`Produce v${version} in a transaction that was told of the partition`, async broker => {
      const [transactor, topic] = [await Transactor.open(broker), await broker.topic('told')]
      await transactor.add(topic)
      return [
        await transactor.produce(topic, RECORD, { ...at, version }),
        await transactor.produce(topic, RECORD, { ...at, version, producerEpoch: 9 }),
        await transactor.produce(topic, RECORD, { ...at, version, producerEpoch: 0, baseSequence: 7 }),
        await transactor.produce(topic, RECORD, { ...at, version, producerId: UNKNOWN_PRODUCER }),
        await transactor.produce(topic, RECORD, { ...at, version, attributes: 0, baseSequence: 1 }),
      ]
    }),
  ),
  sameAsKafka('a batch of a transaction without a transactional id', async broker => {
    const [transactor, topic] = [await Transactor.open(broker), await broker.topic('nameless')]
    const { producerId, epoch } = transactor
    const of = { ...at, producerId, producerEpoch: epoch, baseSequence: 0, attributes: TRANSACTIONAL }
    return broker.outcome(broker.produce(topic, RECORD, of))
  }),
  sameAsKafka('a control batch of a client', async broker => {
    const [transactor, topic] = [await Transactor.open(broker), await broker.topic('control')]
    return transactor.produce(topic, RECORD, { ...at, attributes: TRANSACTIONAL | 0x20 })
  }),
]

/** The same without what the clocks of the brokers have written: which offsets readers see, and what was aborted. */
async function offsetsSeen(broker: Conversation, topic: string) {
  const views = (await seen(broker, topic)) as { records?: Buffer | null }[]
  return views.map(view => (typeof view === 'number' ? view : { ...view, records: view.records?.length }))
}

async function producers(broker: Conversation, topic: string) {
  const asked = [{ name: topic, partitionIndexes: [0] }]
  const { topics } = await broker.send('DescribeProducers', 0, { topics: asked })
  // Kafka tells its own epoch of the coordinator once there is a marker; here is one coordinator for ever.
  const withoutTimes = topics[0]!.partitions[0]!.activeProducers
  return withoutTimes.map(({ lastTimestamp: _, coordinatorEpoch: __, ...producer }) => producer)
}

async function withGroup(broker: Conversation) {
  const groupId = broker.topicName('group')
  await coordinatorOf(broker, groupId)
  const [transactor, topic] = [await Transactor.open(broker), await broker.topic('offsets')]
  const fetch = (requireStable = false) => broker.send('OffsetFetch', 7, { groupId, topics: null, requireStable })
  const fetchOne = (requireStable = false) => {
    const topics = [{ name: topic, partitionIndexes: [0, 1] }]
    return broker.send('OffsetFetch', 7, { groupId, topics, requireStable })
  }
  const commit = (offset: number) => {
    const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: 'plain' }]
    const nobody = { generationIdOrMemberEpoch: -1, memberId: '' }
    return broker.send('OffsetCommit', 8, { groupId, ...nobody, topics: [{ name: topic, partitions }] })
  }
  return { groupId, transactor, topic, fetch, fetchOne, commit }
}

const committing: Case[] = [
  ...COMMIT_VERSIONS.map(version =>
    sameAsKafka(`TxnOffsetCommit v${version}`, async broker => {
      const { groupId, transactor, topic: name, fetch } = await withGroup(broker)
      const topic = version >= IDS_FROM ? await broker.topicId(name) : name
      const commit = (more: object) => transactor.commitOffset(groupId, topic, 5, { version, ...more })
      return [
        await commit({}),
        await transactor.addOffsets(groupId),
        await commit({}),
        await commit({ producerEpoch: 9 }),
        await commit({ producerId: UNKNOWN_PRODUCER }),
        await commit({ groupId: '' }),
        await commit({ topics: [] }),
        await fetch(),
        await transactor.end(true),
        await fetch(),
      ]
    }),
  ),
  ...[true, false].map(committed =>
    sameAsKafka(`offsets of a transaction that is ${committed ? 'committed' : 'aborted'}`, async broker => {
      const { groupId, transactor, topic, fetch, fetchOne, commit } = await withGroup(broker)
      await commit(2)
      await transactor.commitOffset(groupId, topic, 5)
      const before = [await fetch(), await fetch(true), await fetchOne(), await fetchOne(true)]
      await transactor.end(committed)
      return [before, await fetch(true), await fetchOne(true)]
    }),
  ),
  otherThanKafka(
    'TxnOffsetCommit with the transactional id of nobody',
    {
      because: 'Kafka compares the transactional id with nothing once a producer has written to the group',
      ours: ['NONE', 'INVALID_PRODUCER_ID_MAPPING'],
    },
    async broker => {
      const { groupId, transactor, topic } = await withGroup(broker)
      const answers = [
        await transactor.commitOffset(groupId, topic, 5),
        await transactor.commitOffset(groupId, topic, 5, { transactionalId: broker.topicName('nobody') }),
      ]
      return answers.map(({ topics }) => errorName(topics[0]!.partitions[0]!.errorCode))
    },
  ),
  sameAsKafka('an offset that was committed meanwhile stays', async broker => {
    const { groupId, transactor, topic, fetch, commit } = await withGroup(broker)
    await transactor.commitOffset(groupId, topic, 5)
    await commit(9)
    const before = [await fetch(), await fetch(true)]
    await transactor.end(true)
    return [before, await fetch(true)]
  }),
  sameAsKafka('offsets of a transaction that its successor has ended', async broker => {
    const { groupId, transactor, topic, fetch } = await withGroup(broker)
    await transactor.commitOffset(groupId, topic, 5)
    const young = new Transactor(broker, transactor.transactionalId)
    await young.init()
    return [await fetch(true), await transactor.commitOffset(groupId, topic, 6), await fetch(true)]
  }),
  sameAsKafka('a group is deleted while a transaction is about to commit to it', async broker => {
    const { groupId, transactor, topic, fetch, commit } = await withGroup(broker)
    await commit(2)
    await transactor.commitOffset(groupId, topic, 5)
    const deleted = await broker.send('DeleteGroups', 2, { groupsNames: [groupId] })
    await transactor.end(true)
    return [deleted, await fetch(true)]
  }),
  sameAsKafka('an offset is deleted while a transaction is about to commit it', async broker => {
    const { groupId, transactor, topic, fetch, commit } = await withGroup(broker)
    await commit(2)
    await transactor.commitOffset(groupId, topic, 5)
    const topics = [{ name: topic, partitions: [{ partitionIndex: 0 }] }]
    const deleted = await broker.send('OffsetDelete', 0, { groupId, topics })
    const between = [await fetch(), await fetch(true)]
    await transactor.end(true)
    return [deleted, between, await fetch(true)]
  }),
  ...[MEMBERS_FROM, 5].map(version =>
    sameAsKafka(`TxnOffsetCommit v${version} of a member`, async broker => {
      const [party, topic] = [await Party.open(broker), await broker.topic('offsets')]
      const [member, transactor] = [await party.member('a'), await Transactor.open(broker)]
      await party.stable(member)
      await transactor.addOffsets(party.groupId)
      const as = (self: object) => transactor.commitOffset(party.groupId, topic, 5, { version, ...self })
      const self = { memberId: member.id, generationIdOrMemberEpoch: member.generation }
      const stable = [
        await as(self),
        await as({ ...self, generationIdOrMemberEpoch: 0 }),
        await as({ ...self, generationIdOrMemberEpoch: 7 }),
        await as({ ...self, generationIdOrMemberEpoch: -1 }),
        await as({ ...self, memberId: UNKNOWN_ID }),
        await as({ ...self, memberId: '' }),
        await as({ ...self, groupInstanceId: 'nobody' }),
        await as({}),
      ]
      return [stable, await whileJoining(party, member, () => as(self))]
    }),
  ),
]

/** What is answered while another member joins. */
async function whileJoining(party: Party, member: Member, ask: () => Promise<unknown>) {
  const other = await party.member('b')
  const joining = other.join()
  await member.heartsRebalance()
  const preparing = await ask()
  await Promise.all([member.joinOnce(), joining])
  return [preparing, await ask()]
}

const marking: Case[] = [
  ...[1, 2].map(version =>
    sameAsKafka(`WriteTxnMarkers v${version} ends a transaction in a partition`, async broker => {
      const [transactor, topic] = [await Transactor.open(broker), await broker.topic('marked')]
      await transactor.init()
      await transactor.produce(topic, RECORD, at)
      const { producerId, epoch } = transactor
      const mark = (more: object, name = topic) =>
        broker.send('WriteTxnMarkers', version, {
          markers: [
            {
              ...{ producerId, producerEpoch: epoch, transactionResult: false, coordinatorEpoch: 0 },
              topics: [{ name, partitionIndexes: [0] }],
              ...more,
            },
          ],
        })
      return [
        await mark({}, broker.topicName('nowhere')),
        await mark({ producerEpoch: epoch - 1 }),
        await mark({}),
        await offsetsSeen(broker, topic),
      ]
    }),
  ),
  otherThanKafka(
    'who writes after an administrator has ended its transaction',
    {
      because:
        'the transaction is ended everywhere and its producer fenced, where Kafka ends it in one partition alone',
      ours: ['NONE', 'INVALID_PRODUCER_EPOCH', 'CompleteAbort'],
    },
    async broker => {
      const [transactor, topic] = [await Transactor.open(broker), await broker.topic('marked')]
      await transactor.produce(topic, RECORD, at)
      const { producerId, epoch: producerEpoch } = transactor
      const topics = [{ name: topic, partitionIndexes: [0] }]
      const marker = { producerId, producerEpoch, transactionResult: false, coordinatorEpoch: 0, topics }
      const { markers } = await broker.send('WriteTxnMarkers', 1, { markers: [marker] })
      const marked = markers[0]!.topics[0]!.partitions[0]!.errorCode
      const { errorCode } = await transactor.produce(topic, RECORD, at)
      return [errorName(marked), errorName(errorCode), (await transactor.described()).transactionState]
    },
  ),
]

export const transactionLogCases: Case[] = [...producing, ...committing, ...marking]
