import { assert } from '#base/assert.ts'

// A classic group as its coordinator knows it (Kafka: ClassicGroup): who its members are and what they wait for. Plain data and
// questions about it; what happens to it is in classic-steps.ts. Times are of the monotonic clock; Infinity is never.

/** A request that waits for its answer. */
export type Token = number

export type Phase = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable'

export interface Protocol {
  readonly name: string
  readonly metadata: Buffer
}

export interface Member {
  id: string
  readonly instanceId: string | null
  clientId: string
  clientHost: string
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  /** In the order the member likes them. */
  protocols: readonly Protocol[]
  assignment: Buffer
  /** JoinGroup that waits for the others. */
  joinToken: Token | null
  /** SyncGroup that waits for the leader. */
  syncToken: Token | null
  /** Joined for the first time and has no answer yet: it does not know its id, so it sends no heartbeats. */
  isNew: boolean
  expiresMs: number
}

export const NO_BYTES = Buffer.alloc(0)

export class ClassicGroup {
  readonly id: string
  phase: Phase = 'Empty'
  generation = 0
  protocolType: string | null = null
  protocol: string | null = null
  leaderId: string | null = null
  /** In the order they joined. */
  readonly members = new Map<string, Member>()
  /** Ids of static members by instance id. */
  readonly staticIds = new Map<string, string>()
  /** Ids that were given out and did not join yet, and until when they may. */
  readonly pending = new Map<string, number>()
  /** When members that did not join again are given up. */
  joinByMs = Number.POSITIVE_INFINITY
  /** Of a rebalance that began empty: how much longer it may be put off for members that keep coming. */
  delayLeftMs: number | null = null
  memberCameSinceDelay = false
  /** Members that have not fetched their assignment of this generation, and until when they may. */
  readonly unsynced = new Set<string>()
  syncByMs = Number.POSITIVE_INFINITY
  /** Assignments that are on their way to the disk. */
  saving: ReadonlyMap<string, Buffer> | null = null

  /** How many members can do each protocol. */
  readonly #supporters = new Map<string, number>()
  #offeredBytes = 0

  constructor(id: string) {
    this.id = id
  }

  add(member: Member): void {
    assert(!this.members.has(member.id), 'a member joins once')
    this.leaderId ??= member.id
    this.members.set(member.id, member)
    this.#count(member.protocols, 1)
    this.pending.delete(member.id)
    if (member.instanceId !== null) this.staticIds.set(member.instanceId, member.id)
  }

  remove(memberId: string): void {
    this.pending.delete(memberId)
    this.unsynced.delete(memberId)
    const member = this.members.get(memberId)
    if (member === undefined) return
    this.members.delete(memberId)
    this.#count(member.protocols, -1)
    if (member.instanceId !== null) this.staticIds.delete(member.instanceId)
    if (this.leaderId === memberId) this.leaderId = this.members.keys().next().value ?? null
  }

  /** What a member can do now. */
  offer(member: Member, protocols: readonly Protocol[]): void {
    this.#count(member.protocols, -1)
    member.protocols = protocols
    this.#count(protocols, 1)
  }

  #count(protocols: readonly Protocol[], by: 1 | -1): void {
    this.#offeredBytes += by * bytesOf(protocols)
    for (const name of new Set(protocols.map(protocol => protocol.name))) {
      const count = (this.#supporters.get(name) ?? 0) + by
      if (count > 0) this.#supporters.set(name, count)
      else this.#supporters.delete(name)
    }
  }

  /** A static member comes back under a new id. */
  rename(member: Member, newId: string): void {
    const isLeader = this.leaderId === member.id
    this.members.delete(member.id)
    this.unsynced.delete(member.id)
    member.id = newId
    this.members.set(newId, member)
    if (member.instanceId !== null) this.staticIds.set(member.instanceId, newId)
    if (isLeader) this.leaderId = newId
  }

  /** Nobody is here, and nobody is on the way. */
  get isDeserted(): boolean {
    return this.phase === 'Empty' && this.pending.size === 0
  }

  /** Everybody who is known has joined, and nobody is on the way. */
  get hasAllJoined(): boolean {
    if (this.pending.size > 0) return false
    for (const member of this.members.values()) if (member.joinToken === null) return false
    return true
  }

  get joinedCount(): number {
    let count = 0
    for (const member of this.members.values()) if (member.joinToken !== null) count++
    return count
  }

  /** Of what its members say, without one of them. */
  bytesBesides(memberId: string): number {
    return this.#offeredBytes - bytesOf(this.members.get(memberId)?.protocols ?? [])
  }

  get rebalanceTimeoutMs(): number {
    let longestMs = 0
    for (const member of this.members.values()) longestMs = Math.max(longestMs, member.rebalanceTimeoutMs)
    return longestMs
  }

  /** Is there a protocol among these that every member can do? */
  supports(protocolType: string, protocols: readonly Protocol[]): boolean {
    if (this.members.size === 0) return protocolType !== '' && protocols.length > 0
    return protocolType === this.protocolType && protocols.some(({ name }) => this.#isSupportedByAll(name))
  }

  /** Each member votes for the one it likes best of those that all can do. */
  selectProtocol(): string {
    const votes = new Map<string, number>()
    for (const member of this.members.values()) {
      const choice = member.protocols.find(({ name }) => this.#isSupportedByAll(name))
      assert(choice !== undefined, 'members that have nothing in common are not let in')
      votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1)
    }
    let [selected, most] = ['', 0]
    for (const [name, count] of votes) if (count > most) [selected, most] = [name, count]
    return selected
  }

  #isSupportedByAll(name: string): boolean {
    return this.#supporters.get(name) === this.members.size
  }

  /** When the next thing happens by itself. */
  deadlineMs(): number {
    let firstMs = Math.min(this.joinByMs, this.syncByMs)
    for (const member of this.members.values()) firstMs = Math.min(firstMs, member.expiresMs)
    for (const expiresMs of this.pending.values()) firstMs = Math.min(firstMs, expiresMs)
    return firstMs
  }
}

export function bytesOf(protocols: readonly Protocol[]): number {
  let bytes = 0
  for (const { name, metadata } of protocols) bytes += name.length + metadata.length
  return bytes
}

export function metadataFor(member: Member, protocol: string | null): Buffer {
  return member.protocols.find(({ name }) => name === protocol)?.metadata ?? NO_BYTES
}

/** Does a member offer the same as before, in the same order? */
export function offersSame(member: Pick<Member, 'protocols'>, protocols: readonly Protocol[]): boolean {
  return (
    member.protocols.length === protocols.length &&
    member.protocols.every(
      ({ name, metadata }, i) => name === protocols[i]!.name && metadata.equals(protocols[i]!.metadata),
    )
  )
}
