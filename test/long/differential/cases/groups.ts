// What administrators see of groups and do to them.

import { errorName } from '#kafka/protocol/protocol.ts'
import { type Case, otherThanKafka, sameAsKafka } from '#test/long/differential/case.ts'
import type { Conversation } from '#test/long/differential/conversation.ts'
import { type Member, Party } from '#test/long/differential/party.ts'

const OPERATIONS_FROM = 3
const STATES_FROM = 4
const TYPES_FROM = 5
const COORDINATOR_NOT_AVAILABLE = 15
const PHASES = ['Empty', 'PreparingRebalance', 'CompletingRebalance', 'Stable', 'only offsets'] as const

/** A group that is as it is called. */
async function groupThatIs(broker: Conversation, phase: (typeof PHASES)[number]): Promise<Party> {
  const party = await Party.open(broker)
  const [member, other] = [await party.member('a'), await party.member('b')]
  switch (phase) {
    case 'only offsets': {
      const topic = await broker.topic('offsets')
      await member.commit(topic, 1, { generationIdOrMemberEpoch: -1, memberId: '' })
      break
    }
    case 'CompletingRebalance':
      await member.join()
      break
    case 'Stable':
      await party.stable(member)
      break
    case 'Empty':
      await party.stable(member)
      await member.leave()
      break
    case 'PreparingRebalance':
      await party.stable(member)
      joinAndForget(other)
      await party.reaches('PreparingRebalance')
      break
  }
  return party
}

function joinAndForget(member: Member): void {
  member.join({ version: 3 }).catch(() => {})
}

const describing: Case[] = [
  ...[0, 1, 2, 3, 4, 5, 6].flatMap(version => [
    sameAsKafka(`DescribeGroups v${version} of a group that is not there`, async broker => {
      const { groupId } = await Party.open(broker)
      return broker.send('DescribeGroups', version, { groups: [groupId, groupId, ''] })
    }),
    sameAsKafka(`DescribeGroups v${version} of a group with members`, async broker => {
      const party = await Party.open(broker)
      await party.stable(await party.member('a'), await party.member('b'))
      return party.described(version)
    }),
  ]),
  ...PHASES.map(phase =>
    sameAsKafka(`DescribeGroups of a group: ${phase}`, async broker => {
      const party = await groupThatIs(broker, phase)
      return [await party.described(0), await party.described(6)]
    }),
  ),
  ...[OPERATIONS_FROM, 6].map(version =>
    sameAsKafka(`DescribeGroups v${version} with the authorized operations`, async broker => {
      const { groupId } = await groupThatIs(broker, 'Stable')
      const groups = [groupId, broker.topicName('nowhere'), '']
      return broker.send('DescribeGroups', version, { groups, includeAuthorizedOperations: true })
    }),
  ),
  sameAsKafka('DescribeGroups of no groups', broker => broker.send('DescribeGroups', 6, { groups: [] })),
  sameAsKafka('DescribeGroups of workers', async broker => {
    const party = await Party.open(broker)
    const worker = await party.member('a', { protocolType: 'connect', protocols: ['sessioned', 'compatible'] })
    await party.stable(worker)
    return party.described()
  }),
]

/** Of all groups there, those of this case. */
async function listed(broker: Conversation, version: number, filters: { states?: string[]; types?: string[] } = {}) {
  const answer = await broker.send('ListGroups', version, {
    ...(version >= STATES_FROM ? { statesFilter: filters.states ?? [] } : {}),
    ...(version >= TYPES_FROM ? { typesFilter: filters.types ?? [] } : {}),
  })
  const groups = answer.groups.filter(({ groupId }) => groupId.endsWith(broker.identity.topicSuffix))
  return { ...answer, groups }
}

const STATE_FILTERS = [['Stable'], ['stable', 'EMPTY'], ['PreparingRebalance'], ['Dead'], ['nonsense'], ['']]
const TYPE_FILTERS = [['classic'], ['Classic', 'consumer'], ['consumer'], ['share'], ['nonsense'], ['']]

const listing: Case[] = [
  ...[0, 1, 2, 3, 4, 5].map(version =>
    sameAsKafka(`ListGroups v${version}`, async broker => {
      for (const phase of PHASES) await groupThatIs(broker, phase)
      return listed(broker, version)
    }),
  ),
  ...STATE_FILTERS.map(states =>
    sameAsKafka(`ListGroups of the states ${states}`, async broker => {
      for (const phase of PHASES) await groupThatIs(broker, phase)
      return listed(broker, 5, { states })
    }),
  ),
  ...TYPE_FILTERS.map(types =>
    sameAsKafka(`ListGroups of the types ${types}`, async broker => {
      for (const phase of ['Stable', 'Empty', 'only offsets'] as const) await groupThatIs(broker, phase)
      return listed(broker, 5, { types })
    }),
  ),
  sameAsKafka('ListGroups of a state and a type', async broker => {
    for (const phase of ['Stable', 'Empty', 'only offsets'] as const) await groupThatIs(broker, phase)
    return listed(broker, 5, { states: ['Empty'], types: ['classic'] })
  }),
  sameAsKafka('a group that was only spoken to is not listed', async broker => {
    const party = await Party.open(broker)
    const member = await party.member('a')
    await member.heartbeat({ memberId: 'nobody' })
    await member.joinOnce({ memberId: 'nobody' })
    return listed(broker, 5)
  }),
]

const deleting: Case[] = [
  ...[0, 1, 2, 3].map(version =>
    sameAsKafka(`DeleteGroups v${version}`, async broker => {
      const groups: Party[] = []
      for (const phase of PHASES) groups.push(await groupThatIs(broker, phase))
      const groupsNames = [...groups.map(({ groupId }) => groupId), broker.topicName('nowhere')]
      return [await broker.send('DeleteGroups', version, { groupsNames }), await listed(broker, 5)]
    }),
  ),
  sameAsKafka('DeleteGroups of a group that is named twice', async broker => {
    const { groupId } = await groupThatIs(broker, 'Empty')
    return [
      await broker.send('DeleteGroups', 2, { groupsNames: [groupId, groupId] }),
      await broker.send('DeleteGroups', 2, { groupsNames: [groupId] }),
    ]
  }),
  sameAsKafka('DeleteGroups of none', broker => broker.send('DeleteGroups', 2, { groupsNames: [] })),
  sameAsKafka('a deleted group has no offsets, and begins anew', async broker => {
    const party = await Party.open(broker)
    const [member, topic] = [await party.member('a'), await broker.topic('offsets')]
    await party.stable(member)
    await member.commit(topic, 5)
    await member.leave()
    const deleted = await broker.send('DeleteGroups', 2, { groupsNames: [party.groupId] })
    const fetched = await broker.send('OffsetFetch', 7, { groupId: party.groupId, topics: null })
    const described = await party.described(6)
    return [deleted, fetched, described, await (await party.member('b')).join()]
  }),
]

const FIND_VERSIONS = [4, 5, 6]
const KEY_TYPES = [-1, 0, 1, 2, 3]
const SHARE_VERSION = 6
const SHARE = 2
const SHARE_KEY = 'b:AAAAAAAAQACAAAAAAAAAEg:0'

// Kafka creates the topic of its coordinators when it is first asked for one.
function find(broker: Conversation, version: number, coordinatorKeys: string[], keyType: number) {
  const isThere = (answer: { readonly coordinators: readonly { errorCode: number }[] }) =>
    answer.coordinators.every(({ errorCode }) => errorCode !== COORDINATOR_NOT_AVAILABLE)
  return broker.outcome(broker.sendUntil('FindCoordinator', version, { coordinatorKeys, keyType }, isThere))
}

const finding: Case[] = [
  ...FIND_VERSIONS.flatMap(version =>
    KEY_TYPES.map(keyType =>
      sameAsKafka(`FindCoordinator v${version} of several of type ${keyType}`, broker =>
        find(broker, version, ['a', '', 'a', ...(keyType === SHARE ? [] : [SHARE_KEY])], keyType),
      ),
    ),
  ),
  otherThanKafka(
    'FindCoordinator of the state of a share group',
    { because: 'there are no share groups here', ours: ['INVALID_REQUEST'] },
    async broker => {
      const answer = await find(broker, SHARE_VERSION, [SHARE_KEY], SHARE)
      return answer === 'closed' ? answer : answer.coordinators.map(({ errorCode }) => errorName(errorCode))
    },
  ),
  ...[0, 1, 2, 3].map(version =>
    sameAsKafka(`FindCoordinator v${version} of no name`, broker =>
      broker.outcome(
        broker.sendUntil(
          'FindCoordinator',
          version,
          { key: '' },
          ({ errorCode }) => errorCode !== COORDINATOR_NOT_AVAILABLE,
        ),
      ),
    ),
  ),
  sameAsKafka('FindCoordinator of none', broker =>
    broker.send('FindCoordinator', 6, { coordinatorKeys: [], keyType: 0 }),
  ),
]

export const groupCases: Case[] = [...describing, ...listing, ...deleting, ...finding]
