// What members of a group ask and hear while they come, stay and go.

import { type Case, sameAsKafka } from '#test/long/differential/case.ts'
import type { Conversation } from '#test/long/differential/conversation.ts'
import { assignmentsOf, type Member, type MemberOptions, Party } from '#test/long/differential/party.ts'

const UNKNOWN_ID = 'wire-client-00000000-0000-4000-8000-000000000000'
const SHORT_SESSION_MS = 6_000
const SHORT_REBALANCE_MS = 1_000

type Talk = (party: Party, members: Member[]) => Promise<unknown>

/** What happens to a stable group of so many members. */
function among(count: number, name: string, talk: Talk, options: MemberOptions = {}): Case {
  return sameAsKafka(name, async broker => {
    const { party, members } = await stable(broker, count, options)
    return talk(party, members)
  })
}

async function stable(broker: Conversation, count: number, options: MemberOptions = {}) {
  const party = await Party.open(broker)
  const members: Member[] = []
  for (const name of ['a', 'b', 'c'].slice(0, count)) members.push(await party.member(name, options))
  await party.stable(...members)
  return { party, members }
}

/** The same, of static members. */
async function stableStatic(broker: Conversation, count: number, options: MemberOptions = {}) {
  const party = await Party.open(broker)
  const members: Member[] = []
  for (const name of ['a', 'b', 'c'].slice(0, count)) {
    members.push(await party.member(name, { ...options, instanceId: `instance ${name}` }))
  }
  await party.stable(...members)
  return { party, members }
}

const heartbeats: Case[] = [
  ...[0, 1, 2, 3, 4].map(version =>
    among(1, `Heartbeat v${version}`, async (_, [member]) => [
      await member!.heartbeat({ version }),
      await member!.heartbeat({ version, generationId: 0 }),
      await member!.heartbeat({ version, generationId: 2 }),
      await member!.heartbeat({ version, generationId: -1 }),
      await member!.heartbeat({ version, memberId: UNKNOWN_ID }),
      await member!.heartbeat({ version, memberId: '' }),
      await member!.heartbeat({ version, groupId: '' }),
      await member!.heartbeat({ version, groupId: 'a group that nobody has used' }),
    ]),
  ),
  among(1, 'a heartbeat with an instance id that nobody has', (_, [member]) =>
    member!.heartbeat({ groupInstanceId: 'nobody' }),
  ),
  among(1, 'a heartbeat in a group that was left', async (party, [member]) => {
    await member!.leave()
    return [await member!.heartbeat(), await member!.heartbeat({ generationId: 2 }), await party.described()]
  }),
]

const syncs: Case[] = [
  ...[0, 1, 2, 3, 4, 5].map(version =>
    sameAsKafka(`SyncGroup v${version}`, async broker => {
      const party = await Party.open(broker)
      const member = await party.member('a')
      await member.join()
      return [
        await member.sync({}, { version, generationId: 0 }),
        await member.sync({}, { version, generationId: 2 }),
        await member.sync({}, { version, memberId: UNKNOWN_ID }),
        await member.sync({}, { version, groupId: '' }),
        await member.sync({}, { version, groupId: 'a group that nobody has used' }),
        await party.described(),
        await member.sync(assignmentsOf([member]), { version }),
        await party.described(),
        await member.sync({ [member.id]: 'another' }, { version }),
        await member.sync({}, { version }),
      ]
    }),
  ),
  ...[
    { protocolType: 'connect', protocolName: 'range' },
    { protocolType: 'consumer', protocolName: 'sticky' },
    { protocolType: null, protocolName: 'range' },
    { protocolType: 'consumer', protocolName: null },
    { protocolType: '', protocolName: '' },
  ].map(said =>
    sameAsKafka(`SyncGroup that says type ${said.protocolType} and protocol ${said.protocolName}`, async broker => {
      const party = await Party.open(broker)
      const member = await party.member('a')
      await member.join()
      return [await member.sync({}, said), await party.described()]
    }),
  ),
  sameAsKafka('a leader that forgets itself, and gives to somebody who is not there', async broker => {
    const party = await Party.open(broker)
    const member = await party.member('a')
    await member.join()
    return [await member.sync({ [UNKNOWN_ID]: 'for nobody', '': 'for no name' }), await party.described()]
  }),
  among(2, 'a follower waits for the leader, and gets what is for it', async (party, [leader, follower]) => {
    await Promise.all([leader!.joinOnce(), follower!.heartsRebalance().then(() => follower!.joinOnce())])
    const phase = await party.phase()
    const waiting = follower!.sync({ [follower!.id]: 'from itself' })
    await leader!.heartbeat()
    return [phase, await leader!.sync({ [leader!.id]: 'all' }), await waiting, await party.described()]
  }),
  among(2, 'heartbeats between joining and syncing', async (party, [leader, follower]) => {
    await Promise.all([leader!.joinOnce(), follower!.heartsRebalance().then(() => follower!.joinOnce())])
    return [await leader!.heartbeat(), await follower!.heartbeat(), await party.described()]
  }),
  among(2, 'a sync and a heartbeat while others join', async (party, [leader, follower]) => {
    const joining = leader!.joinOnce()
    await follower!.heartsRebalance()
    const answers = [await follower!.sync(), await follower!.heartbeat({ generationId: 1 }), await party.described()]
    return [...answers, await follower!.joinOnce(), await joining]
  }),
  among(2, 'who waits for the leader hears of a rebalance', async (party, [leader, follower]) => {
    await Promise.all([leader!.joinOnce(), follower!.heartsRebalance().then(() => follower!.joinOnce())])
    const waiting = follower!.sync()
    const another = await party.member('c')
    const joining = another.join()
    const heard = await waiting
    await leader!.heartsRebalance()
    return [heard, ...(await Promise.all([leader!.joinOnce(), follower!.joinOnce(), joining])), await party.described()]
  }),
]

const comingAndGoing: Case[] = [
  sameAsKafka('a second and a third member come', async broker => {
    const { party, members } = await stable(broker, 3)
    return [await party.described(), ...(await Promise.all(members.map(member => member.sync())))]
  }),
  among(2, 'a follower joins again as it was, and is told the same', async (party, [, follower]) => [
    await follower!.joinOnce(),
    await follower!.heartbeat(),
    await party.phase(),
  ]),
  among(2, 'a follower joins again with something new, and all join again', async (party, [leader, follower]) => {
    const joining = follower!.joinOnce({ protocols: [{ name: 'range', metadata: Buffer.from('more') }] })
    await leader!.heartsRebalance()
    return [await leader!.joinOnce(), await joining, ...(await party.synced(leader!, follower!))]
  }),
  among(2, 'a leader joins again before it syncs, and is told the same', async (party, [leader, follower]) => {
    await Promise.all([leader!.joinOnce(), follower!.heartsRebalance().then(() => follower!.joinOnce())])
    return [await leader!.joinOnce(), await follower!.joinOnce(), await party.described()]
  }),
  among(2, 'a follower leaves', async (party, [leader, follower]) => {
    const left = await follower!.leave()
    await leader!.heartsRebalance()
    return [left, await leader!.joinOnce(), ...(await party.synced(leader!)), await party.described()]
  }),
  among(3, 'the leader leaves', async (party, [leader, second, third]) => {
    const left = await leader!.leave()
    await second!.heartsRebalance()
    const joined = await Promise.all([second!.joinOnce(), third!.joinOnce()])
    const followers = joined.filter(({ members }) => members.length === 0).length
    return [left, followers, joined.map(({ generationId }) => generationId), await party.phase()]
  }),
  among(2, 'the last members leave', async (party, [leader, follower]) => [
    await follower!.leave(),
    await leader!.leave(),
    await party.described(),
    await leader!.leave(),
  ]),
  among(
    2,
    'the leader is silent for longer than its session',
    async (party, [leader, follower]) => {
      leader!.wire.close()
      await follower!.heartsRebalance()
      return [await follower!.joinOnce(), await party.described()]
    },
    { sessionTimeoutMs: SHORT_SESSION_MS },
  ),
  among(
    2,
    'a member does not join again in time',
    async (party, [leader, follower]) => {
      const joined = await leader!.joinOnce()
      return [joined, await follower!.heartbeat(), await party.described()]
    },
    { rebalanceTimeoutMs: SHORT_REBALANCE_MS },
  ),
  among(
    2,
    'a follower does not sync in time',
    async (party, [leader, follower]) => {
      await Promise.all([leader!.joinOnce(), follower!.heartsRebalance().then(() => follower!.joinOnce())])
      const synced = await leader!.sync(assignmentsOf([leader!, follower!]))
      await leader!.heartsRebalance()
      return [synced, await leader!.joinOnce(), await follower!.heartbeat(), await party.described()]
    },
    { rebalanceTimeoutMs: SHORT_REBALANCE_MS },
  ),
  among(
    2,
    'a leader does not sync in time',
    async (party, [leader, follower]) => {
      await Promise.all([leader!.joinOnce(), follower!.heartsRebalance().then(() => follower!.joinOnce())])
      const synced = await follower!.sync()
      return [synced, await follower!.joinOnce(), await leader!.heartbeat(), await party.described()]
    },
    { rebalanceTimeoutMs: SHORT_REBALANCE_MS },
  ),
  among(1, 'a member whose connection ends while it joins', async (party, [leader]) => {
    const gone = await party.member('b')
    const joining = gone.join({ version: 3 }).catch(() => 'closed')
    await leader!.heartsRebalance()
    gone.wire.close()
    await joining
    return [await leader!.joinOnce(), await party.phase()]
  }),
]

const leaving: Case[] = [
  ...[0, 1, 2].map(version =>
    among(2, `LeaveGroup v${version}`, async (party, [leader, follower]) => {
      const leave = (memberId: string, groupId = party.groupId) =>
        party.broker.send('LeaveGroup', version, { groupId, memberId })
      return [
        await leave(UNKNOWN_ID),
        await leave(''),
        await leave(leader!.id, ''),
        await leave(leader!.id, 'a group that nobody has used'),
        await leave(follower!.id),
        await leave(leader!.id),
        await party.described(),
      ]
    }),
  ),
  ...[3, 4, 5].map(version =>
    among(2, `LeaveGroup v${version} of several`, async (party, [leader, follower]) => {
      const ids = [leader!.id, UNKNOWN_ID, leader!.id, '', follower!.id]
      const members = ids.map(memberId => ({ memberId, groupInstanceId: null }))
      const leave = (groupId: string) => party.broker.send('LeaveGroup', version, { groupId, members })
      return [await leave(''), await leave('a group that nobody has used'), await leave(party.groupId)]
    }),
  ),
  among(1, 'nobody leaves', async party => [
    await party.broker.send('LeaveGroup', 5, { groupId: party.groupId, members: [] }),
    await party.broker.send('LeaveGroup', 5, { groupId: 'a group that nobody has used', members: [] }),
    await party.phase(),
  ]),
  sameAsKafka('static members are sent away by their instance ids', async broker => {
    const { party, members } = await stableStatic(broker, 2)
    const [leader, follower] = members
    const leave = (memberId: string, groupInstanceId: string | null) =>
      broker.send('LeaveGroup', 5, { groupId: party.groupId, members: [{ memberId, groupInstanceId }] })
    return [
      await leave('', 'nobody'),
      await leave(leader!.id, 'instance b'),
      await leave(UNKNOWN_ID, 'instance b'),
      await leave('', 'instance b'),
      await follower!.heartbeat(),
      await leave(leader!.id, null),
      await party.described(),
    ]
  }),
]

const NEW_METADATA = { protocols: [{ name: 'range', metadata: Buffer.from('new') }] }

/** Static members of a group, of whom one comes back without knowing its id. */
function comesBack(name: string, which: 'leader' | 'follower', instead: Parameters<Member['joinOnce']>[0]): Case {
  return sameAsKafka(`the static ${which} comes back: ${name}`, async broker => {
    const { party, members } = await stableStatic(broker, 2)
    const [leader, follower] = members
    const [old, other] = which === 'leader' ? [leader!, follower!] : [follower!, leader!]
    const returned = await party.member(`${old.name} again`, { instanceId: `instance ${old.name}` })
    const joined = await returned.joinOnce(instead)
    return [
      joined,
      await old.heartbeat(),
      await old.sync(),
      await other.heartbeat(),
      await returned.heartbeat(),
      await returned.sync(),
      await party.described(),
    ]
  })
}

/** The same where all have to join again. */
function comesBackChanged(
  name: string,
  which: 'leader' | 'follower',
  instead: Parameters<Member['joinOnce']>[0],
): Case {
  return sameAsKafka(`the static ${which} comes back with other protocols: ${name}`, async broker => {
    const party = await Party.open(broker)
    const members: Member[] = []
    for (const of of ['a', 'b']) {
      members.push(await party.member(of, { instanceId: `instance ${of}`, protocols: ['range', 'sticky'] }))
    }
    await party.stable(...members)
    const [leader, follower] = members
    const [old, other] = which === 'leader' ? [leader!, follower!] : [follower!, leader!]
    const returned = await party.member(`${old.name} again`, { instanceId: `instance ${old.name}` })
    const joining = returned.joinOnce({ protocols: [{ name: 'sticky', metadata: Buffer.alloc(1) }], ...instead })
    await other.heartsRebalance()
    return [await other.joinOnce(), await joining, await old.heartbeat(), await party.described()]
  })
}

const statics: Case[] = [
  ...[5, 8, 9].flatMap(version => [
    comesBack(`v${version}`, 'leader', { version }),
    comesBack(`v${version}`, 'follower', { version }),
    comesBack(`v${version} with other metadata`, 'leader', { version, ...NEW_METADATA }),
    comesBack(`v${version} with other metadata`, 'follower', { version, ...NEW_METADATA }),
    comesBackChanged(`v${version}`, 'leader', { version }),
    comesBackChanged(`v${version}`, 'follower', { version }),
  ]),
  sameAsKafka('a static member comes back while others join', async broker => {
    const { party, members } = await stableStatic(broker, 2)
    const [leader, follower] = members
    const joining = leader!.joinOnce()
    await follower!.heartsRebalance()
    const returned = await party.member('b again', { instanceId: 'instance b' })
    return [await returned.joinOnce(), await joining, await follower!.heartbeat(), await party.described()]
  }),
  sameAsKafka('a static member comes back while it joins', async broker => {
    const { party, members } = await stableStatic(broker, 2)
    const [leader, follower] = members
    const joining = follower!.joinOnce(NEW_METADATA)
    await leader!.heartsRebalance()
    const returned = await party.member('b again', { instanceId: 'instance b' })
    const returning = returned.joinOnce()
    return [await joining, await leader!.joinOnce(), await returning, await party.described()]
  }),
  sameAsKafka('a static member comes back between joining and syncing', async broker => {
    const { party, members } = await stableStatic(broker, 2)
    const [leader, follower] = members
    await Promise.all([leader!.joinOnce(), follower!.heartsRebalance().then(() => follower!.joinOnce())])
    const waiting = follower!.sync()
    const returned = await party.member('b again', { instanceId: 'instance b' })
    const returning = returned.joinOnce()
    const heard = await waiting
    await leader!.heartsRebalance()
    return [heard, await leader!.joinOnce(), await returning, await party.described()]
  }),
  sameAsKafka('a static member that knows its id joins again', async broker => {
    const { party, members } = await stableStatic(broker, 2)
    return [await members[1]!.joinOnce(), await party.described()]
  }),
  sameAsKafka('a static member leaves its place to nobody while others join', async broker => {
    const { party, members } = await stableStatic(broker, 2, { rebalanceTimeoutMs: SHORT_REBALANCE_MS })
    const [leader] = members
    const joined = await leader!.joinOnce()
    return [joined, await leader!.sync(assignmentsOf(members)), await party.described()]
  }),
  sameAsKafka('what members say with the instance ids of others', async broker => {
    const { party, members } = await stableStatic(broker, 2)
    const [leader] = members
    const dynamic = { groupInstanceId: null }
    const [other, nobody] = [{ groupInstanceId: 'instance b' }, { groupInstanceId: 'nobody' }]
    const answers: unknown[] = []
    for (const said of [dynamic, other, nobody]) {
      answers.push(await leader!.heartbeat(said), await leader!.sync({}, said), await leader!.commit('x', 1, said))
    }
    for (const said of [other, nobody]) answers.push(await leader!.joinOnce(said))
    return [...answers, await party.described()]
  }),
]

export const groupRebalanceCases: Case[] = [...heartbeats, ...syncs, ...comingAndGoing, ...leaving, ...statics]
