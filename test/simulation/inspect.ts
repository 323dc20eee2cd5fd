import { crc32c } from '@node-rs/crc32'
import { FILE_HEADER_BYTES } from '#commit/wal-format.ts'
import { encodeState } from '#core/checkpoint.ts'
import { type Log, openLog } from '#log/log.ts'
import { readLog, release } from '#log/read-log.ts'
import { NO_STORE } from '#test/support/no-store.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import type { SimDisk } from '#test/support/sim/sim-disk.ts'
import { Violation } from './history.ts'
import { rangeFrom } from './range.ts'
import { DATA, type World } from './world.ts'

// Experiments with copies of a disk that is about to be opened: what would be, if.

const EXPERIMENTS = 0.3

export async function inspect(world: World): Promise<void> {
  const { disk, prng } = world
  if (!prng.chance(EXPERIMENTS)) return
  const checkpoints = disk.paths.filter(path => path.endsWith('.ckpt'))
  const found = await tryToOpen(world, disk.copyAtRest())
  if ('refused' in found) throw found.refused
  const newest = checkpoints.at(-1)
  if (newest !== undefined && checkpoints.length > 1) await withoutCheckpoint(world, newest, found.state)
  await withDamage(world, newest === undefined ? 0 : Number(newest.slice(-21, -5)), found.state)
}

/** The state is the same from whatever checkpoint it is restored. */
async function withoutCheckpoint(world: World, newest: string, state: number): Promise<void> {
  const older = world.disk.copyAtRest()
  await older.remove(newest)
  const restored = await tryToOpen(world, older)
  if ('refused' in restored) throw restored.refused
  if (restored.state !== state) throw new Violation('another checkpoint makes another state')
}

/** What is damaged before a position that was synced is refused; damage that nobody would ever see may pass. */
async function withDamage(world: World, from: number, state: number): Promise<void> {
  const { sureBefore, prng } = world
  if (sureBefore <= from) return
  const damaged = world.disk.copyAtRest()
  const position = prng.between(from, sureBefore - 1)
  const path = damageAt(damaged, position, 1 << prng.between(0, 7))
  const opened = await tryToOpen(world, damaged)
  if ('state' in opened) {
    if (opened.state !== state) throw new Violation(`the damage at ${position} in ${path} was passed over`)
    return
  }
  const { code, message } = opened.refused as { code?: string; message: string }
  if (code !== 'WAL_DAMAGED' || !message.includes(DATA)) throw opened.refused
}

function damageAt(disk: SimDisk, position: number, bit: number): string {
  const files = disk.paths.filter(path => path.endsWith('.wal') && disk.peek(path).length >= FILE_HEADER_BYTES)
  const begins = files.map(path => ({ path, from: Number(disk.peek(path).subarray(24, 32).readBigInt64BE()) }))
  const { path, from } = begins.findLast(
    file => file.from <= position && file.from + disk.peek(file.path).length > position,
  )!
  const bytes = disk.peek(path)
  const at = position - from
  bytes[at] = bytes[at]! ^ bit
  disk.poke(path, bytes)
  return path
}

/** Of the state and of everything that can be read. */
async function fingerprint(log: Log): Promise<number> {
  let sum = crc32c(encodeState(log.state))
  for (const partition of log.state.partitions) {
    if (partition === undefined) continue
    for (let offset = partition.logStart; offset < partition.nextOffset; ) {
      const read = await readLog(log, partition, rangeFrom(partition, offset))
      for (const slice of read.slices) sum = crc32c(slice, sum)
      release(log, read)
      offset = read.nextOffset
    }
  }
  return sum
}

async function tryToOpen(world: World, disk: SimDisk): Promise<{ state: number } | { refused: unknown }> {
  try {
    const clock = new SimClock()
    const segments = (await world.tiers?.sourceOf(disk)) ?? NO_STORE
    const log = await clock.run(openLog(world.options(disk, clock, segments)))
    return { state: await clock.run(fingerprint(log)) }
  } catch (refused) {
    return { refused }
  }
}
