import type { Health } from '#http/http.ts'
import type { Log } from '#log/log.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import type { Recovery } from '#tier/recovery/recovery.ts'
import type { Tier } from '#tier/tier.ts'
import type { OpenedStore } from './open-store.ts'

// What is said of a broker that runs: why clients are not served, and what does not work although they are; for how long, and
// what still works.

export interface HealthFacts {
  readonly log: Log
  readonly tier: Pick<Tier, 'failingMs'>
  readonly recovery: Pick<Recovery, ToldOfRecovery> | null
  readonly store: Pick<OpenedStore, 'failingSinceMs'> & { readonly store: Pick<ObjectStore, 'place'> }
  readonly nowMs: number
}

type ToldOfRecovery = 'isSilenced' | 'isAwaited' | 'lag' | 'failingMs' | 'checkpointFailingMs'

/** Clients that are refused try again within a second or so: if none was for so long, there is space again, or nobody writes. */
const REFUSED_MS = 10_000

export function healthOf(facts: HealthFacts): Health {
  const { log, recovery } = facts
  const reasons = log.refusal === null ? [] : [log.refusal.message]
  const space = spaceText(log)
  if (space !== null) reasons.push(space)
  if (recovery?.isSilenced) {
    reasons.push(
      'the ownership of the object store could not be renewed: nothing is acknowledged until it is; reads go on',
    )
  }
  const archive = archiveText(facts)
  if (archive !== null && recovery?.isAwaited) reasons.push(archive)
  // What a reason denies, no warning says.
  const isTaking = reasons.length === 0
  const warnings = [
    storeText(facts, isTaking),
    sealText(facts, isTaking),
    archive === null || recovery?.isAwaited ? null : `${archive}; ${worksText(isTaking)}`,
    checkpointText(facts, isTaking),
  ]
  return { reasons, warnings: warnings.filter(text => text !== null) }
}

function spaceText({ clock, commits: { refusedAtMs, files } }: Log): string | null {
  if (clock.monotonicMs() - refusedAtMs > REFUSED_MS) return null
  return `no space for the log in ${files.directory}: records are refused until there is some; reads go on`
}

function worksText(isTaking: boolean): string {
  return isTaking ? 'records are taken and read' : 'records are read'
}

function storeText({ store, nowMs }: HealthFacts, isTaking: boolean): string | null {
  const sinceMs = store.failingSinceMs()
  if (sinceMs === null) return null
  const taken = isTaking ? 'taken as long as the write-ahead log has room, and ' : ''
  return (
    `the object store ${store.store.place} fails ${sinceText(nowMs, nowMs - sinceMs)}: records are ${taken}read as far as they are on ` +
    'this machine'
  )
}

function sealText({ log, tier: { failingMs }, nowMs }: HealthFacts, isTaking: boolean): string | null {
  if (failingMs === 0) return null
  const { unsealed, options, commits } = log
  const { sizeBytes, mostBytes } = commits.files
  const takenToBytes = options.walLimitBytes - (mostBytes - sizeBytes)
  const taken = isTaking ? `taken until it has ${takenToBytes}, and ` : ''
  return (
    `nothing could be sealed into the object store ${sinceText(nowMs, failingMs)}: ${unsealed.sizeBytes} bytes wait in the write-ahead ` +
    `log, which has ${sizeBytes} bytes; records are ${taken}read as far as they are on this machine`
  )
}

function archiveText({ recovery, nowMs }: HealthFacts): string | null {
  if (recovery === null || recovery.failingMs === 0) return null
  const { bytes, ms } = recovery.lag
  const text =
    `the metadata log and copies of records could not be written to the object store ${sinceText(nowMs, recovery.failingMs)}: a restore ` +
    `would not know the last ${seconds(ms)} s, ${bytes} bytes`
  return recovery.isAwaited ? `${text}; nothing is acknowledged until it can be; reads go on` : text
}

function checkpointText({ recovery, nowMs }: HealthFacts, isTaking: boolean): string | null {
  if (recovery === null || recovery.checkpointFailingMs === 0) return null
  return (
    `no checkpoint could be written to the object store ${sinceText(nowMs, recovery.checkpointFailingMs)}: nothing is lost by that, a ` +
    `restore would take longer; ${worksText(isTaking)}`
  )
}

function sinceText(nowMs: number, forMs: number): string {
  return `since ${new Date(nowMs - forMs).toISOString()}, for ${seconds(forMs)} s`
}

function seconds(durationMs: number): number {
  return Math.round(durationMs / 1000)
}
