import { createMetrics, metricsToExpose, NO_GROUPS } from '#observe/product-metrics.ts'
import { NO_RECOVERY } from '#observe/recovery-metrics.ts'
import { NO_TIERS } from '#observe/tier-metrics.ts'

/** docs/METRICS.md */
export function metricsPage(): string {
  const noReading = () => 0
  const readings = {
    activeConnections: noReading,
    openTransactions: noReading,
    oldestTransactionSeconds: noReading,
    transactionalIds: noReading,
    storageUsageBytes: noReading,
    produceProfile: noReading,
    walSyncIntervalSeconds: noReading,
    checkpointAgeSeconds: noReading,
    checkpointSizeBytes: noReading,
    groups: () => NO_GROUPS,
    tiers: () => NO_TIERS,
    unsealedBytes: () => 0,
    cacheUsedBytes: () => 0,
    cacheDiskBytes: () => 0,
    recovery: () => NO_RECOVERY,
    snapshotSizeBytes: () => 0,
    uploadLagSeconds: () => 0,
    uploadLagBytes: () => 0,
    sealFailingSeconds: () => 0,
    eventLoopDelay: () => ({ p99Seconds: 0, maxSeconds: 0 }),
  }
  const metrics = metricsToExpose(createMetrics({ apiNames: [], commitRecordTypes: [] }), readings)
  const rows = metrics.map(
    ({ name, type, labels, help }) =>
      `| \`${name}\` | ${type} | ${labels.map(label => `\`${label}\``).join(', ')} | ${help} |`,
  )
  return `# Metrics

Prometheus scrapes them from \`http://<broker>:9090/metrics\`. Totals count since the start of the process. The members of a
label that were never used are left out. Beside these there are those of Node and of the process, \`nodejs_*\` and \`process_*\`.

| name | type | labels | what it is |
|---|---|---|---|
${rows.join('\n')}
`
}
