import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteReader } from '#bytes/cursor.ts'
import { type Change, encodeChange, RECORD_VERSION, typeOfChange } from '#core/change-records.ts'
import { apply, NO_EFFECTS } from '#core/core.ts'
import { State } from '#core/state.ts'
import {
  consumerHeartbeat,
  consumerLeave,
  type HeartbeatAnswer,
  type HeartbeatRequest,
} from '#kafka/coordinator/consumer-heartbeat.ts'
import { consumerTick } from '#kafka/coordinator/consumer-members.ts'
import { ConsumerStep, ConsumerTimers } from '#kafka/coordinator/consumer-step.ts'
import { consumerPhase } from '#kafka/coordinator/consumer-view.ts'
import { TopicView } from '#kafka/coordinator/topic-view.ts'
import { SlowClock } from '#test/support/slow-clock.ts'

// Any life of a group, with answers that get lost and a broker that forgets all but what is stored: at no time do two members
// have the same partition, and once nothing happens any more, each partition is somebody's.

const GROUP = 'g'
const MEMBERS = 4
const TOPICS = ['t', 'u', 'v']
const SESSION_MS = 45_000
const LIMITS = {
  maxMembers: 100,
  maxBytes: 10_000,
  sessionTimeoutMs: SESSION_MS,
  heartbeatIntervalMs: 5_000,
  assignmentIntervalMs: 1_000,
  migrationPolicy: 'bidirectional',
  maxClassicMembers: 100,
} as const

interface Client {
  readonly id: string
  readonly instanceId: string | null
  /** 0: it is no member, as far as it knows. */
  epoch: number
  topics: string[]
  regex: string
  owned: Map<string, number[]>
  /** An answer did not come, or it wants something else: the next heartbeat says everything, and is told everything. */
  saysAll: boolean
}

class Life {
  readonly state = new State()
  clock = new SlowClock(1)
  topics = this.#view()
  readonly clients: Client[] = Array.from({ length: MEMBERS }, (_, i) => ({
    id: `m${i}`,
    instanceId: i === 0 ? 'static' : null,
    epoch: 0,
    topics: [],
    regex: '',
    owned: new Map(),
    saysAll: false,
  }))
  timers = new ConsumerTimers()
  nowMs = 0

  /** An expression takes two turns for three topics. */
  #view(): TopicView {
    return new TopicView(this.state, this.clock, { warn() {} })
  }

  get group() {
    return this.state.groups.get(GROUP)?.consumer ?? null
  }

  change(change: Change): void {
    const body = new ByteReader(Buffer.from(encodeChange(change, 0)))
    apply(this.state, { type: typeOfChange(change.kind), version: RECORD_VERSION, body }, NO_EFFECTS)
  }

  step<T>(act: (step: ConsumerStep) => T): T {
    const { group, timers, topics, nowMs } = this
    const step = new ConsumerStep({ groupId: GROUP, group, timers, topics, nowMs, limits: LIMITS })
    const result = act(step)
    if (step.changes.length > 0) this.change({ kind: 'consumer-group-changed', groupId: GROUP, changes: step.changes })
    return result
  }

  /** All but what is stored is forgotten. */
  restart(): void {
    this.clock = new SlowClock(1)
    this.topics = this.#view()
    this.timers = new ConsumerTimers()
    for (const { id, state, rebalanceTimeoutMs } of this.group?.members.values() ?? []) {
      const revokeMs = state === 'unrevoked' ? this.nowMs + rebalanceTimeoutMs : Number.POSITIVE_INFINITY
      this.timers.set(id, { sessionMs: this.nowMs + SESSION_MS, revokeMs })
    }
  }

  beat(client: Client, isLost: boolean): void {
    const joins = client.epoch === 0
    const isFull = joins || client.saysAll
    client.saysAll = isLost
    if (joins) client.owned = new Map()
    const answer = this.step(step =>
      consumerHeartbeat(step, {
        ...this.#request(client, client.epoch),
        rebalanceTimeoutMs: isFull ? 60_000 : -1,
        topicNames: isFull ? client.topics : null,
        topicRegex: isFull ? client.regex : null,
      }),
    )
    if (!isLost) this.#hear(client, answer)
  }

  #hear(client: Client, { error, memberEpoch, assignment }: HeartbeatAnswer): void {
    if (error !== 'NONE') {
      // Fenced: it gives everything up, and joins again.
      expect(['FENCED_MEMBER_EPOCH', 'UNKNOWN_MEMBER_ID', 'UNRELEASED_INSTANCE_ID']).toContain(error)
      client.epoch = 0
      client.owned = new Map()
      return
    }
    client.epoch = memberEpoch
    if (assignment === null) return
    // What an expression matches may be known late, or not yet.
    const told = [...assignment.keys()].flatMap(topicId => this.topics.nameOf(topicId) ?? [])
    if (client.regex === '') expect(client.topics).toEqual(expect.arrayContaining(told))
    client.owned = new Map([...assignment].map(([topicId, epochs]) => [topicId, [...epochs.keys()]]))
  }

  leave(client: Client, isForAWhile: boolean): void {
    if (client.epoch === 0) return
    const epoch = isForAWhile && client.instanceId !== null ? -2 : -1
    this.step(step => consumerLeave(step, this.#request(client, epoch)))
    client.epoch = 0
    client.owned = new Map()
  }

  #request(client: Client, memberEpoch: number): HeartbeatRequest {
    return {
      memberId: client.id,
      newMemberId: '',
      memberEpoch,
      instanceId: client.instanceId,
      rackId: null,
      clientId: 'c',
      clientHost: '/h',
      rebalanceTimeoutMs: -1,
      topicNames: null,
      topicRegex: null,
      assignor: null,
      owned: [...client.owned].map(([topicId, partitions]) => ({ topicId, partitions })),
    }
  }

  /** Members that nobody else has, as far as both sides know. */
  check(): void {
    const owners = new Map<string, string>()
    for (const { id, epoch, owned } of this.clients) {
      if (epoch === 0 || this.group?.members.has(id) !== true) continue
      for (const [topicId, partitions] of owned) {
        for (const partition of partitions) {
          expect(owners.get(`${topicId}-${partition}`), `${topicId}-${partition} of ${id}`).toBeUndefined()
          owners.set(`${topicId}-${partition}`, id)
        }
      }
    }
  }
}

const client = fc.integer({ min: 0, max: MEMBERS - 1 })
const topic = fc.constantFrom(...TOPICS)
const event = fc.oneof(
  { weight: 12, arbitrary: fc.record({ beats: client, isLost: fc.nat(4).map(n => n === 0) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      wants: client,
      topics: fc.subarray(TOPICS),
      regex: fc.constantFrom('', '', '[tu]'),
      leaves: fc.boolean(),
      isLost: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ leaves: client, isForAWhile: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ waitsMs: fc.constantFrom(500, 1_500, 20_000) }) },
  { weight: 1, arbitrary: fc.record({ grows: topic, by: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ goes: topic }) },
  { weight: 2, arbitrary: fc.record({ matchesTurns: fc.constantFrom(1, 100) }) },
  { weight: 1, arbitrary: fc.record({ restarts: fc.constant(true) }) },
)
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never

function happen(life: Life, what: Event, ordinal: number): void {
  if ('beats' in what) life.beat(life.clients[what.beats]!, what.isLost)
  else if ('wants' in what) {
    const one = life.clients[what.wants]!
    Object.assign(one, { topics: what.topics, regex: what.regex })
    // What it wants is told in a full heartbeat, which joining is.
    one.saysAll = true
    if (what.leaves) life.leave(one, false)
    else life.beat(one, what.isLost)
  } else if ('leaves' in what) life.leave(life.clients[what.leaves]!, what.isForAWhile)
  else if ('waitsMs' in what) {
    life.nowMs += what.waitsMs
    if (life.group !== null) life.step(consumerTick)
  } else if ('grows' in what) {
    const found = life.state.topics.get(what.grows)
    if (found === undefined) {
      const created = { id: `${what.grows}${ordinal}`, name: what.grows, partitionCount: what.by, configs: new Map() }
      life.change({ kind: 'topic-created', ...created })
    } else life.change({ kind: 'partitions-added', id: found.id, partitionCount: found.partitions.length + what.by })
  } else if ('goes' in what) {
    const found = life.state.topics.get(what.goes)
    if (found !== undefined) life.change({ kind: 'topic-deleted', id: found.id })
  } else if ('matchesTurns' in what) life.clock.takeTurns(what.matchesTurns)
  else life.restart()
}

/** Everybody sends heartbeats, nothing is lost, and nothing else happens. */
function comeToRest(life: Life): void {
  for (let round = 0; round < 40; round++) {
    life.nowMs += 5_000
    life.clock.takeTurns()
    if (life.group !== null) life.step(consumerTick)
    for (const one of life.clients) {
      life.beat(one, false)
      life.check()
    }
  }
}

describe('any life of a consumer group', () => {
  it('has no partition with two members, and all partitions with somebody in the end', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 80 }), events => {
        const life = new Life()
        life.change({ kind: 'topic-created', id: 't-id', name: 't', partitionCount: 5, configs: new Map() })
        for (const one of life.clients) one.topics = ['t']
        for (const [i, what] of events.entries()) {
          happen(life, what, i)
          life.check()
        }
        comeToRest(life)
        const { group } = life
        expect(consumerPhase(group!)).toBe('Stable')
        const wanted = new Set<string>()
        for (const one of life.clients) {
          const names = one.regex === '' ? [] : life.topics.matching(one.regex)!
          for (const name of [...one.topics, ...names]) if (life.state.topics.has(name)) wanted.add(name)
        }
        const expected = [...wanted].flatMap(name =>
          life.state.topics.get(name)!.partitions.map(({ index }) => `${name}-${index}`),
        )
        const owned = life.clients.flatMap(one =>
          [...one.owned].flatMap(([id, partitions]) => partitions.map(index => `${life.topics.nameOf(id)}-${index}`)),
        )
        expect(owned.sort()).toEqual(expected.sort())
      }),
      { numRuns: 200 },
    )
  })

  it('goes on after a start as if there had been none', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), fc.array(client, { maxLength: 20 }), (events, beats) => {
        const life = new Life()
        for (const name of TOPICS) {
          life.change({ kind: 'topic-created', id: `${name}-id`, name, partitionCount: 3, configs: new Map() })
        }
        for (const one of life.clients) one.regex = '[tu]'
        for (const [i, what] of events.entries()) happen(life, what, i)
        comeToRest(life)
        const before = structuredClone(life.group)
        life.restart()
        for (const beat of beats) {
          life.beat(life.clients[beat]!, false)
          life.clock.takeTurns(1)
        }
        comeToRest(life)
        expect(structuredClone(life.group)).toEqual(before)
      }),
    )
  })
})
