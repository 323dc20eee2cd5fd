// A member of a classic group that divides the partitions of one topic, on the wire: joins, leads if it must, says that it lives.

import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokenPromise } from './history.ts'
import type { Line } from './line.ts'

const PROTOCOL_TYPE = 'copier'
const PROTOCOL = 'in-turn'
export const SESSION_TIMEOUT_MS = 600
const REBALANCE_TIMEOUT_MS = 800
const MEMBER_ID_REQUIRED = 'MEMBER_ID_REQUIRED'

/** The group was rebalanced, or does not know the member any more: it joins again. */
export class MembershipLost extends Error {
  override readonly name = 'MembershipLost'
}

const LOST: ReadonlySet<string> = new Set([
  'UNKNOWN_MEMBER_ID',
  'ILLEGAL_GENERATION',
  'REBALANCE_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
])

/** Anything but no error is the loss of the membership, or a broken promise. */
export function demandMember(what: string, errorCode: number): void {
  if (errorCode === 0) return
  const name = errorName(errorCode)
  if (LOST.has(name)) throw new MembershipLost(`${what}: ${name}`)
  throw new BrokenPromise(`${what}: ${name}`)
}

/** What all members know together. */
export interface GroupFacts {
  readonly groupId: string
  readonly partitionCount: number
  /** The highest whose assignment somebody was told: it is durable. */
  syncedGeneration: number
  rebalances: number
}

export class Membership {
  readonly #line: Line
  readonly #facts: GroupFacts
  memberId = ''
  generation = -1
  partitions: readonly number[] = []

  constructor(line: Line, facts: GroupFacts) {
    this.#line = line
    this.#facts = facts
  }

  /** Until it has an assignment. */
  async join(): Promise<void> {
    for (;;) {
      try {
        await this.#joinOnce()
        return
      } catch (thrown) {
        if (!(thrown instanceof MembershipLost)) throw thrown
        if (thrown.message.endsWith('UNKNOWN_MEMBER_ID')) this.memberId = ''
      }
    }
  }

  async #joinOnce(): Promise<void> {
    const facts = this.#facts
    const atLeast = facts.syncedGeneration
    const joined = await this.#line.askOnce('JoinGroup', 9, {
      groupId: facts.groupId,
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
      memberId: this.memberId,
      protocolType: PROTOCOL_TYPE,
      protocols: [{ name: PROTOCOL, metadata: Buffer.from('all') }],
    })
    if (errorName(joined.errorCode) === MEMBER_ID_REQUIRED) {
      this.memberId = joined.memberId
      return this.#joinOnce()
    }
    demandMember('a join', joined.errorCode)
    if (joined.generationId < atLeast) {
      throw new BrokenPromise(`generation ${joined.generationId} comes behind generation ${atLeast}`)
    }
    this.memberId = joined.memberId
    this.generation = joined.generationId
    const ids = joined.members.map(member => member.memberId)
    const assignments = ids.map((memberId, i) => ({ memberId, assignment: this.#shareOf(i, ids.length) }))
    const synced = await this.#line.ask('SyncGroup', 5, {
      groupId: facts.groupId,
      generationId: this.generation,
      memberId: this.memberId,
      protocolType: PROTOCOL_TYPE,
      protocolName: PROTOCOL,
      assignments,
    })
    demandMember('a sync', synced.errorCode)
    this.partitions = [...synced.assignment]
    facts.rebalances++
    facts.syncedGeneration = Math.max(facts.syncedGeneration, this.generation)
  }

  #shareOf(place: number, memberCount: number): Buffer {
    const all = Array.from({ length: this.#facts.partitionCount }, (_, partition) => partition)
    return Buffer.from(all.filter(partition => partition % memberCount === place))
  }

  async heartbeat(): Promise<void> {
    const { groupId } = this.#facts
    const { generation, memberId } = this
    const { errorCode } = await this.#line.ask('Heartbeat', 4, { groupId, generationId: generation, memberId })
    demandMember('a heartbeat', errorCode)
  }
}
