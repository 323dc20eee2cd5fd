import { describe, expect, it } from 'vitest'
import { createExposition } from '#observe/exposition.ts'
import { createMetrics, type GroupFigures, metricsToExpose, NO_GROUPS } from '#observe/product-metrics.ts'
import { NO_RECOVERY } from '#observe/recovery-metrics.ts'
import { NO_TIERS } from '#observe/tier-metrics.ts'
import { systemClock } from '#system/clock.ts'

const apiNames = ['Produce', 'Fetch']
const commitRecordTypes = [undefined, 'produced']

function exposed(overrides: { produceProfile?: number; storageUsageBytes?: number; groups?: GroupFigures } = {}) {
  const metrics = createMetrics({ apiNames, commitRecordTypes })
  const all = metricsToExpose(metrics, {
    activeConnections: () => 1,
    openTransactions: () => 2,
    oldestTransactionSeconds: () => 3,
    transactionalIds: () => 4,
    storageUsageBytes: () => overrides.storageUsageBytes ?? 2,
    produceProfile: () => overrides.produceProfile ?? 3,
    walSyncIntervalSeconds: () => 0,
    checkpointAgeSeconds: () => 5,
    checkpointSizeBytes: () => 6,
    groups: () => overrides.groups ?? NO_GROUPS,
    tiers: () => NO_TIERS,
    unsealedBytes: () => 0,
    cacheUsedBytes: () => 0,
    cacheDiskBytes: () => 0,
    recovery: () => NO_RECOVERY,
    snapshotSizeBytes: () => 0,
    uploadLagSeconds: () => 0,
    uploadLagBytes: () => 0,
    sealFailingSeconds: () => 0,
    eventLoopDelay: () => ({ p99Seconds: 0.1, maxSeconds: 0.2 }),
  })
  return { metrics, all, text: () => createExposition(all, systemClock).text() }
}

describe('the metrics of the product', () => {
  it('have names of one family, of their own, with the unit or `total` at the end', () => {
    const { all } = exposed()
    const names = all.map(metric => metric.name)
    expect(new Set(names).size).toBe(names.length)
    for (const { name, type } of all) {
      expect(name).toMatch(/^chronik_[a-z0-9_]+$/)
      if (type === 'counter') expect(name).toMatch(/_total$/)
      if (type === 'histogram') expect(name).toMatch(/_seconds$/)
    }
  })

  it('show what was counted, by API and by type where that is known', async () => {
    const { metrics, text } = exposed()
    metrics.messagesReceived.value += 100
    metrics.requests.of(1).value += 3
    metrics.requestLatency.of(0).observe(0.003)
    metrics.commitRecords.of(1).value++
    const page = await text()
    expect(page).toContain('\nchronik_messages_received_total 100\n')
    expect(page).toContain('\nchronik_requests_total{api="Fetch"} 3\n')
    expect(page).not.toContain('chronik_requests_total{api="Produce"}')
    expect(page).toContain('\nchronik_request_latency_seconds_bucket{api="Produce",le="0.005"} 1\n')
    expect(page).toContain('\nchronik_commit_records_total{type="produced"} 1\n')
    expect(page).toContain('\nchronik_produce_profile_active 3\n')
    expect(page).toContain('\nchronik_event_loop_delay_max_seconds 0.2\n')
  })

  it('show groups by their states, the lag of each partition, and how many lags are left out', async () => {
    const groups = {
      groupsInState: new Map([
        ['Stable', 2],
        ['Empty', 0],
      ]),
      members: 5,
      committedOffsets: 3,
      lags: [{ labelValues: ['billing', 'orders', '0'], value: 42 }],
    }
    const page = await exposed({ groups }).text()
    expect(page).toContain('\nchronik_consumer_groups{state="Stable"} 2\nchronik_consumer_groups{state="Empty"} 0\n')
    expect(page).toContain('\nchronik_consumer_group_members 5\n')
    expect(page).toContain('\nchronik_consumer_group_offsets 3\n')
    expect(page).toContain('\nchronik_consumer_group_lag{group="billing",topic="orders",partition="0"} 42\n')
    expect(page).toContain('\nchronik_consumer_group_lag_left_out 2\n')
    expect(page).toContain('\nchronik_consumer_group_rebalances_total 0\n')
  })

  it('have averages of what was counted, and 0 before anything was', async () => {
    const { metrics, text } = exposed()
    expect(await text()).toContain('\nchronik_produce_batches_per_flush_avg 0\n')
    metrics.produceFlushes.value = 4
    metrics.produceBatchesFlushed.value = 10
    metrics.walBatches.value = 2
    metrics.walBatchBytes.value = 3000
    expect(await text()).toContain('\nchronik_produce_batches_per_flush_avg 2.5\n')
    expect(await text()).toContain('\nchronik_wal_batch_size_avg 1500\n')
  })
})
