import { ChronikError, writtenByNewer } from '#base/errors.ts'
import type { Disk } from '#base/ports.ts'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import { ByteReader, ByteWriter } from '#bytes/cursor.ts'
import type { ResumePoint } from './commit.ts'

// Checkpoints on disk: one file each, named by position, written aside and renamed when it is whole. The newest two are kept,
// so that a damaged one does not end the log's life. The state's bytes mean nothing here.
//
//   0  u32  magic "CHCP"
//   4  u32  CRC-32C of everything behind
//   8  u16  version
//  10  u16  zero
//  12  u32  checksum of the group before the position
//  16  i64  position
//  24  i64  sequence number of the WAL file that begins there
//  32  i64  when it was written, in ms
//  40  the state

const MAGIC = 0x43484350
const VERSION = 1
const HEADER_BYTES = 40
const CHECKED_FROM = 8
const KEPT = 2
const EXTENSION = '.ckpt'

export interface Checkpoint extends ResumePoint {
  writtenMs: number
  state: Buffer
}

function fileName(position: number): string {
  return `${String(position).padStart(16, '0')}${EXTENSION}`
}

export async function writeCheckpoint(disk: Disk, directory: string, checkpoint: Checkpoint): Promise<void> {
  const writer = new ByteWriter(HEADER_BYTES + checkpoint.state.length)
  writer.u32(MAGIC)
  writer.u32(0)
  writer.u16(VERSION)
  writer.u16(0)
  writer.u32(checkpoint.previousChecksum)
  writer.i64(checkpoint.position)
  writer.i64(checkpoint.sequence)
  writer.i64(checkpoint.writtenMs)
  writer.raw(checkpoint.state)
  const bytes = writer.written()
  bytes.writeUInt32BE(crc32c(bytes, CHECKED_FROM, bytes.length), 4)
  await writeWholeFile(disk, directory, fileName(checkpoint.position), bytes)
}

/** Under its name the file is whole or not there, whatever happens. */
export async function writeWholeFile(disk: Disk, directory: string, name: string, bytes: Uint8Array): Promise<void> {
  const path = `${directory}/${name}`
  const aside = `${path}.new`
  await disk.remove(aside)
  const file = await disk.open(aside, 'create')
  try {
    await file.write(bytes, 0, bytes.length, 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await disk.rename(aside, path)
  await disk.syncDirectory(directory)
}

/** All of a file's bytes. */
export async function readWholeFile(disk: Disk, path: string): Promise<Buffer> {
  const file = await disk.open(path, 'read')
  try {
    const bytes = Buffer.allocUnsafeSlow(await file.sizeBytes())
    const read = await file.read(bytes, 0, bytes.length, 0)
    return bytes.subarray(0, read)
  } finally {
    await file.close()
  }
}

/** Positions of the checkpoints there are, oldest first. */
export async function listCheckpoints(disk: Disk, directory: string): Promise<number[]> {
  const names = (await disk.list(directory)).filter(name => /^\d{16}\.ckpt$/.test(name))
  return names.map(name => Number(name.slice(0, -EXTENSION.length)))
}

/** The newest whole checkpoint; null for a log that has none. A damaged newer one is told of, never silently passed over. */
export async function readNewestCheckpoint(
  disk: Disk,
  directory: string,
  damaged: (path: string) => void,
): Promise<Checkpoint | null> {
  const positions = await listCheckpoints(disk, directory)
  for (const position of positions.toReversed()) {
    const checkpoint = await readCheckpoint(disk, directory, position)
    if (checkpoint !== null) return checkpoint
    damaged(checkpointPath(directory, position))
  }
  if (positions.length === 0) return null
  throw new ChronikError(
    'CHECKPOINT_DAMAGED',
    'corrupt',
    `no checkpoint in ${directory} can be read: run 'chronik repair' to see what can be done`,
  )
}

export function checkpointPath(directory: string, position: number): string {
  return `${directory}/${fileName(position)}`
}

/** Null: it is damaged. Refuses one of a later version. */
export async function readCheckpoint(disk: Disk, directory: string, position: number): Promise<Checkpoint | null> {
  const path = checkpointPath(directory, position)
  const checkpoint = decodeCheckpoint(await readWholeFile(disk, path), path)
  return checkpoint?.position === position ? checkpoint : null
}

function decodeCheckpoint(bytes: Buffer, path: string): Checkpoint | null {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32BE(0) !== MAGIC) return null
  if (bytes.readUInt32BE(4) !== crc32c(bytes, CHECKED_FROM, bytes.length)) return null
  const reader = new ByteReader(bytes, CHECKED_FROM)
  const version = reader.u16()
  if (version > VERSION) throw writtenByNewer('CHECKPOINT_TOO_NEW', path, { found: version, known: VERSION })
  if (version < 1) return null
  reader.u16()
  const previousChecksum = reader.u32()
  const position = reader.i64()
  const sequence = reader.i64()
  const writtenMs = reader.i64()
  return { previousChecksum, position, sequence, writtenMs, state: reader.view(reader.remaining) }
}

/** Removes all but the newest ones, for good; returns the position of the oldest that is kept. */
export async function removeOldCheckpoints(disk: Disk, directory: string, keeps = KEPT): Promise<number> {
  const positions = await listCheckpoints(disk, directory)
  const kept = positions.slice(-keeps)
  const gone = positions.slice(0, -keeps)
  for (const position of gone) await disk.remove(`${directory}/${fileName(position)}`)
  // One that came back after a power loss would want files of the log that are trimmed.
  await disk.syncDirectory(directory)
  return kept[0] ?? 0
}
