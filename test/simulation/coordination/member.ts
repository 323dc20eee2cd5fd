import { errorName } from '#kafka/protocol/protocol.ts'
import { Violation } from '#test/simulation/history.ts'
import type { ResponseBody } from '#test/support/wire-messages.ts'
import { Gone, Over } from './agreements.ts'
import { LONGEST_SESSION_MS, REBALANCE_TIMEOUT_MS } from './group-facts.ts'
import type { Machine } from './machine.ts'
import { SimLine } from './sim-line.ts'

// A member of a consumer group: joins, leads if it must, commits and reads offsets. Now and then it is silent for longer than its
// session lasts, and goes on as if nothing had happened.

const PROTOCOL_TYPE = 'sim'
const PROTOCOL = 'any'
const HEARTBEAT_MS = 30

export class Member {
  readonly #machine: Machine
  readonly #line: SimLine
  readonly #groupId: string
  readonly #instanceId: string | null
  readonly #sessionTimeoutMs: number
  #memberId = ''
  #generation = -1

  constructor(machine: Machine, name: string, groupId: string) {
    this.#machine = machine
    this.#line = new SimLine(machine, name)
    this.#groupId = groupId
    this.#instanceId = machine.prng.chance(0.2) ? name : null
    this.#sessionTimeoutMs = machine.prng.pick([100, LONGEST_SESSION_MS])
  }

  async run(): Promise<void> {
    try {
      for (;;) {
        if (!(await this.#join()) || !(await this.#sync())) continue
        await this.#live()
      }
    } catch (thrown) {
      if (!(thrown instanceof Over)) throw thrown
    }
  }

  get #caller() {
    const { groupId, memberId, groupInstanceId } = {
      groupId: this.#groupId,
      memberId: this.#memberId,
      groupInstanceId: this.#instanceId,
    }
    return { groupId, memberId, groupInstanceId }
  }

  /** It is heard of whenever it is answered. */
  #heard(): void {
    this.#machine.groups.heard(this.#groupId, this.#memberId)
  }

  #lost(errorCode: number): boolean {
    const error = errorName(errorCode)
    if (error === 'UNKNOWN_MEMBER_ID' || error === 'FENCED_INSTANCE_ID') this.#memberId = ''
    return errorCode !== 0
  }

  async #join(): Promise<boolean> {
    const { groups } = this.#machine
    const track = () => (answer: ResponseBody<'JoinGroup'>) => {
      if (answer.errorCode === 0) {
        groups.joined(this.#groupId, answer.generationId, answer.leader)
        groups.heard(this.#groupId, answer.memberId)
        const ids = answer.members.map(({ memberId }) => memberId)
        if (new Set(ids).size !== ids.length) throw new Violation(`${this.#groupId}: a member is counted twice: ${ids}`)
      }
    }
    const body = {
      ...this.#caller,
      sessionTimeoutMs: this.#sessionTimeoutMs,
      rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
      protocolType: PROTOCOL_TYPE,
      protocols: [{ name: PROTOCOL, metadata: Buffer.from(this.#groupId) }],
    }
    const manner = this.#memberId === '' ? 'once' : 'free'
    const join = this.#line.ask('JoinGroup', 7, body, { manner, track, isHasty: this.#memberId !== '' })
    const answer = await groups.joining(groups.asking(this.#groupId, this.#memberId, join))
    if (errorName(answer.errorCode) === 'MEMBER_ID_REQUIRED') {
      this.#memberId = answer.memberId
      return false
    }
    if (this.#lost(answer.errorCode)) {
      await this.#machine.sleep(5)
      return false
    }
    this.#memberId = answer.memberId
    this.#generation = answer.generationId
    this.#machine.members.push({ ...this.#caller, generation: this.#generation })
    this.#assignments = answer.members.map(({ memberId }, i) => {
      const assignment = Buffer.from(`${this.#generation}: ${i} of ${answer.members.length}`)
      groups.assign(this.#groupId, this.#generation, memberId, assignment.toString())
      return { memberId, assignment }
    })
    return true
  }

  #assignments: { memberId: string; assignment: Buffer }[] = []

  async #sync(): Promise<boolean> {
    const { groups, prng, plan } = this.#machine
    const [memberId, generationId] = [this.#memberId, this.#generation]
    if (prng.chance(plan.pauses)) await this.#machine.sleep(prng.between(50, 1000))
    const track = () => (answer: ResponseBody<'SyncGroup'>) => {
      if (answer.errorCode !== 0) return
      this.#heard()
      groups.synced(this.#groupId, generationId, memberId, answer.assignment.toString())
    }
    const group = { protocolType: PROTOCOL_TYPE, protocolName: PROTOCOL }
    const body = { ...this.#caller, ...group, generationId, assignments: this.#assignments }
    // Kafka: who does not hear what its assignment is joins again. Until it was synced, a generation's number may be given twice.
    const sync = this.#line.ask('SyncGroup', 5, body, { track, isGivenUp: true })
    try {
      const answer = await groups.asking(this.#groupId, memberId, sync)
      return !this.#lost(answer.errorCode)
    } catch (thrown) {
      if (!(thrown instanceof Gone)) throw thrown
      return false
    }
  }

  /** As a member of a generation, until it is lost. */
  async #live(): Promise<void> {
    const { prng, plan } = this.#machine
    for (;;) {
      await this.#machine.sleep(prng.fraction() * 2 * HEARTBEAT_MS)
      if (prng.chance(plan.pauses)) await this.#machine.sleep(prng.between(50, 2500))
      if (prng.chance(0.02)) {
        await this.#leave()
        return
      }
      if (prng.chance(0.2)) await this.#readOffset()
      const isLost = prng.chance(0.5) ? await this.#heartbeat() : await this.#commit()
      if (isLost) return
      // A rebalance of its own will.
      if (prng.chance(0.01)) return
    }
  }

  async #heartbeat(): Promise<boolean> {
    const { groups } = this.#machine
    const generationId = this.#generation
    const track = () => {
      const before = groups.known(this.#groupId)
      return ({ errorCode }: ResponseBody<'Heartbeat'>) => {
        if (errorCode === 0) groups.demandCurrent(this.#groupId, generationId, before)
        if (errorCode === 0) this.#heard()
      }
    }
    const beat = this.#line.ask('Heartbeat', 3, { ...this.#caller, generationId }, { track })
    return this.#lost((await groups.asking(this.#groupId, this.#memberId, beat)).errorCode)
  }

  async #commit(): Promise<boolean> {
    const { groups, ledger, prng } = this.#machine
    const partitions = ledger.partitions.filter(partition => partition !== undefined)
    if (partitions.length === 0) return false
    const { topicId, index } = prng.pick(partitions)
    const generation = this.#generation
    const track = () => {
      const before = groups.known(this.#groupId)
      return ({ topics }: ResponseBody<'OffsetCommit'>) => {
        if (topics[0]!.partitions[0]!.errorCode !== 0) return
        groups.demandCurrent(this.#groupId, generation, before)
        this.#heard()
      }
    }
    const offsets = [{ partitionIndex: index, committedOffset: prng.between(0, 1000), committedMetadata: null }]
    const topics = [{ name: ledger.topics.get(topicId)!.name, partitions: offsets }]
    const body = { ...this.#caller, generationIdOrMemberEpoch: generation, topics }
    const commit = this.#line.ask('OffsetCommit', 8, body, { track })
    const answer = await groups.asking(this.#groupId, this.#memberId, commit)
    const { errorCode } = answer.topics[0]!.partitions[0]!
    return errorName(errorCode) === 'UNKNOWN_TOPIC_OR_PARTITION' ? false : this.#lost(errorCode)
  }

  /** What is told is what was committed, and no offset that an open transaction is about to change. */
  async #readOffset(): Promise<void> {
    const { ledger, prng } = this.#machine
    const partitions = ledger.partitions.filter(partition => partition !== undefined)
    if (partitions.length === 0) return
    const { topicId, index } = prng.pick(partitions)
    const { name } = ledger.topics.get(topicId)!
    const key = `${topicId}#${index}`
    const track = () => (answer: ResponseBody<'OffsetFetch'>) => {
      if (ledger.topics.get(topicId)?.name !== name) return
      const { committedOffset, errorCode } = answer.topics[0]!.partitions[0]!
      const group = ledger.groups.get(this.#groupId)
      const isPending = [...(group?.pending.values() ?? [])].some(offsets => offsets.has(key))
      const expected = isPending ? 'UNSTABLE_OFFSET_COMMIT' : `${group?.offsets.get(key)?.offset ?? -1}`
      const found = errorCode === 0 ? `${committedOffset}` : errorName(errorCode)
      if (found !== expected) throw new Violation(`${this.#groupId} is told ${found} of ${key}, not ${expected}`)
    }
    const topics = [{ name, partitionIndexes: [index] }]
    await this.#line.ask('OffsetFetch', 7, { groupId: this.#groupId, topics, requireStable: true }, { track })
  }

  async #leave(): Promise<void> {
    const { memberId, groupInstanceId } = this.#caller
    const members = [{ memberId, groupInstanceId }]
    await this.#line.ask('LeaveGroup', 4, { groupId: this.#groupId, members })
    this.#memberId = ''
  }
}
