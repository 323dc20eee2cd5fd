import { describe, expect, it } from 'vitest'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import { MigratingConsumer } from '#test/support/migrating-consumer.ts'
import { Prng } from '#test/support/sim/prng.ts'

// Any life of a group whose consumers are started again and again, with either protocol, while answers get lost and the broker is
// killed: at no time do two members have the same partition, and once nothing happens any more, each partition is somebody's.

const CONSUMERS = 4
const PARTITIONS = 6
const EVENTS = 100
/** Longer than a session and a rebalance. */
const REST_MS = 150_000
const HEARTBEAT_MS = 3_000
const { CHRONIK_SIM_SEEDS: wanted = '30', CHRONIK_SIM_FROM: first = '51' } = process.env
const SEEDS = Array.from({ length: Number(wanted) }, (_, i) => Number(first) + i)

class MigrationLife {
  readonly #prng: Prng
  readonly #consumers: MigratingConsumer[]
  #fixture: BrokerFixture

  private constructor(fixture: BrokerFixture, prng: Prng, isCooperative: boolean) {
    this.#fixture = fixture
    this.#prng = prng
    const topic = { name: 't', id: fixture.partition('t').topic.id, partitionCount: PARTITIONS }
    const around = { groups: () => this.#fixture.broker.groups, topic, prng, isCooperative }
    this.#consumers = Array.from({ length: CONSUMERS }, (_, i) => {
      return new MigratingConsumer(`m${i}`, i === 0 ? 'static' : null, around)
    })
  }

  static async start(seed: number): Promise<MigrationLife> {
    const prng = new Prng(seed)
    const fixture = await BrokerFixture.start({
      groupConsumerAssignmentIntervalMs: prng.pick([0, 1000]),
      groupInitialRebalanceDelayMs: prng.pick([0, 3000]),
    })
    await fixture.createTopic('t', { partitions: PARTITIONS })
    return new MigrationLife(fixture, prng, prng.chance(0.5))
  }

  async live(): Promise<void> {
    for (let i = 0; i < EVENTS; i++) {
      await this.#somethingHappens()
      this.#check()
    }
    await this.#goOn(REST_MS / HEARTBEAT_MS)
  }

  close(): void {
    this.#fixture.broker.groups.close()
  }

  /** Partitions that consumers have. */
  get owned(): number[] {
    return this.#consumers.flatMap(({ owned }) => owned).sort((a, b) => a - b)
  }

  async #somethingHappens(): Promise<void> {
    const prng = this.#prng
    const one = prng.pick(this.#consumers)
    const dice = prng.fraction()
    if (dice < 0.5) void one.act()
    else if (dice < 0.8) {
      one.startAgain(prng.pick(['classic', 'consumer']), prng.chance(0.8))
      void one.act()
    } else if (dice < 0.92) await this.#goOn(prng.between(1, 4))
    else if (dice < 0.95) await this.#fixture.clock.runFor(prng.between(1_000, 20_000))
    else if (dice < 0.97) void this.#fixture.broker.groups.remove('g')
    else {
      for (const consumer of this.#consumers) consumer.loseAnswers()
      this.#fixture = await this.#fixture.kill()
    }
    await this.#fixture.clock.runFor(prng.between(1, 500))
  }

  async #goOn(heartbeats: number): Promise<void> {
    for (let i = 0; i < heartbeats; i++) {
      for (const one of this.#consumers) void one.act()
      await this.#fixture.clock.runFor(HEARTBEAT_MS)
      this.#check()
    }
  }

  #check(): void {
    const owners = new Map<number, string>()
    for (const one of this.#consumers) {
      // Who was given up does not know it until it asks.
      if (!this.#isMember(one.memberId)) continue
      for (const partition of one.owned) {
        expect(owners.get(partition), `partition ${partition} of ${one.memberId}`).toBeUndefined()
        owners.set(partition, one.memberId)
      }
    }
  }

  #isMember(memberId: string): boolean {
    const { groups } = this.#fixture.broker
    const consumer = groups.describeConsumer('g')
    if (consumer !== null) return consumer.members.has(memberId)
    return groups.describe('g')?.members.some(({ id }) => id === memberId) === true
  }
}

describe('any life of a group that changes its protocol', () => {
  it.each(SEEDS)(
    'has no partition with two members, and all partitions with somebody in the end: seed %i',
    async seed => {
      const life = await MigrationLife.start(seed)
      await life.live()
      expect(life.owned).toEqual([0, 1, 2, 3, 4, 5])
      life.close()
    },
  )
})
