// What the coordinator of transactions answers to producers and to administrators.

import { type Case, otherThanKafka, sameAsKafka } from '#test/long/differential/case.ts'
import type { Conversation } from '#test/long/differential/conversation.ts'
import { Transactor } from '#test/long/differential/transactor.ts'
import { until } from '#test/support/until.ts'
import type { RequestBody } from '#test/support/wire-messages.ts'

const INIT_VERSIONS = [0, 1, 2, 3, 4, 5]
const NAMED_FROM = 3
const END_VERSIONS = [0, 1, 2, 3, 4, 5]
const END_BUMPS_FROM = 5
const TIMEOUTS_MS = [-1, 0, 1, 900_000, 900_001]
const UNKNOWN_PRODUCER = 9_999_999
const RECORD = [{ value: 'v' }]

const raw = (broker: Conversation, version: number, body: Partial<RequestBody<'InitProducerId'>>) =>
  broker.send('InitProducerId', version, { transactionTimeoutMs: 60_000, transactionalId: null, ...body })

const beginning: Case[] = [
  ...INIT_VERSIONS.map(version =>
    sameAsKafka(`InitProducerId v${version}, and again`, async broker => {
      const transactor = new Transactor(broker, broker.topicName('transactional'))
      await transactor.ready()
      return [await transactor.init({ version }), await transactor.init({ version }), await transactor.described()]
    }),
  ),
  ...TIMEOUTS_MS.map(transactionTimeoutMs =>
    sameAsKafka(`a transaction may take ${transactionTimeoutMs} ms`, async broker => {
      const transactor = new Transactor(broker, broker.topicName('transactional'))
      await transactor.ready()
      return [await transactor.init({ transactionTimeoutMs }), await transactor.described()]
    }),
  ),
  sameAsKafka('InitProducerId with no name', async broker => {
    await Transactor.open(broker)
    return [await raw(broker, 5, { transactionalId: '' }), await raw(broker, 1, { transactionalId: '' })]
  }),
  sameAsKafka('InitProducerId without a transactional id', async broker => [
    await raw(broker, 5, {}),
    await raw(broker, 5, { transactionTimeoutMs: -1 }),
    await raw(broker, 5, { producerId: UNKNOWN_PRODUCER, producerEpoch: 3 }),
    await raw(broker, 5, { producerId: 1 }),
    await raw(broker, 5, { producerEpoch: 1 }),
  ]),
  ...[NAMED_FROM, 4, 5].map(version =>
    sameAsKafka(`InitProducerId v${version} of who says what it was`, async broker => {
      const transactor = await Transactor.open(broker)
      const { producerId } = transactor
      const as = (epoch: number, id = producerId) => transactor.init({ version, producerId: id, producerEpoch: epoch })
      return [
        await as(0),
        await as(0),
        await as(1),
        await as(0),
        await as(1),
        await as(9),
        await as(0, UNKNOWN_PRODUCER),
      ]
    }),
  ),
  ...[true, false].map(isNew =>
    sameAsKafka(`InitProducerId of who has begun ${isNew ? 'by producing' : 'by adding a partition'}`, async broker => {
      const [transactor, topic] = [await Transactor.open(broker), await broker.topic('begun')]
      const { producerId, epoch: producerEpoch } = transactor
      if (isNew) await transactor.produce(topic, RECORD)
      else await transactor.add(topic)
      return [
        await transactor.init({ producerId, producerEpoch }),
        await transactor.init({ producerId, producerEpoch }),
      ]
    }),
  ),
  sameAsKafka('InitProducerId of a name that nobody has, of who says what it was', async broker => {
    const transactor = new Transactor(broker, broker.topicName('transactional'))
    await transactor.ready()
    return transactor.init({ producerId: UNKNOWN_PRODUCER, producerEpoch: 3 })
  }),
  ...[1, 5].map(version =>
    sameAsKafka(`InitProducerId v${version} ends what its predecessor has left`, async broker => {
      const [old, topic] = [await Transactor.open(broker), await broker.topic('left')]
      await old.produce(topic, RECORD)
      const young = new Transactor(broker, old.transactionalId)
      const answers = [await young.init({ version }), await young.settled()]
      const fenced = await old.produce(topic, RECORD)
      const ended = [await old.end(true), await old.end(true, { version: 3 }), await old.end(false, { version: 1 })]
      return [...answers, fenced, ...ended, await old.add(topic), await old.add(topic, [0], { version: 1 })]
    }),
  ),
]

const joining: Case[] = [
  ...[0, 1, 2, 3].map(version =>
    sameAsKafka(`AddPartitionsToTxn v${version}`, async broker => {
      const transactor = await Transactor.open(broker)
      const [topic, nowhere] = [await broker.topic('joined', { partitions: 2 }), broker.topicName('nowhere')]
      const both = [
        { name: topic, partitions: [0] },
        { name: nowhere, partitions: [0] },
      ]
      return [
        await transactor.add(nowhere, [0], { version }),
        await transactor.add(topic, [0, 5], { version }),
        await transactor.add(topic, [0], { version, v3AndBelowTopics: both }),
        await transactor.described(),
        await transactor.add(topic, [0], { version }),
        await transactor.add(topic, [1, 0], { version }),
        await transactor.add(topic, [], { version }),
        await transactor.described(),
        await transactor.add(topic, [0], { version, v3AndBelowProducerEpoch: 9 }),
        await transactor.add(topic, [0], { version, v3AndBelowProducerEpoch: -1 }),
        await transactor.add(topic, [0], { version, v3AndBelowProducerId: UNKNOWN_PRODUCER }),
        await transactor.add(topic, [0], { version, v3AndBelowTransactionalId: broker.topicName('nobody') }),
        await transactor.add(topic, [0], { version, v3AndBelowTransactionalId: '' }),
      ]
    }),
  ),
  sameAsKafka('AddPartitionsToTxn of nothing', async broker => {
    const transactor = await Transactor.open(broker)
    return [await transactor.add('', [], { v3AndBelowTopics: [] }), await transactor.described()]
  }),
  ...[0, 1, 2, 3, 4].map(version =>
    sameAsKafka(`AddOffsetsToTxn v${version}`, async broker => {
      const [transactor, groupId] = [await Transactor.open(broker), broker.topicName('group')]
      return [
        await transactor.addOffsets(groupId, { version }),
        await transactor.addOffsets(groupId, { version, producerEpoch: 9 }),
        await transactor.addOffsets(groupId, { version, producerId: UNKNOWN_PRODUCER }),
        await transactor.addOffsets(groupId, { version, transactionalId: broker.topicName('nobody') }),
        await transactor.addOffsets(groupId, { version, transactionalId: '' }),
        (await transactor.described()).transactionState,
      ]
    }),
  ),
]

const ending: Case[] = [
  ...END_VERSIONS.flatMap(version =>
    [true, false].map(committed =>
      sameAsKafka(`EndTxn v${version} with ${committed ? 'commit' : 'abort'}`, async broker => {
        const [transactor, topic] = [await Transactor.open(broker), await broker.topic('ended')]
        const self = { producerId: transactor.producerId, producerEpoch: transactor.epoch }
        await transactor.add(topic)
        const before = await transactor.described()
        return [
          before,
          await transactor.end(committed, { version }),
          await transactor.described(),
          await transactor.end(committed, { version, ...self }),
          await transactor.end(!committed, { version, ...self }),
          await transactor.described(),
        ]
      }),
    ),
  ),
  ...END_VERSIONS.map(version =>
    sameAsKafka(`EndTxn v${version} where nothing was begun`, async broker => {
      const [committing, aborting] = [await Transactor.open(broker), await Transactor.open(broker)]
      return [
        await committing.end(true, { version }),
        await committing.described(),
        await aborting.end(false, { version }),
        (await aborting.described()).transactionState,
        await aborting.end(false, { version }),
      ]
    }),
  ),
  ...END_VERSIONS.map(version =>
    sameAsKafka(`EndTxn v${version} by somebody else`, async broker => {
      const [transactor, topic] = [await Transactor.open(broker), await broker.topic('ended')]
      await transactor.add(topic)
      return [
        await transactor.end(true, { version, producerEpoch: 9 }),
        await transactor.end(true, { version, producerEpoch: -1 }),
        await transactor.end(true, { version, producerId: UNKNOWN_PRODUCER }),
        await transactor.end(true, { version, transactionalId: broker.topicName('nobody') }),
        await transactor.end(true, { version, transactionalId: '' }),
        (await transactor.described()).transactionState,
      ]
    }),
  ),
  sameAsKafka('one transaction after the other, with the epoch of each', async broker => {
    const [transactor, topic] = [await Transactor.open(broker), await broker.topic('ended')]
    const answers: unknown[] = []
    for (const committed of [true, false, true]) {
      answers.push(await transactor.produce(topic, RECORD), await transactor.end(committed))
    }
    return answers
  }),
  sameAsKafka('one transaction after the other, in one epoch', async broker => {
    const [transactor, topic] = [await Transactor.open(broker), await broker.topic('ended')]
    const answers: unknown[] = []
    for (const committed of [true, false, true]) {
      answers.push(await transactor.add(topic), await transactor.produce(topic, RECORD, { version: 11 }))
      answers.push(await transactor.end(committed, { version: 3 }))
    }
    return answers
  }),
  ...[1, 3, 5].map(version =>
    sameAsKafka(`a transaction that took too long is ended v${version}`, async broker => {
      const [transactor, topic] = [await Transactor.open(broker, 500), await broker.topic('late')]
      const self = { producerId: transactor.producerId, producerEpoch: transactor.epoch }
      if (version < END_BUMPS_FROM) await transactor.add(topic)
      await transactor.produce(topic, RECORD, version < END_BUMPS_FROM ? { version: 11 } : {})
      await until('the end', async () => (await transactor.described()).transactionState === 'CompleteAbort')
      return [
        await transactor.described(),
        await transactor.end(true, { version, ...self }),
        await transactor.end(false, { version, ...self }),
        await transactor.produce(topic, RECORD),
        await transactor.add(topic),
        ...(version < END_BUMPS_FROM ? [] : [await transactor.init(self)]),
      ]
    }),
  ),
  ...[true, false].map(isNew =>
    sameAsKafka(
      `who lost a transaction to time asks who it is: begun ${isNew ? 'by producing' : 'by adding'}`,
      async broker => {
        const [transactor, topic] = [await Transactor.open(broker, 500), await broker.topic('late')]
        const { producerId, epoch: producerEpoch } = transactor
        if (isNew) await transactor.produce(topic, RECORD)
        else await transactor.add(topic)
        await until('the end', async () => (await transactor.described()).transactionState === 'CompleteAbort')
        return [await transactor.init({ producerId, producerEpoch }), await transactor.produce(topic, RECORD)]
      },
    ),
  ),
]

const LIST_VERSIONS = [0, 1, 2]

/** Of all transactions there, those of this case. */
async function listed(broker: Conversation, version: number, filters: Partial<RequestBody<'ListTransactions'>> = {}) {
  const answer = await broker.send('ListTransactions', version, { stateFilters: [], producerIdFilters: [], ...filters })
  const { topicSuffix } = broker.identity
  const ours = answer.transactionStates.filter(({ transactionalId }) => transactionalId.endsWith(topicSuffix))
  return { ...answer, transactionStates: ours }
}

/** One transactional id in each state. */
async function oneOfEach(broker: Conversation) {
  const topic = await broker.topic('states')
  const [empty, ongoing] = [await Transactor.open(broker), await Transactor.open(broker)]
  const [committed, aborted] = [await Transactor.open(broker), await Transactor.open(broker)]
  for (const transactor of [ongoing, committed, aborted]) await transactor.produce(topic, RECORD)
  await committed.end(true)
  await aborted.end(false)
  return { empty, ongoing, committed, aborted, topic }
}

const showing: Case[] = [
  ...LIST_VERSIONS.map(version =>
    sameAsKafka(`ListTransactions v${version}`, async broker => {
      await oneOfEach(broker)
      return [
        await listed(broker, version),
        await listed(broker, version, { stateFilters: ['Ongoing', 'CompleteAbort'] }),
        await listed(broker, version, { stateFilters: ['ongoing'] }),
        await listed(broker, version, { stateFilters: ['Nonsense', 'Empty'] }),
        await listed(broker, version, { stateFilters: ['Nonsense'] }),
      ]
    }),
  ),
  sameAsKafka('ListTransactions of a producer', async broker => {
    const { ongoing, empty } = await oneOfEach(broker)
    return [
      await listed(broker, 1, { producerIdFilters: [ongoing.producerId] }),
      await listed(broker, 1, { producerIdFilters: [ongoing.producerId, empty.producerId], stateFilters: ['Empty'] }),
      await listed(broker, 1, { producerIdFilters: [-1] }),
    ]
  }),
  sameAsKafka('ListTransactions for no time at all', async broker => {
    await oneOfEach(broker)
    return listed(broker, 1, { durationFilter: -2 })
  }),
  otherThanKafka(
    'ListTransactions that are open for a time',
    { because: 'Kafka lists those that are not open as well: they began before time', ours: [['Ongoing'], []] },
    async broker => {
      await oneOfEach(broker)
      const lists = [
        await listed(broker, 1, { durationFilter: 0 }),
        await listed(broker, 1, { durationFilter: 60_000 }),
      ]
      return lists.map(({ transactionStates }) => transactionStates.map(({ transactionState }) => transactionState))
    },
  ),
  sameAsKafka('ListTransactions by a pattern', async broker => {
    const { ongoing } = await oneOfEach(broker)
    const patterns = [ongoing.transactionalId, 'transactional', 'transactional-.*', '', '.*', null]
    const answers: unknown[] = []
    for (const transactionalIdPattern of patterns) answers.push(await listed(broker, 2, { transactionalIdPattern }))
    return answers
  }),
  sameAsKafka('ListTransactions by what is no pattern', broker =>
    broker.send('ListTransactions', 2, { stateFilters: [], producerIdFilters: [], transactionalIdPattern: '(' }),
  ),
  sameAsKafka('DescribeTransactions of each state', async broker => {
    const { empty, ongoing, committed, aborted } = await oneOfEach(broker)
    const transactionalIds = [empty, ongoing, committed, aborted].map(({ transactionalId }) => transactionalId)
    return broker.send('DescribeTransactions', 0, { transactionalIds })
  }),
  sameAsKafka('DescribeTransactions of what is not there', async broker => {
    const { transactionalId } = await Transactor.open(broker)
    const ids = [broker.topicName('nobody'), '', transactionalId, transactionalId]
    return [
      await broker.send('DescribeTransactions', 0, { transactionalIds: ids }),
      await broker.send('DescribeTransactions', 0, { transactionalIds: [] }),
    ]
  }),
]

export const transactionCases: Case[] = [...beginning, ...joining, ...ending, ...showing]
