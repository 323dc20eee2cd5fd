import type { Health } from '#http/http.ts'
import type { Log } from '#log/log.ts'
import type { Recovery } from '#tier/recovery/recovery.ts'
import type { Tier } from '#tier/tier.ts'
import type { OpenedStore } from './open-store.ts'

// What is said of a broker that runs: why clients are not served, and what does not work although they are; for how long, and
// what still works.

export interface HealthFacts {
  readonly log: Log
  readonly tier: Tier
  readonly recovery: Recovery | null
  readonly store: OpenedStore
  readonly nowMs: number
}

export function healthOf(facts: HealthFacts): Health {
  const { log, recovery } = facts
  const reasons = log.refusal === null ? [] : [log.refusal.message]
  if (recovery?.isSilenced) {
    reasons.push(
      'the ownership of the object store could not be renewed: nothing is acknowledged until it is; reads go on',
    )
  }
  const archive = archiveText(facts)
  if (archive !== null && recovery?.isAwaited) reasons.push(archive)
  const warnings = [storeText(facts), sealText(facts), recovery?.isAwaited ? null : archive, checkpointText(facts)]
  return { reasons, warnings: warnings.filter(text => text !== null) }
}

function storeText({ store, nowMs }: HealthFacts): string | null {
  const sinceMs = store.failingSinceMs()
  if (sinceMs === null) return null
  return (
    `the object store ${store.store.place} fails ${sinceText(nowMs, nowMs - sinceMs)}: records are taken as long as the write-ahead log ` +
    'has room, and read as far as they are on this machine'
  )
}

function sealText({ log, tier: { failingMs }, nowMs }: HealthFacts): string | null {
  if (failingMs === 0) return null
  const { unsealed, options, commits } = log
  return (
    `nothing could be sealed into the object store ${sinceText(nowMs, failingMs)}: ${unsealed.sizeBytes} bytes wait in the write-ahead ` +
    `log, which has ${commits.files.sizeBytes} of at most ${options.walLimitBytes} bytes; records are taken until then, and read as far ` +
    'as they are on this machine'
  )
}

function archiveText({ recovery, nowMs }: HealthFacts): string | null {
  if (recovery === null || recovery.failingMs === 0) return null
  const { bytes, ms } = recovery.lag
  const works = recovery.isAwaited
    ? 'nothing is acknowledged until it can be; reads go on'
    : 'records are taken and read'
  return (
    `the metadata log and copies of records could not be written to the object store ${sinceText(nowMs, recovery.failingMs)}: a restore ` +
    `would not know the last ${seconds(ms)} s, ${bytes} bytes; ${works}`
  )
}

function checkpointText({ recovery, nowMs }: HealthFacts): string | null {
  if (recovery === null || recovery.checkpointFailingMs === 0) return null
  return (
    `no checkpoint could be written to the object store ${sinceText(nowMs, recovery.checkpointFailingMs)}: nothing is lost by that, a ` +
    'restore would take longer; records are taken and read'
  )
}

function sinceText(nowMs: number, forMs: number): string {
  return `since ${new Date(nowMs - forMs).toISOString()}, for ${seconds(forMs)} s`
}

function seconds(durationMs: number): number {
  return Math.round(durationMs / 1000)
}
