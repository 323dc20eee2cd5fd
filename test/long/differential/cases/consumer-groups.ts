// Consumer groups by KIP-848: how members get partitions and give them up, who is refused, and how groups change their type.

import { type Case, sameAsKafka } from '#test/long/differential/case.ts'
import { withGroup } from '#test/long/differential/group-talk.ts'

const NOBODY = { memberId: 'nobody', memberEpoch: 3 }

export const consumerGroupCases: Case[] = [
  sameAsKafka('the first member has everything', broker =>
    withGroup(broker, { topics: { t: 4 } }, async group => [
      await group.join('a', { topics: ['t'] }),
      await group.beat('a', { owned: 'told' }),
      await group.describe(),
    ]),
  ),
  sameAsKafka('a second member gets what the first has given up', broker =>
    withGroup(broker, { topics: { t: 4 } }, async group => {
      const first = [await group.join('a', { topics: ['t'] }), await group.join('b', { topics: ['t'] })]
      const steps = ['a', 'b', 'a', 'b'] as const
      const then = []
      for (const name of steps) then.push(await group.beat(name, { owned: name === 'a' ? 'told' : null }))
      return [first, then, await group.describe()]
    }),
  ),
  sameAsKafka('a member that does not say what it has is waited for', broker =>
    withGroup(broker, { topics: { t: 2 } }, async group => [
      await group.join('a', { topics: ['t'] }),
      await group.join('b', { topics: ['t'] }),
      await group.beat('a'),
      await group.beat('a'),
      await group.beat('b'),
    ]),
  ),
  sameAsKafka('an answer that was lost is given again, and no epoch besides is taken', broker =>
    withGroup(broker, { topics: { t: 4 } }, async group => {
      await group.join('a', { topics: ['t'] })
      await group.join('b', { topics: ['t'] })
      await group.beat('a', { owned: 'told' })
      await group.beat('a', { owned: 'told' })
      return [
        await group.beat('a', { epoch: 2, owned: 'told' }),
        await group.beat('a', { epoch: 2 }),
        await group.beat('a', { epoch: 1, owned: 'told' }),
        await group.beat('a', { epoch: 9 }),
      ]
    }),
  ),
  sameAsKafka('who joins again with its id keeps what it has', broker =>
    withGroup(broker, { topics: { t: 2 } }, async group => [
      await group.join('a', { topics: ['t'] }),
      await group.join('a', { topics: ['t'] }),
      await group.describe(),
    ]),
  ),
  sameAsKafka('who wants other topics gives up those it had', broker =>
    withGroup(broker, { topics: { t: 2, u: 2 } }, async group => [
      await group.join('a', { topics: ['t'] }),
      await group.beat('a', { topics: ['u'], owned: 'told' }),
      await group.beat('a', { owned: [] }),
      await group.beat('a', { owned: 'told' }),
      await group.describe(),
    ]),
  ),
  sameAsKafka('most members choose the assignor', broker =>
    withGroup(broker, { topics: { t: 2, u: 2 } }, async group => [
      await group.join('a', { topics: ['t', 'u'] }),
      await group.join('b', { topics: ['t', 'u'], assignor: 'range' }),
      await group.beat('a', { owned: 'told' }),
      await group.beat('a', { owned: 'told' }),
      await group.beat('b', { owned: 'told' }),
      await group.describe(),
    ]),
  ),
  sameAsKafka('who leaves is gone, and the others have its partitions', broker =>
    withGroup(broker, { topics: { t: 2 } }, async group => [
      await group.join('a', { topics: ['t'] }),
      await group.join('b', { topics: ['t'] }),
      await group.beat('b', { epoch: -1 }),
      await group.beat('a', { owned: 'told' }),
      await group.beat('b'),
      await group.beat('a', { epoch: -1 }),
      await group.describe(),
    ]),
  ),
  sameAsKafka('members that want nothing, and topics that are not there', broker =>
    withGroup(broker, { topics: {} }, async group => [
      await group.join('a', { topics: [] }),
      await group.join('b', { topics: ['none'] }),
      await group.beat('b', { owned: 'told' }),
      await group.describe(),
    ]),
  ),
  sameAsKafka('requests that are not valid', broker =>
    withGroup(broker, { topics: { t: 1 } }, async group => {
      const first = { memberId: 'm', memberEpoch: 0, rebalanceTimeoutMs: 1000, subscribedTopicNames: ['t'] }
      const joins = { ...first, topicPartitions: [] }
      const bodies = [
        { ...joins, groupId: '' },
        { ...joins, memberId: '' },
        { ...joins, memberId: ' ' },
        { ...joins, instanceId: '' },
        { ...joins, rackId: '' },
        { ...joins, rebalanceTimeoutMs: -1 },
        { ...joins, topicPartitions: null },
        { ...joins, topicPartitions: [{ topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partitions: [0] }] },
        { ...joins, subscribedTopicNames: null },
        { ...joins, serverAssignor: 'strange' },
        { ...joins, memberEpoch: -2 },
        { ...joins, memberEpoch: -3 },
        { ...joins, subscribedTopicNames: null, subscribedTopicRegex: '(' },
        { ...joins, subscribedTopicNames: null, subscribedTopicRegex: '(?=x)' },
        { ...joins, memberEpoch: 1 },
        { ...joins, memberEpoch: -1 },
      ]
      const answers = []
      for (const body of bodies) answers.push(await group.heartbeat(body))
      return [answers, await group.heartbeat({ ...joins, memberId: '', memberEpoch: 1 }, 0)]
    }),
  ),
  sameAsKafka('members that nobody knows', broker =>
    withGroup(broker, { topics: { t: 1 } }, async group => [
      await group.join('a', { topics: ['t'] }),
      await group.heartbeat(NOBODY),
      await group.heartbeat({ memberId: 'nobody', memberEpoch: -1 }),
      await group.heartbeat({ memberId: 'a', memberEpoch: 2, instanceId: 'nobody' }),
      await group.heartbeat({ memberId: 'a', memberEpoch: -2, instanceId: 'nobody' }),
    ]),
  ),
  sameAsKafka('a static member leaves for a while, and comes back under another id', broker =>
    withGroup(broker, { topics: { t: 2 } }, async group => [
      await group.join('a', { topics: ['t'], instance: 'i' }),
      await group.join('other', { topics: ['t'], instance: 'i' }),
      await group.heartbeat({ memberId: 'other', memberEpoch: 2, instanceId: 'i' }),
      await group.beat('a', { epoch: -2, instance: 'i' }),
      await group.describe(),
      await group.heartbeat({ memberId: 'a', memberEpoch: 2, instanceId: 'i' }),
      await group.join('again', { topics: ['t'], instance: 'i' }),
      await group.heartbeat({ memberId: 'a', memberEpoch: 2, instanceId: 'i' }),
      await group.describe(),
      await group.beat('again', { epoch: -1, instance: 'i' }),
    ]),
  ),
  sameAsKafka('a regular expression', broker =>
    withGroup(broker, { topics: { t: 2 } }, async group => {
      await group.join('a', { regex: `t${group.suffixPattern}` })
      await group.beatUntilAssigned('a')
      return [await group.beat('a', { owned: 'told' }), await group.describe()]
    }),
  ),
  sameAsKafka('who commits offsets', broker =>
    withGroup(broker, { topics: { t: 4 } }, async group => {
      await group.join('a', { topics: ['t'] })
      await group.join('b', { topics: ['t'] })
      await group.beat('a', { owned: 'told' })
      await group.beat('a', { owned: 'told' })
      await group.beat('b', { owned: 'told' })
      const answers = []
      for (const [memberId, epoch, partition, version] of [
        ['a', 3, 0, 9],
        ['a', 3, 3, 9],
        ['a', 2, 0, 9],
        ['a', 2, 3, 9],
        ['a', 1, 0, 9],
        ['a', 4, 0, 9],
        ['b', 2, 2, 9],
        ['b', 3, 2, 9],
        ['a', 3, 0, 8],
        ['nobody', 3, 0, 9],
        ['', -1, 0, 9],
      ] as const) {
        answers.push(await group.commit(memberId, epoch, { partition, version }))
      }
      return [answers, await group.fetchOffsets('a', 3), await group.fetchOffsets('a', 2)]
    }),
  ),
  sameAsKafka('who fetches offsets', broker =>
    withGroup(broker, { topics: { t: 1 } }, async group => {
      await group.join('a', { topics: ['t'] })
      await group.commit('a', 2, { partition: 0, version: 9 })
      return [
        await group.fetchOffsets(null, -1),
        await group.fetchOffsets('a', 2),
        await group.fetchOffsets('a', 1),
        await group.fetchOffsets('a', 3),
        await group.fetchOffsets('nobody', 2),
      ]
    }),
  ),
  sameAsKafka('what administrators see and may do', broker =>
    withGroup(broker, { topics: { t: 1 } }, async group => {
      await group.join('a', { topics: ['t'] })
      await group.commit('a', 2, { partition: 0, version: 9 })
      const asked = [await group.describe(), await group.describeClassic(5), await group.describeClassic(6)]
      const lists = [await group.list(['consumer']), await group.list(['classic']), await group.list(['Consumer'])]
      const refused = [await group.remove(), await group.deleteOffsets('t')]
      await group.beat('a', { epoch: -1 })
      return [asked, lists, refused, await group.describe(), await group.deleteOffsets('t'), await group.remove()]
    }),
  ),
  sameAsKafka('groups that are not there, and groups of another type', broker =>
    withGroup(broker, { topics: { t: 1 } }, async group => {
      const absent = [await group.describe(), await group.heartbeat(NOBODY), await group.describeClassic(6)]
      await group.classicJoin('c', { protocolType: 'other' })
      await group.classicJoin('c', { protocolType: 'other' })
      await group.classicSync('c', { protocolType: 'other' })
      return [
        absent,
        await group.describe(),
        await group.join('a', { topics: ['t'] }),
        await group.heartbeat(NOBODY),
        await group.heartbeat({ memberId: 'a', memberEpoch: -1 }),
        await group.list(['classic']),
      ]
    }),
  ),
  sameAsKafka('a classic group becomes a consumer group, and a classic one again', broker =>
    withGroup(broker, { topics: { t: 4 } }, async group => {
      const classic = { topics: ['t'] }
      await group.classicJoin('c', classic)
      const before = [
        await group.classicJoin('c', classic),
        await group.classicSync('c', { leads: { c: [0, 1, 2, 3] } }),
      ]
      const joined = [await group.join('a', { topics: ['t'] }), await group.describe(), await group.describeClassic(6)]
      const told = [await group.classicHeartbeat('c'), await group.classicSync('c')]
      const gives = [
        await group.classicJoin('c', classic),
        await group.classicSync('c'),
        await group.classicHeartbeat('c'),
      ]
      const gave = [await group.classicJoin('c', { ...classic, owned: [0, 1] }), await group.classicSync('c')]
      const quiet = [await group.classicHeartbeat('c'), await group.beat('a'), await group.describe()]
      const left = [await group.beat('a', { epoch: -1 }), await group.classicHeartbeat('c'), await group.describe()]
      return [before, joined, told, gives, gave, quiet, left, await group.list(['classic'])]
    }),
  ),
  sameAsKafka('classic members join a consumer group', broker =>
    withGroup(broker, { topics: { t: 2 } }, async group => [
      await group.join('a', { topics: ['t'] }),
      await group.classicJoin('c', { topics: ['t'], protocolType: 'other' }),
      await group.classicJoin('c', { topics: ['t'] }),
      await group.classicJoin('c', { topics: ['t'] }),
      await group.classicSync('c', { protocol: 'strange' }),
      await group.classicSync('c'),
      await group.classicHeartbeat('c', 99),
      await group.classicHeartbeat('a', 3),
      await group.classicHeartbeat('nobody', 3),
      await group.classicLeave('nobody'),
      await group.classicLeave('c'),
      await group.describe(),
    ]),
  ),
  sameAsKafka('configs of a group', broker =>
    withGroup(broker, { topics: {} }, async group => [
      await group.alter({ 'consumer.session.timeout.ms': '50000' }),
      await group.alter({ 'consumer.session.timeout.ms': '1000' }),
      await group.alter({ 'consumer.heartbeat.interval.ms': '60000' }),
      await group.alter({ 'consumer.heartbeat.interval.ms': 'often' }),
      await group.alter({ 'consumer.assignment.interval.ms': '99999' }),
      await group.alter({ 'no.such.config': '1' }),
      await group.configs(['consumer.session.timeout.ms', 'consumer.heartbeat.interval.ms']),
    ]),
  ),
]
