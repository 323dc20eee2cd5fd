// How far consumers say they have come, and what is remembered of it.

import { type Case, sameAsKafka } from '#test/long/differential/case.ts'
import type { Conversation } from '#test/long/differential/conversation.ts'
import { coordinatorOf, type Member, Party } from '#test/long/differential/party.ts'
import type { RequestBody } from '#test/support/wire-messages.ts'

const COMMIT_VERSIONS = [2, 3, 4, 5, 6, 7, 8, 9, 10]
const FETCH_VERSIONS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
const RETENTION_UNTIL = 4
const EPOCH_FROM = 6
const SEVERAL_FROM = 8
const IDS_FROM = 10
const MAX_METADATA_BYTES = 4096
const UNKNOWN_TOPIC_ID = 'AAAAAAAAQACAAAAAAAAAEg'
const UNKNOWN_ID = 'wire-client-00000000-0000-4000-8000-000000000000'

interface Committed {
  readonly partition?: number
  readonly offset?: number
  readonly epoch?: number
  readonly metadata?: string | null
}

/** A group that nobody manages, and its offsets. */
class Offsets {
  readonly groupId: string
  readonly #broker: Conversation

  private constructor(broker: Conversation, groupId: string) {
    this.#broker = broker
    this.groupId = groupId
  }

  static async open(broker: Conversation): Promise<Offsets> {
    const groupId = broker.topicName('group')
    await coordinatorOf(broker, groupId)
    return new Offsets(broker, groupId)
  }

  commit(
    topic: string,
    partitions: readonly Committed[],
    version = 9,
    more: Partial<RequestBody<'OffsetCommit'>> = {},
  ) {
    return this.#broker.send('OffsetCommit', version, {
      groupId: this.groupId,
      generationIdOrMemberEpoch: -1,
      memberId: '',
      topics: [
        {
          ...(version >= IDS_FROM ? { topicId: topic } : { name: topic }),
          partitions: partitions.map(({ partition = 0, offset = 5, epoch = -1, metadata = '' }) => ({
            partitionIndex: partition,
            committedOffset: offset,
            committedMetadata: metadata,
            ...(version >= EPOCH_FROM ? { committedLeaderEpoch: epoch } : {}),
          })),
        },
      ],
      ...more,
    })
  }

  /** Partitions of one topic; none: all that there is. */
  fetch(topic: string | null, partitions: readonly number[] = [0], version = 7, requireStable = false) {
    const partitionIndexes = [...partitions]
    const named = version >= IDS_FROM ? { topicId: topic ?? '' } : { name: topic ?? '' }
    const topics = topic === null ? null : [{ ...named, partitionIndexes }]
    const stable = version >= 7 ? { requireStable } : {}
    if (version >= SEVERAL_FROM) {
      return this.#broker.send('OffsetFetch', version, { groups: [{ groupId: this.groupId, topics }], ...stable })
    }
    const named1 = topic === null ? null : [{ name: topic, partitionIndexes }]
    return this.#broker.send('OffsetFetch', version, { groupId: this.groupId, topics: named1, ...stable })
  }
}

/** A topic of two partitions by what the version calls it. */
async function topicFor(broker: Conversation, version: number): Promise<string> {
  const topic = await broker.topic('offsets', { partitions: 2 })
  return version >= IDS_FROM ? broker.topicId(topic) : topic
}

const committing: Case[] = [
  ...COMMIT_VERSIONS.map(version =>
    sameAsKafka(`OffsetCommit v${version}`, async broker => {
      const [offsets, topic] = [await Offsets.open(broker), await topicFor(broker, version)]
      const nowhere = version >= IDS_FROM ? UNKNOWN_TOPIC_ID : broker.topicName('nowhere')
      return [
        await offsets.commit(topic, [{}], version, { generationIdOrMemberEpoch: 3 }),
        await offsets.commit(
          topic,
          [
            { offset: 7, metadata: 'm' },
            { partition: 1, offset: 8, epoch: 0 },
          ],
          version,
        ),
        await offsets.commit(topic, [{ partition: 2 }, { partition: -1 }, { metadata: null, offset: 9 }], version),
        await offsets.commit(nowhere, [{}], version),
        await offsets.commit(topic, [], version),
        await offsets.commit(nowhere, [], version),
        await offsets.commit(topic, [{}], version, { memberId: UNKNOWN_ID }),
        await offsets.commit(topic, [{}], version, { generationIdOrMemberEpoch: 3 }),
        await offsets.fetch(null),
      ]
    }),
  ),
  ...[0, -1, -2, Number.MAX_SAFE_INTEGER].map(offset =>
    sameAsKafka(`the offset ${offset} is committed`, async broker => {
      const [offsets, topic] = [await Offsets.open(broker), await broker.topic('offsets')]
      return [await offsets.commit(topic, [{ offset }]), await offsets.fetch(topic)]
    }),
  ),
  ...[-2, 0, 3, 2 ** 31 - 1].map(epoch =>
    sameAsKafka(`the leader epoch ${epoch} is committed`, async broker => {
      const [offsets, topic] = [await Offsets.open(broker), await broker.topic('offsets')]
      return [await offsets.commit(topic, [{ epoch }]), await offsets.fetch(topic)]
    }),
  ),
  ...[
    ['as long as it may be', 'x'.repeat(MAX_METADATA_BYTES)],
    ['too long', 'x'.repeat(MAX_METADATA_BYTES + 1)],
    ['of letters of two bytes', 'ü'.repeat(MAX_METADATA_BYTES / 2 + 1)],
    ['of pairs', '\u{1f600}'.repeat(MAX_METADATA_BYTES / 2)],
    ['of pairs, too long', '\u{1f600}'.repeat(MAX_METADATA_BYTES / 2 + 1)],
  ].map(([what, metadata]) =>
    sameAsKafka(`metadata ${what}`, async broker => {
      const [offsets, topic] = [await Offsets.open(broker), await broker.topic('offsets', { partitions: 2 })]
      const answer = await offsets.commit(topic, [{ metadata: metadata! }, { partition: 1, metadata: 'short' }])
      return [answer, await offsets.fetch(null)]
    }),
  ),
  sameAsKafka('a partition is committed twice in one request', async broker => {
    const [offsets, topic] = [await Offsets.open(broker), await broker.topic('offsets')]
    return [await offsets.commit(topic, [{ offset: 1 }, { offset: 2 }]), await offsets.fetch(topic)]
  }),
  sameAsKafka('a topic is named twice', async broker => {
    const [offsets, topic] = [await Offsets.open(broker), await broker.topic('offsets', { partitions: 2 })]
    const wanted = [0, 1, 0].map(partitionIndex => ({
      name: topic,
      partitions: [{ partitionIndex, committedOffset: 4, committedMetadata: '' }],
    }))
    const committed = await offsets.commit(topic, [], 9, { topics: wanted })
    const topics = [0, 1, 0].map(partition => ({ name: topic, partitionIndexes: [partition] }))
    const fetched = await broker.send('OffsetFetch', 7, { groupId: offsets.groupId, topics })
    return [
      committed,
      fetched,
      await forget(broker, offsets.groupId, [
        [topic, [0]],
        [topic, [1]],
      ]),
    ]
  }),
  sameAsKafka('an offset goes back', async broker => {
    const [offsets, topic] = [await Offsets.open(broker), await broker.topic('offsets')]
    await offsets.commit(topic, [{ offset: 9, metadata: 'm', epoch: 1 }])
    return [await offsets.commit(topic, [{ offset: 2 }]), await offsets.fetch(topic)]
  }),
  sameAsKafka('nothing is committed', async broker => {
    const offsets = await Offsets.open(broker)
    return [await offsets.commit('', [], 9, { topics: [] }), await offsets.fetch(null)]
  }),
  ...[2, RETENTION_UNTIL].map(version =>
    sameAsKafka(`OffsetCommit v${version} with a retention of its own`, async broker => {
      const [offsets, topic] = [await Offsets.open(broker), await broker.topic('offsets')]
      const answer = await offsets.commit(topic, [{}], version, { retentionTimeMs: 3_600_000 })
      return [answer, await offsets.fetch(topic)]
    }),
  ),
  sameAsKafka('offsets of a topic that is deleted, and of one of the same name', async broker => {
    const [offsets, topic] = [await Offsets.open(broker), await broker.topic('offsets')]
    await offsets.commit(topic, [{}])
    await broker.send('DeleteTopics', 5, { topicNames: [topic], timeoutMs: 10_000 })
    const isGone = ({ topics }: { topics: readonly { errorCode: number }[] }) => topics[0]!.errorCode === 3
    await broker.sendUntil('Metadata', 9, { topics: [{ name: topic }], allowAutoTopicCreation: false }, isGone)
    const committed = await offsets.commit(topic, [{}])
    await broker.sendUntil('OffsetFetch', 7, { groupId: offsets.groupId, topics: null }, ({ topics }) => {
      return topics.length === 0
    })
    return [committed, await offsets.fetch(topic), await offsets.fetch(null)]
  }),
]

type Talk = (member: Member, topic: string, party: Party) => Promise<unknown>

/** What a member of a group commits. */
function byMember(name: string, talk: Talk, isStatic = false): Case {
  return sameAsKafka(name, async broker => {
    const [party, topic] = [await Party.open(broker), await broker.topic('offsets')]
    const member = await party.member('a', isStatic ? { instanceId: 'i' } : {})
    await party.stable(member)
    return talk(member, topic, party)
  })
}

const byMembers: Case[] = [
  ...[2, 5, 7, 8, 9].map(version =>
    byMember(`OffsetCommit v${version} of a member`, async (member, topic, { broker, groupId }) => [
      await member.commit(topic, 1, { version }),
      await member.commit(topic, 2, { version, generationIdOrMemberEpoch: 0 }),
      await member.commit(topic, 3, { version, generationIdOrMemberEpoch: 2 }),
      await member.commit(topic, 4, { version, memberId: UNKNOWN_ID }),
      await member.commit(topic, 5, { version, memberId: '' }),
      await member.commit(topic, 6, { version, memberId: '', generationIdOrMemberEpoch: -1 }),
      await member.commit(topic, 7, { version, generationIdOrMemberEpoch: -1 }),
      await broker.send('OffsetFetch', 7, { groupId, topics: null }),
    ]),
  ),
  byMember(
    'a static member commits',
    async (member, topic) => [
      await member.commit(topic, 1),
      await member.commit(topic, 2, { groupInstanceId: 'nobody' }),
      await member.commit(topic, 3, { groupInstanceId: null }),
      await member.commit(topic, 4, { memberId: UNKNOWN_ID }),
      await member.commit(topic, 5, { memberId: '', generationIdOrMemberEpoch: -1 }),
    ],
    true,
  ),
  byMember('a member commits between joining and syncing', async (member, topic) => {
    await member.joinOnce()
    return [await member.commit(topic, 1), await member.commit(topic, 1, { generationIdOrMemberEpoch: 1 })]
  }),
  byMember('a member commits while others join', async (member, topic, party) => {
    const other = await party.member('b')
    const joining = other.join()
    await member.heartsRebalance()
    const committed = await member.commit(topic, 1)
    return [committed, await member.joinOnce(), await joining]
  }),
  byMember('a member commits after it has left', async (member, topic) => {
    await member.leave()
    return [
      await member.commit(topic, 1),
      await member.commit(topic, 2, { generationIdOrMemberEpoch: 2 }),
      await member.commit(topic, 3, { memberId: '', generationIdOrMemberEpoch: -1 }),
      await member.commit(topic, 4, { memberId: '', generationIdOrMemberEpoch: 2 }),
    ]
  }),
  byMember('who is not a member commits while a group is there', async (member, topic) => [
    await member.commit(topic, 1, { memberId: '', generationIdOrMemberEpoch: -1 }),
    await member.commit(topic, 1, { memberId: '', generationIdOrMemberEpoch: 0 }),
    await member.commit(topic, 1, { memberId: UNKNOWN_ID, generationIdOrMemberEpoch: -1 }),
  ]),
]

const fetching: Case[] = [
  ...FETCH_VERSIONS.map(version =>
    sameAsKafka(`OffsetFetch v${version}`, async broker => {
      const offsets = await Offsets.open(broker)
      const topic = await broker.topic('offsets', { partitions: 2 })
      const called = version >= IDS_FROM ? await broker.topicId(topic) : topic
      const nowhere = version >= IDS_FROM ? UNKNOWN_TOPIC_ID : broker.topicName('nowhere')
      const before = await offsets.fetch(called, [0, 1], version)
      await offsets.commit(topic, [{ metadata: 'm', epoch: 0 }])
      return [
        before,
        await offsets.fetch(called, [1, 0, 0, 7, -1], version),
        await offsets.fetch(nowhere, [0], version),
        await offsets.fetch(called, [], version),
        ...(version >= 2 ? [await offsets.fetch(null, [], version)] : []),
        ...(version >= 7 ? [await offsets.fetch(called, [0], version, true)] : []),
        ...(version >= 7 ? [await offsets.fetch(null, [0], version, true)] : []),
      ]
    }),
  ),
  ...[1, 2, 5, 7].map(version =>
    sameAsKafka(`OffsetFetch v${version} of no group`, async broker => {
      const [offsets, topic] = [await Offsets.open(broker), await broker.topic('offsets')]
      const fetch = () =>
        broker.send('OffsetFetch', version, { groupId: '', topics: [{ name: topic, partitionIndexes: [0] }] })
      const before = await fetch()
      // Of old, consumers without a group kept offsets.
      const committed = await offsets.commit(topic, [{}], 5, { groupId: '' })
      const after = await fetch()
      return [before, committed, after, await broker.send('DeleteGroups', 2, { groupsNames: [''] }), await fetch()]
    }),
  ),
  ...[8, 9, 10].map(version =>
    sameAsKafka(`OffsetFetch v${version} of several groups`, async broker => {
      const [one, other] = [await Offsets.open(broker), await Offsets.open(broker)]
      const topic = await broker.topic('offsets')
      await one.commit(topic, [{}])
      const ids = [one.groupId, other.groupId, broker.topicName('nowhere')]
      const groups = ids.map(groupId => ({ groupId, topics: null }))
      return [
        await broker.send('OffsetFetch', version, { groups }),
        await broker.send('OffsetFetch', version, { groups: [] }),
        await broker.send('OffsetFetch', version, { groups: [{ groupId: one.groupId, topics: [] }] }),
      ]
    }),
  ),
  ...[
    { memberId: UNKNOWN_ID, memberEpoch: 1 },
    { memberId: UNKNOWN_ID, memberEpoch: -1 },
    { memberId: '', memberEpoch: 0 },
    { memberId: null, memberEpoch: 5 },
    { memberId: null, memberEpoch: -1 },
  ].map(said =>
    sameAsKafka(`OffsetFetch by member ${said.memberId} in epoch ${said.memberEpoch}`, async broker => {
      const [offsets, topic] = [await Offsets.open(broker), await broker.topic('offsets')]
      const topics = [{ name: topic, partitionIndexes: [0] }]
      const ask = () => broker.send('OffsetFetch', 9, { groups: [{ groupId: offsets.groupId, topics, ...said }] })
      const before = await ask()
      await offsets.commit(topic, [{}])
      return [before, await ask()]
    }),
  ),
  sameAsKafka('OffsetFetch by a member of a classic group', async broker => {
    const [party, topic] = [await Party.open(broker), await broker.topic('offsets')]
    const member = await party.member('a')
    await party.stable(member)
    await member.commit(topic, 3)
    const answers: unknown[] = []
    const said = [
      { memberId: member.id, memberEpoch: 1 },
      { memberId: member.id, memberEpoch: 7 },
      { memberId: UNKNOWN_ID, memberEpoch: 1 },
      { memberId: null, memberEpoch: -1 },
    ]
    for (const self of said) {
      answers.push(await broker.send('OffsetFetch', 9, { groups: [{ groupId: party.groupId, topics: null, ...self }] }))
    }
    return answers
  }),
]

function subscribedTo(topics: readonly string[]): Buffer {
  const names = topics.map(topic => Buffer.concat([Buffer.from([0, topic.length]), Buffer.from(topic)]))
  return Buffer.concat([Buffer.from([0, 0, 0, 0, 0, topics.length]), ...names, Buffer.from([0, 0, 0, 0])])
}

async function forget(broker: Conversation, groupId: string, topics: readonly [string, readonly number[]][]) {
  const answer = await broker.send('OffsetDelete', 0, {
    groupId,
    topics: topics.map(([name, indexes]) => ({
      name,
      partitions: indexes.map(partitionIndex => ({ partitionIndex })),
    })),
  })
  // Kafka tells first what went wrong.
  const inOrder = answer.topics.map(({ name, partitions }) => ({
    name,
    partitions: [...partitions].sort((one, other) => one.partitionIndex - other.partitionIndex),
  }))
  return { ...answer, topics: inOrder }
}

const deleting: Case[] = [
  sameAsKafka('OffsetDelete of a group that nobody manages', async broker => {
    const [offsets, topic] = [await Offsets.open(broker), await broker.topic('offsets', { partitions: 3 })]
    await offsets.commit(topic, [{}, { partition: 1 }])
    return [
      await forget(broker, offsets.groupId, [
        [topic, [0, 2, 3, -1]],
        [broker.topicName('nowhere'), [0]],
      ]),
      await offsets.fetch(null),
      await forget(broker, offsets.groupId, []),
      await forget(broker, offsets.groupId, [[topic, []]]),
      await forget(broker, offsets.groupId, [[broker.topicName('nowhere'), []]]),
      await forget(broker, offsets.groupId, [[topic, [1, 1]]]),
      await offsets.fetch(null),
    ]
  }),
  sameAsKafka('OffsetDelete of groups that are not there', async broker => {
    const [offsets, topic] = [await Offsets.open(broker), await broker.topic('offsets')]
    return [await forget(broker, offsets.groupId, [[topic, [0]]]), await forget(broker, '', [[topic, [0]]])]
  }),
  sameAsKafka('OffsetDelete of a group whose members are subscribed', async broker => {
    const [party, wanted] = [await Party.open(broker), await broker.topic('wanted')]
    const unwanted = await broker.topic('unwanted')
    const member = await party.member('a', { metadata: subscribedTo([wanted]) })
    await party.stable(member)
    for (const topic of [wanted, unwanted]) await member.commit(topic, 3)
    const both: [string, number[]][] = [
      [wanted, [0, 5]],
      [unwanted, [0]],
    ]
    const deleted = await forget(broker, party.groupId, both)
    const left = await broker.send('OffsetFetch', 7, { groupId: party.groupId, topics: null })
    await member.leave()
    return [deleted, left, await forget(broker, party.groupId, both)]
  }),
  sameAsKafka('OffsetDelete of a group whose members say nothing that can be read', async broker => {
    const [party, topic] = [await Party.open(broker), await broker.topic('offsets')]
    const member = await party.member('a', { metadata: Buffer.from('?') })
    await party.stable(member)
    await member.commit(topic, 3)
    return forget(broker, party.groupId, [[topic, [0]]])
  }),
  sameAsKafka('OffsetDelete of a group of another type', async broker => {
    const [party, topic] = [await Party.open(broker), await broker.topic('offsets')]
    const member = await party.member('a', { protocolType: 'connect' })
    await party.stable(member)
    await member.commit(topic, 3)
    const refused = await forget(broker, party.groupId, [[topic, [0]]])
    await member.leave()
    return [refused, await forget(broker, party.groupId, [[topic, [0]]])]
  }),
  sameAsKafka('OffsetDelete while members join', async broker => {
    const [party, topic] = [await Party.open(broker), await broker.topic('wanted')]
    const unwanted = await broker.topic('unwanted')
    const member = await party.member('a', { metadata: subscribedTo([topic]) })
    await party.stable(member)
    for (const of of [topic, unwanted]) await member.commit(of, 3)
    await member.joinOnce()
    return [
      await party.phase(),
      await forget(broker, party.groupId, [
        [topic, [0]],
        [unwanted, [0]],
      ]),
    ]
  }),
]

export const groupOffsetCases: Case[] = [...committing, ...byMembers, ...fetching, ...deleting]
