// The configs of topics: what they are, how they are set, and what cannot be set.

import { type Case, otherThanKafka, sameAsKafka } from '#test/long/differential/case.ts'
import type { Conversation, TopicOptions } from '#test/long/differential/conversation.ts'

const TOPIC = 2
const BROKER = 4
const SET = 0
const DELETE = 1
const APPEND = 2
const SUBTRACT = 3

function describe(broker: Conversation, topic: string, names: readonly string[] | null, version = 4) {
  return broker.send('DescribeConfigs', version, {
    resources: [{ resourceType: TOPIC, resourceName: topic, configurationKeys: names }],
    includeSynonyms: true,
    ...(version >= 3 ? { includeDocumentation: false } : {}),
  })
}

type Alteration = readonly [name: string, operation: number, value: string | null]

/** Alters a topic step by step, and tells the configs that it has of its own in the end. */
async function altered(broker: Conversation, steps: readonly (readonly Alteration[])[], topic: TopicOptions = {}) {
  const name = await broker.topic('configs', topic)
  const answers: unknown[] = []
  for (const step of steps) answers.push(await incrementallyAlter(broker, name, step))
  return { answers, own: await ownConfigs(broker, name) }
}

function incrementallyAlter(
  broker: Conversation,
  resourceName: string,
  step: readonly Alteration[],
  validateOnly = false,
) {
  const configs = step.map(([name, configOperation, value]) => ({ name, configOperation, value }))
  const resources = [{ resourceType: TOPIC, resourceName, configs }]
  return broker.send('IncrementalAlterConfigs', 1, { resources, validateOnly })
}

function alter(
  broker: Conversation,
  resourceName: string,
  set: Record<string, string | null>,
  version = 2,
  validateOnly = false,
) {
  const configs = Object.entries(set).map(([name, value]) => ({ name, value }))
  return broker.send('AlterConfigs', version, {
    resources: [{ resourceType: TOPIC, resourceName, configs }],
    validateOnly,
  })
}

async function ownConfigs(broker: Conversation, topic: string) {
  // What was answered is visible at once in ours and soon in Kafka: a config of a new topic is a mark that all before it is.
  await settledConfigs(broker, topic)
  const described = await describe(broker, topic, null)
  const own = described.results[0]!.configs.filter(({ configSource }) => configSource === 1)
  return own.map(({ name, value }) => `${name}=${value}`).sort()
}

async function settledConfigs(broker: Conversation, topic: string): Promise<void> {
  const mark = ['segment.jitter.ms', SET, '4242'] as const
  await incrementallyAlter(broker, topic, [mark])
  const body = {
    resources: [{ resourceType: TOPIC, resourceName: topic, configurationKeys: ['segment.jitter.ms'] }],
    includeSynonyms: false,
    includeDocumentation: false,
  }
  await broker.sendUntil('DescribeConfigs', 4, body, ({ results }) => results[0]!.configs[0]?.value === '4242')
}

const describing: Case[] = [
  ...[1, 2, 3, 4].map(version =>
    sameAsKafka(`DescribeConfigs v${version} of a topic names every config, its value, type and source`, async broker =>
      describe(broker, await broker.topic('configs'), null, version),
    ),
  ),
  sameAsKafka('configs of the topic itself say so', async broker => {
    const configs = { 'retention.ms': '1000', 'cleanup.policy': 'compact,delete', 'compression.type': 'zstd' }
    return describe(broker, await broker.topic('configs', { configs }), null)
  }),
  sameAsKafka('some configs by name, and one that there is not', async broker =>
    describe(broker, await broker.topic('configs'), ['retention.ms', 'no.such.config', 'cleanup.policy']),
  ),
  sameAsKafka('an empty list of names', async broker => describe(broker, await broker.topic('configs'), [])),
  sameAsKafka('configs of a topic that does not exist', broker => describe(broker, broker.topicName('nowhere'), null)),
  sameAsKafka('configs of an illegal name', broker => describe(broker, 'not/legal', null)),
  sameAsKafka('configs of a topic without a name', broker => describe(broker, '', null)),
  ...[0, 1, 3, 99].map(resourceType =>
    sameAsKafka(`configs of the resource type ${resourceType}`, broker =>
      broker.outcome(
        broker.send('DescribeConfigs', 4, {
          resources: [{ resourceType, resourceName: 'x', configurationKeys: null }],
          includeSynonyms: false,
          includeDocumentation: false,
        }),
      ),
    ),
  ),
  sameAsKafka('configs of another broker', broker =>
    broker.send('DescribeConfigs', 4, {
      resources: [{ resourceType: BROKER, resourceName: '4711', configurationKeys: null }],
      includeSynonyms: false,
      includeDocumentation: false,
    }),
  ),
  sameAsKafka('configs of a broker that is no number', broker =>
    broker.send('DescribeConfigs', 4, {
      resources: [{ resourceType: BROKER, resourceName: 'x', configurationKeys: null }],
      includeSynonyms: false,
      includeDocumentation: false,
    }),
  ),
  sameAsKafka('some configs of the broker that tools look for', broker =>
    broker
      .send('DescribeConfigs', 4, {
        resources: [
          {
            resourceType: BROKER,
            resourceName: `${broker.identity.nodeId}`,
            configurationKeys: [
              'auto.create.topics.enable',
              'delete.topic.enable',
              'num.partitions',
              'default.replication.factor',
            ],
          },
        ],
        includeSynonyms: false,
        includeDocumentation: false,
      })
      .then(({ results }) => results.map(({ resourceName: _, ...rest }) => rest)),
  ),
]

const incrementally: Case[] = [
  sameAsKafka('setting and deleting', broker =>
    altered(broker, [
      [
        ['retention.ms', SET, '1000'],
        ['segment.ms', SET, '2000'],
      ],
      [['retention.ms', DELETE, null]],
    ]),
  ),
  sameAsKafka('appending to and subtracting from a list', broker =>
    altered(broker, [[['cleanup.policy', APPEND, 'compact']], [['cleanup.policy', SUBTRACT, 'delete']]]),
  ),
  sameAsKafka('appending what is there already', broker => altered(broker, [[['cleanup.policy', APPEND, 'delete']]])),
  sameAsKafka('subtracting what is not there', broker => altered(broker, [[['cleanup.policy', SUBTRACT, 'compact']]])),
  sameAsKafka('appending to what is no list', broker => altered(broker, [[['retention.ms', APPEND, '1000']]])),
  sameAsKafka('subtracting from what is no list', broker => altered(broker, [[['retention.ms', SUBTRACT, '1000']]])),
  sameAsKafka('deleting what was not set', broker => altered(broker, [[['retention.ms', DELETE, null]]])),
  sameAsKafka('setting null', broker => altered(broker, [[['retention.ms', SET, null]]])),
  otherThanKafka(
    'an operation that does not exist',
    { because: 'Kafka fails over it; the request is wrong', ours: { errorCode: 'INVALID_REQUEST' } },
    async broker => {
      const { responses } = await incrementallyAlter(broker, await broker.topic('configs'), [
        ['retention.ms', 9, '1000'],
      ])
      return { errorCode: responses[0]!.errorCode }
    },
  ),
  sameAsKafka('an unknown config', broker => altered(broker, [[['no.such.config', SET, '1']]])),
  sameAsKafka('deleting an unknown config', broker => altered(broker, [[['no.such.config', DELETE, null]]])),
  sameAsKafka('one wrong config of two changes neither', broker =>
    altered(broker, [
      [
        ['retention.ms', SET, '1000'],
        ['segment.ms', SET, 'soon'],
      ],
    ]),
  ),
  sameAsKafka('the same config twice', broker =>
    altered(broker, [
      [
        ['retention.ms', SET, '1'],
        ['retention.ms', SET, '2'],
      ],
    ]),
  ),
  sameAsKafka('no configs', broker => altered(broker, [[]])),
  sameAsKafka('values of every kind that are wrong', async broker => {
    const topic = await broker.topic('configs')
    const wrong: readonly (readonly [string, string])[] = [
      ['retention.ms', '-2'],
      ['retention.ms', '1.5'],
      ['retention.ms', '99999999999999999999'],
      ['retention.bytes', 'much'],
      ['max.message.bytes', '-1'],
      ['segment.bytes', '100'],
      ['segment.ms', '0'],
      ['min.insync.replicas', '0'],
      ['cleanup.policy', 'never'],
      ['cleanup.policy', 'delete,never'],
      ['compression.type', 'brotli'],
      ['compression.gzip.level', '10'],
      ['compression.zstd.level', '100'],
      ['message.timestamp.type', 'Sometime'],
      ['unclean.leader.election.enable', 'maybe'],
      ['min.cleanable.dirty.ratio', '2'],
      ['max.compaction.lag.ms', '0'],
      ['flush.messages', '0'],
      ['index.interval.bytes', '-1'],
      ['local.retention.ms', '-3'],
      ['message.format.version', '2.8'],
    ]
    const answers = []
    for (const [name, value] of wrong) {
      const { responses } = await incrementallyAlter(broker, topic, [[name, SET, value]], true)
      answers.push([name, value, { errorCode: responses[0]!.errorCode }])
    }
    return answers
  }),
  sameAsKafka('values of every kind that are right', async broker => {
    const topic = await broker.topic('configs')
    const right: readonly (readonly [string, string])[] = [
      ['retention.ms', '-1'],
      ['retention.ms', ' 1000 '],
      ['retention.bytes', '-1'],
      ['max.message.bytes', '0'],
      ['segment.bytes', '1048576'],
      ['cleanup.policy', 'compact, delete'],
      ['cleanup.policy', ''],
      ['compression.type', 'producer'],
      ['compression.gzip.level', '-1'],
      ['message.timestamp.type', 'LogAppendTime'],
      ['unclean.leader.election.enable', 'TRUE'],
      ['preallocate', 'true'],
      ['min.cleanable.dirty.ratio', '1'],
      ['leader.replication.throttled.replicas', '*'],
    ]
    const answers = []
    for (const [name, value] of right) {
      const { responses } = await incrementallyAlter(broker, topic, [[name, SET, value]], true)
      answers.push([name, value, { errorCode: responses[0]!.errorCode }])
    }
    return answers
  }),
  sameAsKafka('validating changes nothing', async broker => {
    const topic = await broker.topic('configs')
    const answer = await incrementallyAlter(broker, topic, [['retention.ms', SET, '1000']], true)
    return { answer, own: await ownConfigs(broker, topic) }
  }),
  sameAsKafka('a topic that does not exist', broker =>
    incrementallyAlter(broker, broker.topicName('nowhere'), [['retention.ms', SET, '1000']]),
  ),
  sameAsKafka('a topic without a name', broker => incrementallyAlter(broker, '', [['retention.ms', SET, '1000']])),
  sameAsKafka('an illegal name of a topic', broker =>
    incrementallyAlter(broker, 'not/legal', [['retention.ms', SET, '1000']]),
  ),
  sameAsKafka('the same topic twice in one request', async broker => {
    const resourceName = await broker.topic('configs')
    const configs = [{ name: 'retention.ms', configOperation: SET, value: '1000' }]
    const resource = { resourceType: TOPIC, resourceName, configs }
    return broker.outcome(
      broker.send('IncrementalAlterConfigs', 1, { resources: [resource, resource], validateOnly: false }),
    )
  }),
  sameAsKafka('one topic that exists and one that does not', async broker => {
    const configs = [{ name: 'retention.ms', configOperation: SET, value: '1000' }]
    const names = [await broker.topic('configs'), broker.topicName('nowhere')]
    const resources = names.map(resourceName => ({ resourceType: TOPIC, resourceName, configs }))
    return broker
      .send('IncrementalAlterConfigs', 0, { resources, validateOnly: false })
      .then(({ responses }) => [...responses].sort((a, b) => a.resourceName.localeCompare(b.resourceName)))
  }),
  ...[0, 99].map(resourceType =>
    sameAsKafka(`altering the resource type ${resourceType}`, broker =>
      broker.outcome(
        broker.send('IncrementalAlterConfigs', 1, {
          resources: [{ resourceType, resourceName: 'x', configs: [{ name: 'a', configOperation: SET, value: 'b' }] }],
          validateOnly: false,
        }),
      ),
    ),
  ),
]

const replacing: Case[] = [
  ...[0, 1, 2].map(version =>
    sameAsKafka(`AlterConfigs v${version} replaces all configs of a topic`, async broker => {
      const topic = await broker.topic('configs', { configs: { 'retention.ms': '1000', 'segment.ms': '2000' } })
      const answer = await alter(broker, topic, { 'segment.ms': '3000' }, version)
      return { answer, own: await ownConfigs(broker, topic) }
    }),
  ),
  sameAsKafka('AlterConfigs with no configs resets a topic', async broker => {
    const topic = await broker.topic('configs', { configs: { 'retention.ms': '1000' } })
    return { answer: await alter(broker, topic, {}), own: await ownConfigs(broker, topic) }
  }),
  sameAsKafka('AlterConfigs with a null value', async broker =>
    alter(broker, await broker.topic('configs'), { 'retention.ms': null }),
  ),
  sameAsKafka('AlterConfigs with an unknown config', async broker =>
    alter(broker, await broker.topic('configs'), { 'no.such.config': '1' }),
  ),
  sameAsKafka('AlterConfigs with a wrong value', async broker =>
    alter(broker, await broker.topic('configs'), { 'retention.ms': 'soon' }),
  ),
  sameAsKafka('AlterConfigs of a topic that does not exist', broker =>
    alter(broker, broker.topicName('nowhere'), { 'retention.ms': '1000' }),
  ),
  sameAsKafka('AlterConfigs that only validates changes nothing', async broker => {
    const topic = await broker.topic('configs', { configs: { 'retention.ms': '1000' } })
    return { answer: await alter(broker, topic, { 'segment.ms': '2' }, 2, true), own: await ownConfigs(broker, topic) }
  }),
]

const listing: Case[] = [
  sameAsKafka('ListConfigResources v1 lists the topics', async broker => {
    const name = await broker.topic('configs')
    const answer = await broker.send('ListConfigResources', 1, { resourceTypes: [TOPIC] })
    return { ...answer, configResources: answer.configResources.filter(({ resourceName }) => resourceName === name) }
  }),
  sameAsKafka('ListConfigResources v1 lists the brokers', async broker => {
    const answer = await broker.send('ListConfigResources', 1, { resourceTypes: [BROKER] })
    return { ...answer, configResources: answer.configResources.map(({ resourceType }) => resourceType) }
  }),
  sameAsKafka('ListConfigResources v0 lists client metrics, of which there are none', broker =>
    broker.send('ListConfigResources', 0, {}),
  ),
  sameAsKafka('ListConfigResources of a type that does not exist', broker =>
    broker.send('ListConfigResources', 1, { resourceTypes: [99] }),
  ),
]

export const configCases: Case[] = [...describing, ...incrementally, ...replacing, ...listing]
