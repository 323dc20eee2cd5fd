import { ChronikError } from '#base/errors.ts'
import type { Finding, Inspector } from '#base/inspection.ts'
import type { Disk, Random } from '#base/ports.ts'
import type { State } from '#core/state.ts'
import { directoryId } from '#log/directory-id.ts'
import { type VerifiedLog, verifyLog } from '#log/verify-log.ts'
import { type ObjectReader, PROBE_PREFIX } from '#object-store/object-store.ts'
import { parseSegmentKey } from '#segments/segment-names.ts'
import type { Unpack } from '#tier/recovery/archive-format.ts'
import { OWNER_KEY, parseCheckpointKey, parseGenerationKey, parseMetalogKey } from '#tier/recovery/archive-names.ts'
import { RecoveryProgress } from '#tier/recovery/progress.ts'
import { decideStart } from '#tier/recovery/start-decision.ts'
import { type ArchivedState, archivedState } from './archived-state.ts'
import { type CheckedArchive, checkArchive } from './check-archive.ts'
import { type Counted, checkSegments, type SegmentCounts } from './check-segments.ts'
import { checkState } from './check-state.ts'
import { HeldObjects } from './held-objects.ts'

// `chronik verify`: checks every file and every object of a system, and what they say of each other. Changes nothing. What the log on
// the disk says goes before what the store says; without one the store is asked alone, and a broker may write to it meanwhile.

export interface VerifyOptions {
  readonly disk: Disk
  readonly random: Random
  /** Of a stopped broker; null: only the store is checked. */
  readonly dataDir: string | null
  readonly store: ObjectReader
  /** A start looks for the owner of the store. */
  readonly isOwned: boolean
  readonly unpack: Unpack
  readonly inspector: Inspector
}

export interface VerifyReport {
  /** Null: it was not looked at. */
  readonly log: Omit<VerifiedLog, 'state'> | null
  readonly archive: CheckedArchive
  readonly segments: SegmentCounts
  /** Files of the cache on the disk, which are not checked: whoever reads them does. */
  readonly cache: Counted
  readonly unknown: UnknownNames
}

/** Objects that are none of ours. */
export interface UnknownNames {
  readonly count: number
  /** Some of them. */
  readonly names: readonly string[]
}

/** Suspicions that are kept until the store was asked again; more are told at once. */
const KEPT_SUSPICIONS = 10_000
const NAMED_UNKNOWN = 10

export async function verifySystem(options: VerifyOptions): Promise<VerifyReport> {
  const { disk, dataDir, inspector } = options
  const log = dataDir === null ? null : await verifyLog({ disk, dataDir }, inspector)
  const archive = await checkArchive(options)
  const segments = log === null ? await checkStoreAlone(options, archive) : await checkStoreOf(options, log, archive)
  const unknown = await unknownNames(options)
  const cache = await countCache(options)
  return { log: log === null ? null : withoutState(log), archive, segments, cache, unknown }
}

function withoutState({ state: _, ...log }: VerifiedLog): Omit<VerifiedLog, 'state'> {
  return log
}

/** Against the log on the disk. */
async function checkStoreOf(
  options: VerifyOptions,
  { state, position }: VerifiedLog,
  archive: CheckedArchive,
): Promise<SegmentCounts> {
  const { inspector, store } = options
  const suspect = (finding: Finding): void => inspector.found(finding)
  if (state === null) return checkSegments({ store, inspector, held: null, suspect })
  for (const finding of checkState(state)) inspector.found(finding)
  await checkOwnership(options, { state, position }, archive)
  return checkSegments({ store, inspector, held: new HeldObjects(state), suspect })
}

/** Against what the store itself says. Before anything is told, it is asked once more: the owner may have gone on. */
async function checkStoreAlone(options: VerifyOptions, { owner }: CheckedArchive): Promise<SegmentCounts> {
  const { inspector, store } = options
  inspector.begins('state in the archive', 0)
  const archived = await stateOf(options, owner)
  const suspicions: Finding[] = []
  const suspect = (finding: Finding): void => {
    if (suspicions.length < KEPT_SUSPICIONS) suspicions.push(finding)
    else inspector.found(finding)
  }
  if (archived === null) {
    const message = `${store.place} has no checkpoint that can be read: objects are checked, and not whether any is missing`
    inspector.found({ kind: 'notice', where: store.place, message, affected: [] })
    return checkSegments({ store, inspector, held: null, suspect: finding => inspector.found(finding) })
  }
  for (const finding of checkState(archived.state)) inspector.found(finding)
  const counts = await checkSegments({ store, inspector, held: new HeldObjects(archived.state), suspect })
  if (suspicions.length + archived.findings.length === 0) return counts
  const later = (await stateOf(options, owner)) ?? archived
  const said = new Set(later.findings.map(({ message }) => message))
  for (const finding of archived.findings) if (said.has(finding.message)) inspector.found(finding)
  const held = new HeldObjects(later.state)
  for (const finding of suspicions) if (await isStillTrue(options, finding, held)) inspector.found(finding)
  return counts
}

function stateOf(
  { store, unpack, inspector }: VerifyOptions,
  owner: CheckedArchive['owner'],
): Promise<ArchivedState | null> {
  // What it would tell was found by who checked the archive.
  return archivedState(
    { store, signal: inspector.signal, unpack, progress: new RecoveryProgress(), report() {} },
    owner,
  )
}

async function isStillTrue(
  { store, inspector }: VerifyOptions,
  { where: key, affected }: Finding,
  held: HeldObjects,
): Promise<boolean> {
  if (affected.length === 0) return (await store.head(key, inspector.signal)) !== null
  const name = parseSegmentKey(key)
  return name === null || held.find(key, name).length > 0
}

/** Would a start with this directory and this store go on? */
async function checkOwnership(
  options: VerifyOptions,
  { state, position }: { state: State; position: number },
  { owner, newest, archivedGeneration, archivedTo }: CheckedArchive,
): Promise<void> {
  const { store, inspector, isOwned } = options
  if (!isOwned) return
  const { generation, ownerId } = state
  const segmentCount = state.partitions.reduce((sum, partition) => sum + (partition?.segments.length ?? 0), 0)
  const directory = { id: await idOf(options), log: { generation, ownerId, segmentCount, position } }
  const about = { place: store.place, newest, owner, silentMs: 0, createsHonestly: true, archivedTo }
  const facts = { ...about, archivedGeneration, hasSegments: false }
  const decision = decideStart(directory, facts, false)
  if (decision.kind !== 'refuse') return
  inspector.found({ kind: 'damage', where: store.place, message: decision.message, affected: [] })
}

async function idOf({ disk, random, dataDir, inspector }: VerifyOptions): Promise<string> {
  const path = `${dataDir}/directory-id`
  if (dataDir === null || (await disk.facts(path)) === null) return ''
  try {
    return await directoryId({ disk, random }, dataDir)
  } catch (thrown) {
    if (!(thrown instanceof ChronikError) || thrown.kind !== 'corrupt') throw thrown
    inspector.found({ kind: 'damage', where: path, message: thrown.message, affected: [] })
    return ''
  }
}

async function unknownNames({ store, inspector }: VerifyOptions): Promise<UnknownNames> {
  const parsers = [parseSegmentKey, parseMetalogKey, parseCheckpointKey, parseGenerationKey]
  const names: string[] = []
  let count = 0
  for await (const { key } of store.list('', '', inspector.signal)) {
    if (key === OWNER_KEY || key.startsWith(PROBE_PREFIX) || parsers.some(parse => parse(key) !== null)) continue
    if (count++ < NAMED_UNKNOWN) names.push(key)
  }
  return { count, names }
}

async function countCache({ disk, dataDir }: VerifyOptions): Promise<Counted> {
  const counted = { objects: 0, sizeBytes: 0 }
  if (dataDir === null) return counted
  const directory = `${dataDir}/cache`
  for (const name of await disk.list(directory)) {
    const facts = await disk.facts(`${directory}/${name}`)
    if (facts === null || facts.isDirectory) continue
    counted.objects++
    counted.sizeBytes += facts.sizeBytes
  }
  return counted
}
