import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { DiskFile } from '#base/ports.ts'
import { systemDisk } from '#system/disk.ts'

// How blocks of 1 MiB could lie in files (docs/decisions/disk-cache.md): what it costs to write and read them over and over, and
// what that does to syncs of another file, as the write-ahead log has them. The ways take turns, so that other load on the machine
// meets them all. node bench/kernel/cache-files.bench.ts [DIRECTORY on the disk to measure]

const MIB = 2 ** 20
const BLOCKS = 256
const ROUNDS = 15
const BLOCKS_PER_FILE = 64
const ENTRY = Buffer.alloc(1024, 1)
const ENTRIES_BYTES = 17 * 4096
/** What is written while the syncs of the other file are timed. */
const PACED_BYTES_PER_MS = 100 * 1000
const LOG_BYTES = 64 * MIB
const LOG_WRITE_BYTES = 16_384

interface Way {
  write(block: number): Promise<void>
  read(block: number): Promise<void>
}

const directory = mkdtempSync(join(process.argv[2] ?? '.', 'cache-files-'))
const bytes = Buffer.alloc(MIB, 7)
const into = Buffer.allocUnsafeSlow(MIB)

const fileEach: Way = {
  async write(block) {
    const path = `${directory}/block-${block}`
    await systemDisk.remove(path)
    const file = await systemDisk.open(path, 'create')
    await file.write(bytes, 0, MIB, 0)
    await file.close()
  },
  async read(block) {
    const file = await systemDisk.open(`${directory}/block-${block}`, 'read')
    await file.read(into, 0, MIB, 0)
    await file.close()
  },
}

/** A file per object, which is removed as a whole. */
function filePerObject(): Way {
  const open: DiskFile[] = []
  return {
    async write(block) {
      const object = Math.floor(block / BLOCKS_PER_FILE)
      const path = `${directory}/object-${object}`
      if (block % BLOCKS_PER_FILE === 0) {
        await open[object]?.close()
        await systemDisk.remove(path)
        open[object] = await systemDisk.open(path, 'create')
      }
      await open[object]!.write(bytes, 0, MIB, (block % BLOCKS_PER_FILE) * MIB)
    },
    async read(block) {
      await open[Math.floor(block / BLOCKS_PER_FILE)]!.read(into, 0, MIB, (block % BLOCKS_PER_FILE) * MIB)
    },
  }
}

/** Files with slots that are written over. */
async function slabs(name: string, make: (path: string, sizeBytes: number) => Promise<void>): Promise<Way> {
  const files: DiskFile[] = []
  for (let file = 0; file < BLOCKS / BLOCKS_PER_FILE; file++) {
    const path = `${directory}/${name}-${file}`
    await make(path, ENTRIES_BYTES + BLOCKS_PER_FILE * MIB)
    files.push(await systemDisk.open(path, 'write'))
  }
  const placeOf = (block: number) => ENTRIES_BYTES + (block % BLOCKS_PER_FILE) * MIB
  return {
    async write(block) {
      const file = files[Math.floor(block / BLOCKS_PER_FILE)]!
      await file.write(bytes, 0, MIB, placeOf(block))
      await file.write(ENTRY, 0, ENTRY.length, 4096 + (block % BLOCKS_PER_FILE) * ENTRY.length)
    },
    async read(block) {
      await files[Math.floor(block / BLOCKS_PER_FILE)]!.read(into, 0, MIB, placeOf(block))
    },
  }
}

const figures = new Map<string, Map<string, number[]>>()
function note(way: string, figure: string, value: number): void {
  const ofWay = figures.get(way) ?? new Map<string, number[]>()
  figures.set(way, ofWay)
  ofWay.set(figure, [...(ofWay.get(figure) ?? []), value])
}

const median = (values: readonly number[]) => values.toSorted((one, other) => one - other)[values.length >> 1]!

async function speedOf(act: (block: number) => Promise<void>): Promise<number> {
  const beganMs = performance.now()
  for (let block = 0; block < BLOCKS; block++) await act(block)
  return (BLOCKS * MIB) / (performance.now() - beganMs) / 1e6
}

/** Syncs of a log while blocks are written at a pace. */
async function syncsDuring(way: string, write: Way['write']): Promise<void> {
  const latencies: number[] = []
  let isOver = false
  const syncing = (async () => {
    for (let at = 0; !isOver; at = (at + LOG_WRITE_BYTES) % LOG_BYTES) {
      const beganMs = performance.now()
      await log.write(bytes, 0, LOG_WRITE_BYTES, at)
      await log.sync()
      latencies.push(performance.now() - beganMs)
    }
  })()
  const beganMs = performance.now()
  for (let block = 0; block < BLOCKS / 2; block++) {
    await write(block)
    const earlyMs = beganMs + ((block + 1) * MIB) / PACED_BYTES_PER_MS - performance.now()
    if (earlyMs > 1) await new Promise(resolve => setTimeout(resolve, earlyMs))
  }
  isOver = true
  await syncing
  latencies.sort((one, other) => one - other)
  note(way, 'sync p50 ms', latencies[latencies.length >> 1]!)
  note(way, 'sync p99 ms', latencies[Math.floor(latencies.length * 0.99)]!)
}

await systemDisk.createFilled(`${directory}/log`, LOG_BYTES)
const log = await systemDisk.open(`${directory}/log`, 'write')
const sparse = async (path: string, sizeBytes: number) => {
  const file = await systemDisk.open(path, 'create')
  await file.truncate(sizeBytes)
  await file.close()
}
const ways: Record<string, Way> = {
  'a file per block': fileEach,
  'a file per object': filePerObject(),
  'slabs with holes': await slabs('sparse', sparse),
  'slabs filled with zeros': await slabs('filled', systemDisk.createFilled),
}
for (let round = 0; round < ROUNDS; round++) {
  await syncsDuring('nothing is written', async () => {})
  for (const [name, way] of Object.entries(ways)) {
    const before = process.cpuUsage()
    note(name, 'write GB/s', await speedOf(block => way.write(block)))
    const { user, system } = process.cpuUsage(before)
    note(name, 'write CPU us/MiB', (user + system) / BLOCKS)
    note(name, 'read GB/s', await speedOf(block => way.read((block * 37) % BLOCKS)))
    await syncsDuring(name, block => way.write(block))
  }
}
for (const [way, ofWay] of figures) {
  const texts = [...ofWay].map(([figure, values]) => `${figure} ${median(values.slice(1)).toFixed(2)}`)
  console.log(way.padEnd(26), texts.join('  '))
}
rmSync(directory, { recursive: true })
process.exit()
