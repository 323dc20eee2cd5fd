import { describe, expect, it } from 'vitest'
import { type HealthFacts, healthOf } from '#server/health.ts'
import { LogLab, type LogLabOptions } from '#test/support/log-lab.ts'

const WELL: Omit<HealthFacts, 'log' | 'nowMs'> = {
  tier: { failingMs: 0 },
  recovery: null,
  store: { store: { place: 's3://events' }, failingSinceMs: () => null },
}

/** Of a broker whose store takes and gives nothing. */
const STORE_AWAY: typeof WELL = {
  tier: { failingMs: 60_000 },
  recovery: {
    isSilenced: false,
    isAwaited: false,
    lag: { bytes: 5000, ms: 60_000 },
    failingMs: 60_000,
    checkpointFailingMs: 60_000,
  },
  store: { ...WELL.store, failingSinceMs: () => 0 },
}

async function start(options: LogLabOptions = {}) {
  const lab = await LogLab.open({ walFileBytes: 4096, ...options })
  const topic = await lab.topic('topic')
  const health = (facts = WELL) => healthOf({ ...facts, log: lab.log, nowMs: lab.clock.nowMs() })
  return { lab, partition: topic.partitions[0]!, health }
}

describe('a full disk', () => {
  it('is a reason while records are refused, and none any more when they are taken', async () => {
    const { lab, partition, health } = await start()
    expect(health()).toEqual({ reasons: [], warnings: [] })
    const { totalBytes, freeBytes } = await lab.disk.space()
    lab.disk.capacityBytes = totalBytes - freeBytes
    const send = () => lab.clock.run(lab.send(lab.batch(partition, { sizeBytes: 5000 })))
    const full = ['no space for the log in /data/wal: records are refused until there is some; reads go on']
    for (let i = 0; i < 5; i++) {
      await expect(send()).rejects.toMatchObject({ code: 'DISK_FULL' })
      expect(health(STORE_AWAY).reasons).toEqual(full)
      await lab.clock.runFor(5000)
      expect(health().reasons).toEqual(full)
    }
    lab.disk.capacityBytes = Number.POSITIVE_INFINITY
    await send()
    await lab.clock.runFor(5001)
    expect(health()).toEqual({ reasons: [], warnings: [] })
  })
})

describe('while the store is away', () => {
  it('every warning says that records are taken, and up to where', async () => {
    const { health } = await start({ walLimitBytes: 100_000 })
    const { reasons, warnings } = health(STORE_AWAY)
    expect(reasons).toEqual([])
    expect(warnings).toHaveLength(4)
    for (const warning of warnings) expect(warning).toMatch(/records are taken/)
    // Three files before the limit.
    expect(warnings[1]).toContain(`records are taken until it has ${100_000 - 3 * 4096}, and read`)
  })

  it.each([
    ['the ownership is not renewed', {}, { isSilenced: true }],
    ['answers wait for the store', {}, { isAwaited: true }],
    ['the log is full', { walLimitBytes: 1 }, {}],
  ])('no warning says so if %s', async (_what, options, recovery) => {
    const { health } = await start(options)
    const { reasons, warnings } = health({ ...STORE_AWAY, recovery: { ...STORE_AWAY.recovery!, ...recovery } })
    expect(reasons).toHaveLength(1)
    expect(warnings.length).toBeGreaterThan(2)
    for (const warning of warnings) expect(warning).toMatch(/records are read/)
    for (const warning of warnings) expect(warning).not.toMatch(/taken|acknowledged/)
  })
})
