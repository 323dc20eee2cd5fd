import { Violation } from '#test/simulation/history.ts'
import { SLACK_MS } from './agreements.ts'
import type { Machine } from './machine.ts'

// What is known of groups from what their members were told, and what follows from it.

export const REBALANCE_TIMEOUT_MS = 300
export const LONGEST_SESSION_MS = 250

interface Facts {
  /** The highest generation that somebody joined in this life of the broker, and that was synced in any. */
  joined: number
  synced: number
  readonly leaders: Map<number, string>
  /** What leaders assigned, by generation and place. */
  readonly assigned: Map<string, Set<string>>
  /** When members were heard of last. */
  readonly heardMs: Map<string, number>
  /** Members whose request is under way. */
  readonly asking: Map<string, number>
}

export class GroupFacts {
  readonly #machine: Machine
  readonly #groups = new Map<string, Facts>()
  /** Joins under way, and since when. */
  readonly #joining = new Map<object, number>()

  constructor(machine: Machine) {
    this.#machine = machine
  }

  of(groupId: string): Facts {
    const known = this.#groups.get(groupId)
    if (known !== undefined) return known
    const maps = { leaders: new Map(), assigned: new Map(), heardMs: new Map(), asking: new Map() }
    const facts: Facts = { joined: 0, synced: 0, ...maps }
    this.#groups.set(groupId, facts)
    return facts
  }

  /** A generation that nobody has synced may be lost, and its number be given again. */
  restarted(): void {
    for (const facts of this.#groups.values()) {
      facts.joined = 0
      for (const generation of facts.leaders.keys()) if (generation > facts.synced) facts.leaders.delete(generation)
    }
  }

  heard(groupId: string, memberId: string): void {
    this.of(groupId).heardMs.set(memberId, this.#machine.clock.monotonicMs())
  }

  /** While a member waits to join. */
  async joining<T>(join: Promise<T>): Promise<T> {
    const key = {}
    this.#joining.set(key, this.#machine.clock.monotonicMs())
    try {
      return await join
    } finally {
      this.#joining.delete(key)
    }
  }

  /** While it waits for anything. */
  async asking<T>(groupId: string, memberId: string, asked: Promise<T>): Promise<T> {
    const { asking } = this.of(groupId)
    asking.set(memberId, (asking.get(memberId) ?? 0) + 1)
    try {
      return await asked
    } finally {
      asking.set(memberId, asking.get(memberId)! - 1)
    }
  }

  joined(groupId: string, generation: number, leader: string): void {
    const facts = this.of(groupId)
    if (generation < facts.joined || generation < facts.synced) {
      throw new Violation(`${groupId}: generation ${generation} is joined behind ${facts.joined} and ${facts.synced}`)
    }
    const place = placeOf(leader)
    if ((facts.leaders.get(generation) ?? place) !== place) {
      throw new Violation(`${groupId}: generation ${generation} has two leaders`)
    }
    facts.leaders.set(generation, place)
    facts.joined = generation
  }

  assign(groupId: string, generation: number, memberId: string, assignment: string): void {
    const key = `${generation} ${placeOf(memberId)}`
    const { assigned } = this.of(groupId)
    const known = assigned.get(key)
    if (known === undefined) assigned.set(key, new Set([assignment]))
    else known.add(assignment)
  }

  synced(groupId: string, generation: number, memberId: string, assignment: string): void {
    const facts = this.of(groupId)
    this.demandCurrent(groupId, generation, { joined: facts.joined, synced: facts.synced })
    if (!facts.assigned.get(`${generation} ${placeOf(memberId)}`)?.has(assignment)) {
      throw new Violation(`${groupId}: ${memberId} is told ${assignment} in generation ${generation}: nobody said so`)
    }
    facts.synced = generation
  }

  /** What was known when something was asked for. */
  known(groupId: string): { joined: number; synced: number } {
    const { joined, synced } = this.of(groupId)
    return { joined, synced }
  }

  /** A request of this generation was granted. */
  demandCurrent(groupId: string, generation: number, { joined, synced }: { joined: number; synced: number }): void {
    if (generation >= joined && generation >= synced) return
    throw new Violation(`${groupId}: generation ${generation} is heard though ${Math.max(joined, synced)} is there`)
  }

  /** Nobody waits for ever, and who is not heard of is no member any more. */
  demandLife(): void {
    const { broker, clock, couldWriteMs, plan } = this.#machine
    const nowMs = clock.monotonicMs()
    const mostMs = LONGEST_SESSION_MS + 3 * REBALANCE_TIMEOUT_MS + 2 * plan.rebalanceDelayMs + SLACK_MS
    for (const sinceMs of this.#joining.values()) {
      const waitedMs = nowMs - Math.max(sinceMs, couldWriteMs)
      if (waitedMs > 2 * mostMs) throw new Violation(`somebody waits for ${waitedMs} ms to join`)
    }
    for (const { id } of broker.groups.list()) {
      const facts = this.of(id)
      for (const member of broker.groups.describe(id)?.members ?? []) {
        if ((facts.asking.get(member.id) ?? 0) > 0) continue
        const heardMs = facts.heardMs.get(member.id) ?? nowMs
        facts.heardMs.set(member.id, heardMs)
        const silentMs = nowMs - Math.max(heardMs, couldWriteMs)
        if (silentMs > mostMs) throw new Violation(`${id}: ${member.id} is a member, silent for ${silentMs} ms`)
      }
    }
  }
}

/** A static member that comes back has another id and the same place: what is before the UUID of its id. */
function placeOf(memberId: string): string {
  const instanceId = memberId.slice(0, -UUID_LENGTH)
  return /^member-\d+-$/.test(instanceId) ? instanceId : memberId
}

const UUID_LENGTH = 36
