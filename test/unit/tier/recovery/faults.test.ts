import { describe, expect, it } from 'vitest'
import { ChronikError } from '#base/errors.ts'
import { type Machine, RecoveryLab } from '#test/support/recovery-lab.ts'
import type { StoreFault } from '#test/support/sim/sim-object-store.ts'

// Something happens at the n-th call of the store, for every n, until a run makes fewer calls.

interface Kept {
  readonly content: readonly string[]
  readonly group: number | undefined
}

/** Something of everything: sealed, in the tail, a commit of a group; all of it archived when it returns. */
async function live(lab: RecoveryLab, machine: Machine): Promise<void> {
  const { lab: log } = machine.running
  await log.topic('topic', 2)
  await log.appendMany(log.partition(), 4, { recordCount: 2, sizeBytes: 200 })
  await machine.seal([log.partition()])
  await log.appendMany(log.partition(), 3)
  await log.append(log.partition('topic', 1))
  const partitions = [{ partition: 0, offset: 5, leaderEpoch: 0, metadata: '', expiresMs: -1 }]
  const topics = [{ topicId: 'id-of-topic', partitions }]
  await log.propose({ kind: 'offsets-committed', groupId: 'readers', topics })
  await lab.clock.runFor(1500)
}

async function keptBy(machine: Machine): Promise<Kept> {
  const content = [
    ...(await machine.content(machine.running.lab.partition())),
    ...(await machine.content(machine.running.lab.partition('topic', 1))),
  ]
  const group = machine.log.state.groups.get('readers')?.offsets.get('id-of-topic')?.get(0)?.offset
  return { content, group }
}

/** Starts until it is up: what is refused because somebody may live is tried later. */
async function startAtLast(lab: RecoveryLab, machine: Machine): Promise<void> {
  const refusals: string[] = []
  for (let attempts = 0; attempts < 20; attempts++) {
    try {
      await machine.start()
      return
    } catch (thrown) {
      if (!(thrown instanceof ChronikError)) throw thrown
      refusals.push(thrown.message)
      await lab.clock.runFor(5000)
    }
  }
  throw new Error(`it does not come up: ${refusals.at(-1)}`)
}

/** True if the call was made. */
function faultAt(lab: RecoveryLab, n: number, happen: () => StoreFault | null): { get isReached(): boolean } {
  let calls = 0
  lab.bucket.onCall = () => (++calls === n ? happen() : null)
  return {
    get isReached() {
      return calls >= n
    },
  }
}

const FAULTS = ['unavailable', 'lost', 'late', 'hanging'] as const

describe('a restore', () => {
  it.each(FAULTS)('brings everything back although a call of the store is %s, whichever it is', async fault => {
    let isReached = true
    for (let n = 1; isReached; n++) {
      const lab = new RecoveryLab({ seed: n })
      const first = await lab.machine()
      await first.start()
      await live(lab, first)
      const kept = await keptBy(first)
      first.kill()
      await lab.clock.runFor(12_000)
      const second = await lab.machine()
      const at = faultAt(lab, n, () => fault)
      await startAtLast(lab, second)
      isReached = at.isReached
      lab.bucket.onCall = () => null
      expect(await keptBy(second)).toEqual(kept)
    }
  })

  it.each([false, true])('is begun anew after a crash at any call of the store; disk lost too: %s', async losesDisk => {
    let isReached = true
    for (let n = 1; isReached; n++) {
      const lab = new RecoveryLab({ seed: n })
      const first = await lab.machine()
      await first.start()
      await live(lab, first)
      const kept = await keptBy(first)
      first.kill()
      await lab.clock.runFor(12_000)
      const second = await lab.machine()
      const at = faultAt(lab, n, () => {
        second.kill()
        return null
      })
      // What waits for the dead is told that nothing will ever happen.
      await second.start().catch(() => {})
      isReached = at.isReached
      lab.bucket.onCall = () => null
      if (isReached) {
        if (losesDisk) await second.wipe()
        await startAtLast(lab, second)
      }
      expect(await keptBy(second)).toEqual(kept)
    }
  })
})

describe('an owner', () => {
  it.each(FAULTS)('archives everything although a call of the store is %s, whichever it is', async fault => {
    let isReached = true
    for (let n = 1; isReached; n++) {
      const lab = new RecoveryLab({ seed: n })
      const first = await lab.machine()
      await first.start()
      const at = faultAt(lab, n, () => fault)
      await live(lab, first).catch(thrown => {
        // Sealing is tried again by who seals.
        if (!(thrown instanceof ChronikError)) throw thrown
        return produceMore(lab, first)
      })
      isReached = at.isReached
      lab.bucket.onCall = () => null
      await lab.clock.runFor(90_000)
      const kept = await keptBy(first)
      expect(first.running.recovery.lag.bytes).toBe(0)
      first.kill()
      await lab.clock.runFor(12_000)
      const second = await lab.machine()
      await second.start()
      expect(await keptBy(second)).toEqual(kept)
    }
  })
})

/** The rest, without the topic. */
async function produceMore(lab: RecoveryLab, machine: Machine): Promise<void> {
  const { lab: log } = machine.running
  await log.appendMany(log.partition(), 3)
  await lab.clock.runFor(1500)
}
