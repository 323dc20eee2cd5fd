// How members come into a group, and who is not let in.

import { errorName } from '#kafka/protocol/protocol.ts'
import { type Case, otherThanKafka, sameAsKafka } from '#test/long/differential/case.ts'
import type { Conversation } from '#test/long/differential/conversation.ts'
import { type Member, type MemberOptions, Party } from '#test/long/differential/party.ts'

const VERSIONS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
const SESSION_TIMEOUTS_MS = [-1, 0, 5_999, 6_000, 1_800_000, 1_800_001]
const UNKNOWN_ID = 'wire-client-00000000-0000-4000-8000-000000000000'

/** The answer to a first request that is as it should not be. */
const refused = (name: string, options: MemberOptions, instead: Parameters<Member['joinOnce']>[0] = {}): Case =>
  sameAsKafka(name, async broker => {
    const party = await Party.open(broker)
    const member = await party.member('a', options)
    // Whether Kafka has a group then depends on what else was asked of its coordinator meanwhile.
    return member.joinOnce(instead)
  })

/** The same against a group that has a member. */
const refusedBy = (name: string, options: MemberOptions, instead: Parameters<Member['joinOnce']>[0] = {}): Case =>
  sameAsKafka(name, async broker => {
    const party = await Party.open(broker)
    const first = await party.member('a', { protocols: ['range', 'sticky'] })
    await party.stable(first)
    const member = await party.member('b', options)
    return [await member.joinOnce(instead), await party.described()]
  })

const first: Case[] = [
  ...VERSIONS.map(version =>
    sameAsKafka(`JoinGroup v${version} of the first member, and of the leader again`, async broker => {
      const party = await Party.open(broker)
      const member = await party.member('a')
      const answers = [await member.joinOnce({ version })]
      if (member.id !== '' && member.generation < 0) answers.push(await member.joinOnce({ version }))
      return [...answers, await member.joinOnce({ version }), await party.described()]
    }),
  ),
  ...[4, 5, 9].map(version =>
    sameAsKafka(`JoinGroup v${version} gives an id that counts only when it is used`, async broker => {
      const party = await Party.open(broker)
      const member = await party.member('a')
      return [await member.joinOnce({ version }), await member.heartbeat({ generationId: 0 })]
    }),
  ),
  sameAsKafka('an id that was given by one group is unknown to another', async broker => {
    const [one, other] = [await Party.open(broker), await Party.open(broker)]
    const member = await one.member('a')
    await member.joinOnce()
    return [await member.joinOnce({ groupId: other.groupId }), await other.described()]
  }),
  sameAsKafka('an id that was given and is given back', async broker => {
    const party = await Party.open(broker)
    const member = await party.member('a')
    await member.joinOnce()
    return [await member.leave(), await member.joinOnce()]
  }),
  otherThanKafka(
    'an id that was given, and used with an instance id',
    { because: 'Kafka fails with an exception of its own', ours: ['UNKNOWN_MEMBER_ID', 'Empty'] },
    async broker => {
      const party = await Party.open(broker)
      const member = await party.member('a')
      await member.joinOnce()
      const { errorCode } = await member.joinOnce({ groupInstanceId: 'i' })
      return [errorName(errorCode), await party.phase()]
    },
  ),
  sameAsKafka('several versions in one group', async broker => {
    const party = await Party.open(broker)
    const [old, young] = [await party.member('old'), await party.member('young')]
    await old.join({ version: 2 })
    await old.sync({}, { version: 2 })
    const joining = young.join()
    await old.heartsRebalance()
    return [await old.join({ version: 2 }), await joining, ...(await party.synced(old, young)), await party.described()]
  }),
]

const wrong: Case[] = [
  ...[0, 4, 9].map(version => refused(`JoinGroup v${version} of no group`, {}, { version, groupId: '' })),
  ...SESSION_TIMEOUTS_MS.map(sessionTimeoutMs =>
    refused(`a session timeout of ${sessionTimeoutMs} ms`, { sessionTimeoutMs }),
  ),
  ...[-1, 0, 1].map(rebalanceTimeoutMs =>
    sameAsKafka(`a rebalance timeout of ${rebalanceTimeoutMs} ms`, async broker => {
      const party = await Party.open(broker)
      const member = await party.member('a', { rebalanceTimeoutMs })
      const joined = await member.joinOnce({ version: 3 })
      await party.reaches('Empty')
      return [joined, await member.heartbeat()]
    }),
  ),
  ...[0, 3, 4, 9].map(version =>
    refused(`JoinGroup v${version} of an unknown member of an unknown group`, {}, { version, memberId: UNKNOWN_ID }),
  ),
  ...[3, 9].map(version =>
    refusedBy(`JoinGroup v${version} of an unknown member`, {}, { version, memberId: UNKNOWN_ID }),
  ),
  ...[0, 6, 7, 9].map(version => refused(`JoinGroup v${version} without protocols`, { protocols: [] }, { version })),
  ...[0, 9].map(version => refused(`JoinGroup v${version} without a type`, { protocolType: '' }, { version })),
  refused('a member of another type', { protocolType: 'connect' }, { version: 3 }),
  refused('a static member of an unknown id', { instanceId: 'i' }, { memberId: UNKNOWN_ID }),
  refused('a static member with no name', { instanceId: '' }),
  refused('a static member with a strange name', { instanceId: 'a b/ü' }),
  refused('a protocol without a name', { protocols: [''] }, { version: 3 }),
  refused('a protocol of no bytes', { metadata: Buffer.alloc(0) }, { version: 3 }),
  refusedBy('a group of members of another type', { protocolType: 'connect' }),
  refusedBy('a group whose members have other protocols', { protocols: ['cooperative-sticky'] }),
  refusedBy('a group, without protocols', { protocols: [] }),
  refusedBy('a group, without a type', { protocolType: '' }),
  sameAsKafka('an emptied group is joined by members of another type', async broker => {
    const party = await Party.open(broker)
    const [consumer, worker] = [await party.member('a'), await party.member('b', { protocolType: 'connect' })]
    await party.stable(consumer)
    await consumer.leave()
    const emptied = await party.described()
    return [emptied, await worker.join(), await party.described()]
  }),
  sameAsKafka('an emptied group is joined by an id it had', async broker => {
    const party = await Party.open(broker)
    const member = await party.member('a')
    await party.stable(member)
    await member.leave()
    return [await member.joinOnce(), await party.described()]
  }),
]

/** Two members, and the protocol they agree on. */
async function agreed(broker: Conversation, ours: readonly string[], theirs: readonly string[], third?: string[]) {
  const party = await Party.open(broker)
  const members = [await party.member('a', { protocols: ours }), await party.member('b', { protocols: theirs })]
  if (third !== undefined) members.push(await party.member('c', { protocols: third }))
  const [leader, ...others] = members
  await leader!.join({ version: 3 })
  await leader!.sync({}, { version: 3 })
  const joining = others.map(other => other.join({ version: 3 }))
  await party.reaches('PreparingRebalance')
  return [await leader!.join({ version: 3 }), ...(await Promise.all(joining)), await party.described()]
}

const protocols: Case[] = [
  sameAsKafka('the protocol that all members have', broker => agreed(broker, ['a', 'b'], ['c', 'b'])),
  sameAsKafka('the protocol that most members like best', broker =>
    agreed(broker, ['a', 'b', 'c'], ['b', 'a', 'c'], ['b', 'c', 'a']),
  ),
  sameAsKafka('a member that is known changes its protocols', async broker => {
    const party = await Party.open(broker)
    const member = await party.member('a')
    await party.stable(member)
    const other = { protocols: [{ name: 'sticky', metadata: Buffer.from('other') }] }
    return [await member.joinOnce(other), await party.described()]
  }),
  sameAsKafka('a member that is known changes its type', async broker => {
    const party = await Party.open(broker)
    const member = await party.member('a')
    await party.stable(member)
    return [await member.joinOnce({ protocolType: 'connect' }), await party.described()]
  }),
]

export const groupJoinCases: Case[] = [...first, ...wrong, ...protocols]
