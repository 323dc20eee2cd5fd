import { describe, expect, it } from 'vitest'
import { ChronikError } from '#base/errors.ts'
import { type Machine, RecoveryLab } from '#test/support/recovery-lab.ts'

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'NONE'
  } catch (thrown) {
    if (thrown instanceof ChronikError) return thrown.code
    throw thrown
  }
}

/** A machine with a topic, all of it archived. */
async function owner(lab: RecoveryLab): Promise<Machine> {
  const machine = await lab.machine()
  await machine.start()
  await machine.running.lab.topic('topic')
  await machine.running.lab.append(machine.running.lab.partition())
  await lab.clock.runFor(2000)
  return machine
}

/** When it was answered last: it sends again and again. */
function busy(lab: RecoveryLab, machine: Machine): { lastAnswerMs: number } {
  const { lab: log } = machine.running
  const seen = { lastAnswerMs: 0 }
  const produce = (): void => {
    void log.send(log.batch(log.partition())).then(() => {
      seen.lastAnswerMs = lab.clock.monotonicMs()
      lab.clock.after(20, produce)
    })
  }
  produce()
  return seen
}

/** The store fails when the next generation is there. */
async function failInTakeover(lab: RecoveryLab, machine: Machine): Promise<void> {
  let isCreated = false
  lab.bucket.onCall = ({ verb }) => {
    if (isCreated) return 'unavailable'
    isCreated = verb === 'create'
    return null
  }
  expect(await codeOf(machine.start({ takeOver: true }))).toBe('STORE_UNAVAILABLE')
  lab.bucket.onCall = () => null
}

describe('a start', () => {
  it('with a directory and a store that are both empty owns the first generation', async () => {
    const lab = new RecoveryLab()
    const machine = await lab.machine()
    await machine.start()
    expect(machine.log.state.generation).toBe(1)
    expect(lab.keys).toContain('generations/0000000001.json')
    expect(lab.keys.some(key => key.startsWith('checkpoints/g1/'))).toBe(true)
  })

  it('with its own store goes on with the same generation, whether it was stopped or killed', async () => {
    const lab = new RecoveryLab()
    const machine = await owner(lab)
    machine.kill()
    await machine.start()
    await machine.stop()
    await machine.start()
    expect(machine.log.state.generation).toBe(1)
    expect(machine.log.state.topics.size).toBe(1)
  })

  it('is refused where an owner lives, and says which', async () => {
    const lab = new RecoveryLab()
    await owner(lab)
    const other = await lab.machine()
    const starting = other.start()
    await expect(starting).rejects.toThrow(/belongs to data directory .* on host-1 .*--take-over/)
  })

  it('leaves nothing behind that asked for the time in the store, if there is no answer', async () => {
    const lab = new RecoveryLab()
    await owner(lab)
    const before = lab.keys
    lab.bucket.onCall = ({ verb, key }) => (verb === 'head' && key.includes('probe') ? 'unavailable' : null)
    const other = await lab.machine()
    expect(await codeOf(other.start())).toBe('STORE_UNAVAILABLE')
    expect(lab.keys.filter(key => key.includes('probe'))).toEqual([])
    // What stays all the same, as nothing is answered any more, the probe of a later start removes by its name.
    lab.bucket.onCall = ({ verb, key }) => (verb !== 'put' && key.includes('probe') ? 'unavailable' : null)
    expect(await codeOf(other.start())).toBe('STORE_UNAVAILABLE')
    const left = lab.keys.filter(key => !before.includes(key))
    expect(left).toEqual([expect.stringMatching(/^probe\//)])
  })

  it('takes over when the owner has been silent for long enough by the clock of the store, whatever its own says', async () => {
    const lab = new RecoveryLab()
    lab.bucket.skewMs = -7_200_000
    const first = await owner(lab)
    first.kill()
    const second = await lab.machine()
    lab.clock.jump(86_400_000)
    lab.bucket.skewMs -= 86_400_000
    expect(await codeOf(second.start())).toBe('STORE_HAS_OWNER')
    await lab.clock.runFor(11_500)
    await second.start()
    expect(second.log.state.generation).toBe(2)
    expect(second.log.state.topics.size).toBe(1)
  })

  it('need not wait for an owner that was stopped', async () => {
    const lab = new RecoveryLab()
    const first = await owner(lab)
    await first.stop()
    const second = await lab.machine()
    const beganMs = lab.clock.monotonicMs()
    await second.start()
    expect(lab.clock.monotonicMs() - beganMs).toBeLessThan(2000)
    expect(second.log.state.topics.size).toBe(1)
  })

  it('with --take-over waits until an owner that lives has stopped to answer', async () => {
    const lab = new RecoveryLab()
    const first = await owner(lab)
    const second = await lab.machine()
    await second.start({ takeOver: true })
    expect(first.running.failures.map(({ code }) => code)).toEqual(['OWNER_FENCED'])
    expect(second.log.state.topics.size).toBe(1)
  })

  it('needs --take-over where nobody can read what the owner has promised', async () => {
    const lab = new RecoveryLab()
    const first = await owner(lab)
    first.kill()
    const bytes = lab.bucket.peek('owner.json')
    lab.bucket.poke('owner.json', Buffer.from(bytes.toString().replace('10000', '90000')))
    await lab.clock.runFor(3_600_000)
    const second = await lab.machine()
    expect(await codeOf(second.start())).toBe('STORE_HAS_OWNER')
    expect(second.reports).toContainEqual(expect.stringContaining('owner.json in sim://bucket cannot be read'))
    await second.start({ takeOver: true })
    expect(second.running.lab.partition().nextOffset).toBe(1)
  })

  it('with a directory whose store was taken over is refused, and names who did', async () => {
    const lab = new RecoveryLab()
    const first = await owner(lab)
    first.kill()
    await lab.clock.runFor(12_000)
    await (await lab.machine()).start()
    await expect(first.start()).rejects.toThrow(/was taken over by data directory .* on host-2/)
  })

  it('with a directory that belongs to another store is refused with an unused one, and goes on without its segments if told to', async () => {
    const lab = new RecoveryLab()
    const first = await owner(lab)
    await first.seal([first.running.lab.partition()])
    await first.running.lab.append(first.running.lab.partition())
    first.kill()
    for (const key of lab.keys) lab.bucket.remove(key)
    expect(await codeOf(first.start())).toBe('STORE_IS_ANOTHER')
    await first.start({ takeOver: true })
    const { logStart, nextOffset } = first.running.lab.partition()
    expect([logStart, nextOffset]).toEqual([1, 2])
    expect(first.log.state.generation).toBe(2)
  })

  it('is refused with an older copy of the directory, which --take-over lets go on', async () => {
    const lab = new RecoveryLab()
    const first = await owner(lab)
    first.kill()
    const copy = first.disk.copy()
    await first.start()
    await first.running.lab.append(first.running.lab.partition())
    await lab.clock.runFor(2000)
    first.kill()
    first.disk = copy
    expect(await codeOf(first.start())).toBe('STORE_IS_AHEAD')
    first.disk = copy.copy()
    await first.start({ takeOver: true })
    expect(first.log.state.generation).toBe(2)
    expect(first.running.lab.partition().nextOffset).toBe(1)
  })

  it('that fails before anything is archived gives back nothing', async () => {
    const lab = new RecoveryLab()
    const first = await owner(lab)
    first.running.store.isCut = true
    await first.running.lab.append(first.running.lab.partition())
    first.kill()
    lab.bucket.onCall = ({ verb, key }) => (verb === 'list' && key.startsWith('tail/') ? 'unavailable' : null)
    expect(await codeOf(first.start())).toBe('STORE_UNAVAILABLE')
    lab.bucket.onCall = () => null
    const second = await lab.machine()
    expect(await codeOf(second.start())).toBe('STORE_HAS_OWNER')
    await first.start()
    expect(first.running.lab.partition().nextOffset).toBe(2)
  })

  it('with an empty directory is refused where somebody has emptied the store under its owner', async () => {
    const lab = new RecoveryLab()
    const first = await owner(lab)
    for (const key of lab.keys) lab.bucket.remove(key)
    await first.running.lab.append(first.running.lab.partition())
    await lab.clock.runFor(5000)
    expect(first.reports.filter(line => line.startsWith('warn: sim://bucket was emptied by somebody'))).toHaveLength(1)
    first.kill()
    await lab.clock.runFor(20_000)
    const second = await lab.machine()
    expect(await codeOf(second.start())).toBe('NOTHING_TO_RESTORE')
    expect(await codeOf(second.start({ takeOver: true }))).toBe('NOTHING_TO_RESTORE')
    await first.start({ takeOver: true })
    await first.stop()
    await second.start()
    expect(second.running.lab.partition().nextOffset).toBe(2)
  })

  it('needs --take-over where creating is not honest', async () => {
    const lab = new RecoveryLab({ isHonest: false })
    const first = await owner(lab)
    await first.stop()
    const second = await lab.machine()
    expect(await codeOf(second.start())).toBe('STORE_CREATES_TWICE')
    await second.start({ takeOver: true })
    expect(second.log.state.topics.size).toBe(1)
  })
})

describe('a takeover', () => {
  it('that failed is done again, and waits again for an owner that may still answer', async () => {
    const lab = new RecoveryLab()
    const first = await owner(lab)
    const seen = busy(lab, first)
    first.running.store.isCut = true
    const second = await lab.machine()
    await failInTakeover(lab, second)
    await second.start({ takeOver: true })
    const tookOverMs = lab.clock.monotonicMs()
    await lab.clock.runFor(15_000)
    expect(seen.lastAnswerMs).toBeGreaterThan(5000)
    expect(seen.lastAnswerMs).toBeLessThan(tookOverMs)
  })

  it('that failed does not shorten what the owner before has promised', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start({ takeoverAfterMs: 60_000 })
    await first.running.lab.topic('topic')
    await lab.clock.runFor(2000)
    const seen = busy(lab, first)
    first.running.store.isCut = true
    await failInTakeover(lab, await lab.machine())
    const third = await lab.machine()
    await lab.clock.runFor(15_000)
    expect(await codeOf(third.start())).toBe('STORE_HAS_OWNER')
    await lab.clock.runFor(47_000)
    await third.start()
    const tookOverMs = lab.clock.monotonicMs()
    await lab.clock.runFor(15_000)
    expect(seen.lastAnswerMs).toBeGreaterThan(50_000)
    expect(seen.lastAnswerMs).toBeLessThan(tookOverMs)
  })

  it('by an older copy of the directory waits for the newer one, too', async () => {
    const lab = new RecoveryLab()
    const first = await owner(lab)
    first.kill()
    const older = await lab.machine()
    older.disk = first.disk.copy()
    await first.start()
    await first.running.lab.append(first.running.lab.partition())
    await lab.clock.runFor(2000)
    const seen = busy(lab, first)
    first.running.store.isCut = true
    await older.start({ takeOver: true })
    const tookOverMs = lab.clock.monotonicMs()
    await lab.clock.runFor(15_000)
    expect(seen.lastAnswerMs).toBeGreaterThan(8000)
    expect(seen.lastAnswerMs).toBeLessThan(tookOverMs)
  })

  it('that failed lets the owner before go on with what it has, if it is told to', async () => {
    const lab = new RecoveryLab()
    const first = await owner(lab)
    first.running.store.isCut = true
    await first.running.lab.append(first.running.lab.partition())
    first.kill()
    await lab.clock.runFor(12_000)
    const second = await lab.machine()
    await failInTakeover(lab, second)
    await expect(first.start()).rejects.toThrow(/taken over by .* on host-2 .* with --take-over to go on/)
    await first.start({ takeOver: true })
    expect(first.running.lab.partition().nextOffset).toBe(2)
    expect(first.log.state.generation).toBe(3)
    expect(await codeOf(second.start())).toBe('STORE_HAS_OWNER')
    // One that came to its end cannot be undone.
    first.kill()
    await lab.clock.runFor(12_000)
    await second.start()
    expect(await codeOf(first.start({ takeOver: true }))).toBe('STORE_TAKEN_OVER')
  })

  it('from an owner that was stopped waits for it if it comes back meanwhile', async () => {
    let both = 0
    for (let seed = 1; seed <= 120; seed++) {
      const lab = new RecoveryLab({ seed })
      const first = await owner(lab)
      await first.stop()
      const second = await lab.machine()
      let tookOverMs = Number.POSITIVE_INFINITY
      const taking = second.start().then(
        () => {
          tookOverMs = lab.clock.monotonicMs()
        },
        () => {},
      )
      await lab.clock.runFor(lab.prng.fraction() * 60)
      const cameBack = (await codeOf(first.start())) === 'NONE'
      const seen = cameBack ? busy(lab, first) : null
      await taking
      await lab.clock.runFor(3000)
      if (seen !== null && tookOverMs < Number.POSITIVE_INFINITY) both++
      expect(seen?.lastAnswerMs ?? 0).toBeLessThan(tookOverMs)
    }
    expect(both).toBeGreaterThan(0)
  })
})

describe('two that want the same store', () => {
  it('are told apart: one gets it, the other is refused', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const lab = new RecoveryLab({ seed })
      const first = await owner(lab)
      first.kill()
      await lab.clock.runFor(12_000)
      const machines = [await lab.machine(), await lab.machine()]
      const outcomes = await Promise.allSettled(machines.map(machine => machine.start()))
      const codes = outcomes.map(outcome =>
        outcome.status === 'fulfilled' ? 'OWNS' : (outcome.reason as ChronikError).code,
      )
      expect(codes.filter(code => code === 'OWNS')).toHaveLength(1)
      expect(['STORE_TAKEN_OVER', 'STORE_HAS_OWNER', 'OWNER_FENCED']).toContain(codes.find(code => code !== 'OWNS'))
    }
  })
})

describe('an owner', () => {
  it('that meets what its last process wrote, late, answers nothing for a while, and goes on', async () => {
    const lab = new RecoveryLab()
    const machine = await owner(lab)
    const before = lab.bucket.peek('owner.json')
    machine.kill()
    await machine.start()
    await lab.clock.runFor(1000)
    const { lab: log, failures } = machine.running
    lab.bucket.poke('owner.json', before)
    await lab.clock.runFor(3000)
    let answered = 0
    void log.send(log.batch(log.partition())).then(() => answered++)
    await lab.clock.runFor(5000)
    expect([answered, failures]).toEqual([0, []])
    await lab.clock.runFor(7000)
    expect([answered, failures]).toEqual([1, []])
    expect(machine.reports).toContainEqual(
      expect.stringMatching(/could not be renewed: another process of this data directory/),
    )
  })

  it('of which there is a copy stops if that lives: one of them goes on', async () => {
    const lab = new RecoveryLab()
    const first = await owner(lab)
    const copy = await lab.machine()
    copy.disk = first.disk.copy()
    await copy.start()
    await lab.clock.runFor(30_000)
    const failures = [first, copy].flatMap(({ running }) => running.failures)
    expect(failures.map(({ message }) => message)).toEqual([
      expect.stringContaining('a copy of this data directory writes to sim://bucket'),
    ])
  })

  it('that wakes up after a takeover answers nothing', async () => {
    const lab = new RecoveryLab()
    const first = await owner(lab)
    const { clock, lab: log, failures } = first.running
    clock.pause()
    await lab.clock.runFor(12_000)
    const second = await lab.machine()
    await second.start()
    let answered = 0
    void log.send(log.batch(log.partition())).then(() => answered++)
    void log.log.propose({ kind: 'producer-ids-allocated', count: 1 }).then(() => answered++)
    clock.resume()
    await lab.clock.runFor(30_000)
    expect(answered).toBe(0)
    expect(failures.map(({ code }) => code)).toEqual(['OWNER_FENCED'])
  })

  it('whose machine has slept answers nothing before it has looked, although its own time stood still', async () => {
    const lab = new RecoveryLab()
    const first = await owner(lab)
    const { lab: log } = first.running
    lab.clock.jump(3_600_000)
    lab.bucket.onCall = () => 'hanging'
    let answered = 0
    void log.send(log.batch(log.partition())).then(() => answered++)
    await lab.clock.runFor(2000)
    expect(answered).toBe(0)
    lab.bucket.onCall = () => null
    await lab.clock.runFor(8000)
    expect(answered).toBe(1)
    // Nobody is silent because a clock was set back.
    lab.clock.jump(-7_200_000)
    await log.append(log.partition())
  })

  it('stops to answer when it could not write for so long, and goes on when it can', async () => {
    const lab = new RecoveryLab()
    const first = await owner(lab)
    const { lab: log } = first.running
    lab.bucket.onCall = () => 'unavailable'
    await lab.clock.runFor(5000)
    await log.append(log.partition())
    await lab.clock.runFor(6000)
    let answered = 0
    void log.send(log.batch(log.partition())).then(() => answered++)
    await lab.clock.runFor(20_000)
    expect(answered).toBe(0)
    expect(first.running.recovery.isSilenced).toBe(true)
    lab.bucket.onCall = () => null
    await lab.clock.runFor(5000)
    expect(answered).toBe(1)
    expect(first.running.failures).toEqual([])
  })

  it('that may not write any more learns that it was taken over', async () => {
    const lab = new RecoveryLab()
    const first = await owner(lab)
    first.running.store.isReadOnly = true
    await lab.clock.runFor(12_000)
    await (await lab.machine()).start()
    await lab.clock.runFor(10_000)
    expect(first.running.failures.map(({ code }) => code)).toEqual(['OWNER_FENCED'])
  })

  it('that is cut off from the store never answers at the same time as the one that took over', async () => {
    for (let seed = 1; seed <= 25; seed++) {
      const lab = new RecoveryLab({ seed })
      const first = await owner(lab)
      const { lab: log, store } = first.running
      let lastAnswerMs = 0
      const produce = (): void => {
        void log.send(log.batch(log.partition())).then(() => {
          lastAnswerMs = lab.clock.monotonicMs()
          lab.clock.after(20, produce)
        })
      }
      produce()
      await lab.clock.runFor(lab.prng.fraction() * 5000)
      store.isCut = true
      const cutMs = lab.clock.monotonicMs()
      const second = await lab.machine()
      let tookOverMs = 0
      for (let code = 'STORE_HAS_OWNER'; code === 'STORE_HAS_OWNER'; ) {
        await lab.clock.runFor(lab.prng.fraction() * 300)
        code = await codeOf(second.start())
        if (code !== 'STORE_HAS_OWNER') expect(code).toBe('NONE')
      }
      tookOverMs = lab.clock.monotonicMs()
      store.isCut = false
      await lab.clock.runFor(30_000)
      expect(lastAnswerMs).toBeGreaterThan(cutMs + 5000)
      expect(lastAnswerMs).toBeLessThan(tookOverMs)
      expect(first.running.failures.map(({ code }) => code)).toEqual(['OWNER_FENCED'])
    }
  })
})
