import { Violation } from '#test/simulation/history.ts'
import { SimulationFailed } from '#test/simulation/simulate.ts'
import { Trace } from '#test/simulation/trace.ts'
import { PATIENT, SLAB_BYTES } from '#test/support/range-cache-lab.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { Actors } from './cache-actors.ts'
import { type CacheLife, cachePlanOf } from './cache-plan.ts'
import { CacheWorld } from './cache-world.ts'

// One run: the cache on a simulated disk, store and clock, with readers, through several lives. Everything follows from the seed.

const DRAIN_MS = 60_000
const CALM: CacheLife = {
  lengthMs: 200,
  ending: 'close',
  diesAtCall: Number.POSITIVE_INFINITY,
  storeFaults: {},
  diskErrors: 0,
  capacityBytes: 2 ** 40,
  damageEvery: 0,
  place: 'sim://bucket',
}

export interface CacheResult {
  readonly traceHash: number
  readonly counts: CacheWorld['counts']
}

export async function simulateCache(seed: number, print: ((line: string) => void) | null = null): Promise<CacheResult> {
  const trace = new Trace(print)
  const world = new CacheWorld(cachePlanOf(seed), new Prng(seed + 0.5 * 2 ** 32), trace)
  const unhandled = (thrown: unknown): void => {
    world.violation ??= thrown
  }
  process.on('unhandledRejection', unhandled)
  try {
    await run(world)
    if (world.violation !== null) throw world.violation
  } catch (thrown) {
    const what = thrown instanceof Violation ? thrown.message : thrown instanceof Error ? thrown.stack : String(thrown)
    throw new SimulationFailed(`seed ${seed}: ${what}\n  ${trace.last(30).join('\n  ')}`, { cause: thrown })
  } finally {
    process.off('unhandledRejection', unhandled)
  }
  return { traceHash: trace.hash, counts: world.counts }
}

async function run(world: CacheWorld): Promise<void> {
  for (const [i, life] of world.plan.lives.entries()) {
    if (i > 0) world.begin(life)
    const loaded = world.loaded()
    const actors = new Actors(world)
    await world.clock.runFor(life.lengthMs)
    actors.stop()
    await end(world, life, actors)
    void loaded
    if (world.violation !== null) return
  }
  await lastLife(world)
}

async function end(world: CacheWorld, life: CacheLife, actors: Actors): Promise<void> {
  const { disk, clock } = world
  let { ending } = life
  if (ending === 'close') {
    await clock.runUntil(() => actors.isIdle || disk.isDead)
    if (!disk.isDead) await close(world)
  }
  if (disk.isDead) ending = 'kill'
  // What could not be cleared comes back.
  if (ending !== 'close' || life.diskErrors > 0) world.isClean = false
  world.note(`the life ends: ${ending}`)
  world.ended()
  world.disk = ending === 'power-loss' ? disk.crash() : disk.kill()
  clock.forgetAll()
}

async function close(world: CacheWorld): Promise<void> {
  const { cache, clock, disk } = world
  const closing = settled(cache.close())
  await clock.runUntil(() => closing.isSettled || disk.isDead)
  if (!disk.isDead && disk.openPaths.length > 0) world.violated(`${disk.openPaths} are open`)
}

function settled(promise: Promise<unknown>): { isSettled: boolean } {
  const state = { isSettled: false }
  void promise.finally(() => {
    state.isSettled = true
  })
  return state
}

/** With nothing going wrong any more, everything is there, is found again, and is gone when it is forgotten. */
async function lastLife(world: CacheWorld): Promise<void> {
  const { clock, objects } = world
  world.begin({ ...CALM, place: world.life.place })
  await clock.run(world.loaded())
  const actors = new Actors(world)
  await clock.runFor(CALM.lengthMs)
  actors.stop()
  await clock.runUntil(() => actors.isIdle)
  if (!actors.isIdle) throw new Violation('somebody waits for ever')
  await clock.runFor(DRAIN_MS)
  for (const key of objects.keys) await readAll(world, key)
  await clock.runFor(DRAIN_MS)
  await findAgain(world)
  for (const key of objects.keys) {
    world.forgetting(key)
    await clock.run(world.cache.forget(key), DRAIN_MS)
  }
  const { blocks, usedBytes, memoryBytes } = world.cache
  if (memoryBytes > 0) throw new Violation(`${memoryBytes} bytes of nothing are in memory`)
  if (world.isClean && blocks + usedBytes > 0) throw new Violation(`${blocks} blocks of nothing are left`)
  await clock.run(world.cache.close(), DRAIN_MS)
  if (world.disk.openPaths.length > 0) throw new Violation(`${world.disk.openPaths} are open`)
  world.ended()
}

async function readAll({ clock, cache, objects, plan }: CacheWorld, key: string): Promise<void> {
  const bytes = objects.bytesOf(key)
  const { memoryBytes } = plan.limits
  for (let from = 0; from < bytes.length; from += memoryBytes) {
    const length = Math.min(memoryBytes, bytes.length - from)
    const found = await clock.run(cache.getRange(key, from, length, PATIENT), DRAIN_MS)
    if (!found.equals(bytes.subarray(from, from + length)))
      throw new Violation(`${key} from ${from} is not what it was`)
  }
}

/** What was read just now is there, if it is small beside the cache. */
async function findAgain(world: CacheWorld): Promise<void> {
  const { objects, plan, clock, metrics } = world
  const small = objects.keys.find(key => objects.bytesOf(key).length * 16 < plan.limitBytes - SLAB_BYTES)
  if (small === undefined) return
  await readAll(world, small)
  await clock.runFor(DRAIN_MS)
  const { value: fetchedBytes } = metrics.cacheFetchedBytes
  await readAll(world, small)
  await clock.runFor(DRAIN_MS)
  if (metrics.cacheFetchedBytes.value > fetchedBytes) throw new Violation(`${small} is fetched again`)
}
