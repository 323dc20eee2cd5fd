import { assert, unreachable } from '#base/assert.ts'

// The side of a group that KIP-848 manages: members with epochs of their own, what each is to have (its target) and what it has.
// A group is of the consumer type as long as it has this side. It changes by `ConsumerChange`s alone, in the state and in the
// coordinator's drafts of it alike.

/** Topic id, partition, and the member epoch at which the member got it (KIP-1251). */
export type Assignment = ReadonlyMap<string, ReadonlyMap<number, number>>
/** By topic id; ascending. */
export type Target = ReadonlyMap<string, readonly number[]>

/** What a member that speaks the classic protocol has told of itself. */
export interface ClassicSide {
  readonly sessionTimeoutMs: number
  readonly protocols: readonly { readonly name: string; readonly metadata: Buffer }[]
}

/** Who a member is, and what it wants. */
export interface MemberDescription {
  readonly id: string
  readonly instanceId: string | null
  readonly rackId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly rebalanceTimeoutMs: number
  /** Sorted, each once. */
  readonly topicNames: readonly string[]
  /** '' for none. */
  readonly topicRegex: string
  readonly assignor: string | null
  /** Null: it speaks the consumer protocol. */
  readonly classic: ClassicSide | null
}

export const MEMBER_STATES = ['stable', 'unrevoked', 'unreleased'] as const
/**
 * stable      it has its target, or waits to hear of the next one
 * unrevoked   it has to give partitions up, and has not said yet that it did
 * unreleased  partitions of its target are still another member's
 */
export type MemberState = (typeof MEMBER_STATES)[number]

/** A static member that left and will come back. */
export const LEFT_FOR_A_WHILE = -2

/** How far a member is on its way to its target. */
export interface MemberProgress {
  readonly epoch: number
  readonly previousEpoch: number
  readonly state: MemberState
  readonly assigned: Assignment
  /** To be given up, and the member's until it says that it did. */
  readonly revoking: Assignment
}

export interface ConsumerMember extends MemberDescription, MemberProgress {
  readonly target: Target
}

export type ConsumerChange =
  | { readonly kind: 'epoch'; readonly epoch: number; readonly topicsHash: number }
  | { readonly kind: 'member'; readonly member: MemberDescription }
  | { readonly kind: 'progress'; readonly memberId: string; readonly progress: MemberProgress }
  | { readonly kind: 'target'; readonly memberId: string; readonly target: Target }
  | { readonly kind: 'target-epoch'; readonly epoch: number }
  | { readonly kind: 'member-gone'; readonly memberId: string }

export const NO_PARTITIONS: Assignment = new Map()
export const NO_TARGET: Target = new Map()
export const NO_PROGRESS: MemberProgress = {
  epoch: 0,
  previousEpoch: 0,
  state: 'stable',
  assigned: NO_PARTITIONS,
  revoking: NO_PARTITIONS,
}

/** Of what a member says of itself: in the classic protocol that is what it offers, as in a classic group. */
export function descriptionBytes(description: MemberDescription): number {
  let bytes = 0
  if (description.classic !== null) {
    for (const { name, metadata } of description.classic.protocols) bytes += name.length + metadata.length
    return bytes
  }
  const { id, instanceId, rackId, clientId, topicRegex, topicNames } = description
  for (const text of [id, instanceId ?? '', rackId ?? '', clientId, topicRegex]) bytes += Buffer.byteLength(text)
  for (const name of topicNames) bytes += Buffer.byteLength(name)
  return bytes
}

/** Without the epochs. */
export function partitionsIn(assignment: Assignment): Map<string, number[]> {
  return new Map([...assignment].map(([topicId, epochs]) => [topicId, [...epochs.keys()]]))
}

/** Kafka: ModernGroup; the first member makes it 2. */
const FIRST_EPOCH = 1

export class ConsumerGroup {
  /** One more with every change of what members want, or of the topics they want. */
  epoch = FIRST_EPOCH
  /** Of the topics that members were subscribed to at that epoch. */
  topicsHash = 0
  /** The epoch that the targets were computed for. */
  targetEpoch = FIRST_EPOCH
  readonly members = new Map<string, ConsumerMember>()
  /** Ids of static members by instance id: derived. */
  readonly staticIds = new Map<string, string>()
  /** Of all that members say of themselves: derived. */
  #describedBytes = 0
  /** Whose a partition is, by topic id: derived. */
  readonly #owners = new Map<string, Map<number, string>>()

  copy(): ConsumerGroup {
    const copy = new ConsumerGroup()
    copy.epoch = this.epoch
    copy.topicsHash = this.topicsHash
    copy.targetEpoch = this.targetEpoch
    copy.#describedBytes = this.#describedBytes
    for (const [id, member] of this.members) copy.members.set(id, member)
    for (const [instanceId, id] of this.staticIds) copy.staticIds.set(instanceId, id)
    for (const [topicId, owners] of this.#owners) copy.#owners.set(topicId, new Map(owners))
    return copy
  }

  apply(change: ConsumerChange): void {
    switch (change.kind) {
      case 'epoch':
        this.epoch = change.epoch
        this.topicsHash = change.topicsHash
        return
      case 'member':
        this.#describe(change.member)
        return
      case 'progress': {
        const member = this.#member(change.memberId)
        this.#release(member)
        this.members.set(member.id, { ...member, ...change.progress })
        this.#own(member.id, change.progress.assigned)
        this.#own(member.id, change.progress.revoking)
        return
      }
      case 'target': {
        const member = this.#member(change.memberId)
        this.members.set(member.id, { ...member, target: change.target })
        return
      }
      case 'target-epoch':
        this.targetEpoch = change.epoch
        return
      case 'member-gone': {
        const member = this.#member(change.memberId)
        this.#release(member)
        this.members.delete(member.id)
        this.#describedBytes -= descriptionBytes(member)
        if (member.instanceId !== null && this.staticIds.get(member.instanceId) === member.id) {
          this.staticIds.delete(member.instanceId)
        }
        return
      }
      default:
        unreachable(change)
    }
  }

  /** Whose a partition is: it has it, or is about to give it up. */
  ownerOf(topicId: string, partition: number): string | undefined {
    return this.#owners.get(topicId)?.get(partition)
  }

  /** Of what members say of themselves, if `by` takes the place of a member, or of nobody. */
  bytesWith(by: MemberDescription, replaced: MemberDescription | undefined): number {
    return this.#describedBytes + descriptionBytes(by) - (replaced === undefined ? 0 : descriptionBytes(replaced))
  }

  staticMember(instanceId: string): ConsumerMember | undefined {
    const id = this.staticIds.get(instanceId)
    return id === undefined ? undefined : this.members.get(id)
  }

  #describe(description: MemberDescription): void {
    const known = this.members.get(description.id)
    this.#describedBytes = this.bytesWith(description, known)
    const progress = known ?? NO_PROGRESS
    const { epoch, previousEpoch, state, assigned, revoking } = progress
    const target = known?.target ?? NO_TARGET
    this.members.set(description.id, { ...description, epoch, previousEpoch, state, assigned, revoking, target })
    const before = known?.instanceId ?? null
    if (before !== null && before !== description.instanceId) this.staticIds.delete(before)
    if (description.instanceId !== null) this.staticIds.set(description.instanceId, description.id)
  }

  #member(id: string): ConsumerMember {
    const member = this.members.get(id)
    assert(member !== undefined, 'what changes is a member')
    return member
  }

  #own(memberId: string, partitions: Assignment): void {
    for (const [topicId, epochs] of partitions) {
      let owners = this.#owners.get(topicId)
      if (owners === undefined) {
        owners = new Map()
        this.#owners.set(topicId, owners)
      }
      for (const partition of epochs.keys()) {
        assert(!owners.has(partition), 'a partition has one owner')
        owners.set(partition, memberId)
      }
    }
  }

  #release({ assigned, revoking }: MemberProgress): void {
    for (const partitions of [assigned, revoking]) {
      for (const [topicId, epochs] of partitions) {
        const owners = this.#owners.get(topicId)
        for (const partition of epochs.keys()) owners?.delete(partition)
        if (owners?.size === 0) this.#owners.delete(topicId)
      }
    }
  }
}
