import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

const GROUP = 'readers'
const SESSION_MS = 10_000

/** A group with one member, which is not heard of again. */
async function abandonedGroup(): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start({ groupInitialRebalanceDelayMs: 0 })
  const protocols = [{ name: 'range', metadata: Buffer.alloc(0) }]
  const body = { groupId: GROUP, sessionTimeoutMs: SESSION_MS, memberId: '', protocolType: 'consumer', protocols }
  const { errorCode, memberId, generationId } = await fixture.ask('JoinGroup', 3, body)
  expect(errorName(errorCode)).toBe('NONE')
  const assignments = [{ memberId, assignment: Buffer.from('all') }]
  await fixture.ask('SyncGroup', 3, { groupId: GROUP, generationId, memberId, assignments })
  return fixture
}

describe('the coordinator of groups', () => {
  it('gives up a member that is silent for its session', async () => {
    const fixture = await abandonedGroup()
    await fixture.clock.runFor(SESSION_MS + 100)
    expect(fixture.state.groups.get(GROUP)?.saved).toMatchObject({ generation: 2, members: [] })
  })

  it('lets nothing happen by itself once it is closed', async () => {
    const fixture = await abandonedGroup()
    fixture.broker.groups.close()
    await fixture.clock.runFor(SESSION_MS + 100)
    expect(fixture.state.groups.get(GROUP)?.saved).toMatchObject({ generation: 1 })
  })

  it('is closed for good, whatever is still on its way to the disk', async () => {
    const fixture = await abandonedGroup()
    const memberId = fixture.state.groups.get(GROUP)!.saved.members[0]!.id
    const protocols = [{ name: 'range', metadata: Buffer.from('new') }]
    const body = { groupId: GROUP, sessionTimeoutMs: SESSION_MS, memberId, protocolType: 'consumer', protocols }
    await fixture.ask('JoinGroup', 3, body)
    const assignments = [{ memberId, assignment: Buffer.from('all') }]
    const asked = fixture.begin('SyncGroup', 3, { groupId: GROUP, generationId: 2, memberId, assignments })
    fixture.broker.groups.close()
    expect((await fixture.clock.run(asked)).errorCode).toBe(0)
    await fixture.clock.runFor(SESSION_MS + 100)
    expect(fixture.state.groups.get(GROUP)?.saved).toMatchObject({ generation: 2, members: [{ id: memberId }] })
  })

  it('is closed for good, also for a consumer group whose record is refused then', async () => {
    const fixture = await BrokerFixture.start()
    const joins = { memberEpoch: 0, rebalanceTimeoutMs: 60_000, subscribedTopicNames: ['t'], topicPartitions: [] }
    await fixture.ask('ConsumerGroupHeartbeat', 1, { groupId: GROUP, memberId: 'a', ...joins })
    fixture.fillDisk()
    const asked = fixture.begin('ConsumerGroupHeartbeat', 1, { groupId: GROUP, memberId: 'b', ...joins })
    fixture.broker.groups.close()
    expect(errorName((await fixture.clock.run(asked)).errorCode)).toBe('COORDINATOR_NOT_AVAILABLE')
    fixture.freeDisk()
    await fixture.clock.runFor(60_000)
    expect([...fixture.state.groups.get(GROUP)!.consumer!.members.keys()]).toEqual(['a'])
  })
})
