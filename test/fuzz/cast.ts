// Members of groups that the damaged requests are about: they join, commit, and keep what is answered, so that what the fuzzer
// says of them reaches deep. Now and then a damaged request sends one of them away, and it joins again.

import type { BrokerProcess } from '#test/support/broker-process.ts'
import { WireClient } from '#test/support/wire-client.ts'
import { INSTANCE_IDS, PROTOCOLS, REBALANCE_TIMEOUT_MS, SESSION_TIMEOUT_MS } from './requests.ts'

const NONE = 0
const GROUPS = ['group-1', 'group-2', 'group-3']
/** Where they are not: of whoever comes, by the old protocol or the new. */
const OTHER_GROUPS = ['group-4', 'group-5']
/** version 1, one topic, no user data */
const SUBSCRIPTION = Buffer.from('00010000000100066f7264657273ffffffff00000000', 'hex')

interface Member {
  readonly groupId: string
  readonly instanceId: string | null
  memberId: string
  generationId: number
}

export class Cast {
  readonly #client: WireClient
  readonly #members: Member[]

  private constructor(client: WireClient) {
    this.#client = client
    this.#members = GROUPS.map((groupId, i) => ({
      groupId,
      instanceId: INSTANCE_IDS[i] ?? null,
      memberId: '',
      generationId: -1,
    }))
  }

  static async open(broker: BrokerProcess): Promise<Cast> {
    return new Cast(await WireClient.connect(broker.kafka))
  }

  close(): void {
    this.#client.close()
  }

  get groups(): readonly string[] {
    return [...GROUPS, ...OTHER_GROUPS]
  }

  get memberIds(): string[] {
    return this.#members.map(({ memberId }) => memberId)
  }

  get generations(): number[] {
    return this.#members.map(({ generationId }) => generationId)
  }

  /** Sees to it that every one is a member. Returns how many offsets were committed with an answer. */
  async play(topic: string): Promise<number> {
    let commits = 0
    for (const member of this.#members) {
      const { errorCode } = await this.#client.send('Heartbeat', 4, this.#named(member))
      if (errorCode !== NONE) await this.#join(member)
      const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }]
      const { generationId, ...named } = this.#named(member)
      const committed = await this.#client.send('OffsetCommit', 9, {
        ...named,
        generationIdOrMemberEpoch: generationId,
        topics: [{ name: topic, partitions }],
      })
      if (committed.topics[0]!.partitions[0]!.errorCode === NONE) commits++
    }
    return commits
  }

  #named({ groupId, memberId, generationId, instanceId }: Member) {
    return { groupId, memberId, generationId, groupInstanceId: instanceId }
  }

  async #join(member: Member): Promise<void> {
    const { generationId, ...named } = this.#named(member)
    for (const memberId of [member.memberId, '', '']) {
      const answer = await this.#client.send('JoinGroup', 7, {
        ...named,
        memberId: memberId || member.memberId,
        sessionTimeoutMs: SESSION_TIMEOUT_MS,
        rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
        protocolType: 'consumer',
        protocols: PROTOCOLS.map(name => ({ name, metadata: SUBSCRIPTION })),
      })
      // The next attempt is with the id that was given, or as somebody new.
      member.memberId = answer.memberId !== memberId ? answer.memberId : ''
      if (answer.errorCode !== NONE) continue
      member.memberId = answer.memberId
      member.generationId = answer.generationId
      const assignments = [{ memberId: member.memberId, assignment: Buffer.from('all') }]
      await this.#client.send('SyncGroup', 3, { ...this.#named(member), assignments })
      return
    }
  }
}
