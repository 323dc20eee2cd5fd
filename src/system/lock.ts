// One broker per data directory. The lock is the kernel's own lock on the file `lock`, taken through SQLite, the only door
// Node has to one: the kernel gives it back when the process is gone, however it went, so a crash leaves nothing stale
// and no process id is ever trusted. `lock.owner` beside it only tells people who holds it.
// docs/decisions/directory-lock.md has the alternatives.

import { existsSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { ChronikError, messageOf, systemCodeOf } from '#base/errors.ts'
import type { DirectoryLock } from '#base/ports.ts'

const SQLITE_BUSY = 5

/** Refuses with DATA_DIRECTORY_LOCKED if another broker has it, in this process or in any other. */
export async function lockDirectory(path: string): Promise<DirectoryLock> {
  const database = await lockFile(path, 'write')
  const ownerFile = join(path, 'lock.owner')
  try {
    await fs.writeFile(ownerFile, `process ${process.pid} on ${hostname()}\n`)
  } catch (error) {
    // A full disk must not keep a broker from starting, it may be the one that frees it.
    if (systemCodeOf(error) !== 'ENOSPC') {
      database.close()
      throw unusable(path, error)
    }
  }
  return {
    release: async () => {
      await fs.rm(ownerFile, { force: true })
      database.close()
    },
  }
}

/**
 * Keeps brokers from starting while somebody reads, who may be one of several. Changes nothing, so a directory that was never locked
 * stays so: then there is nothing to hold.
 */
export async function lockForReading(path: string): Promise<DirectoryLock> {
  if (!existsSync(join(path, 'lock'))) return { release: async () => {} }
  const database = await lockFile(path, 'read')
  return { release: async () => database.close() }
}

/** Nothing is ever written to the file, so no journal file is needed: the transaction is only held. */
const HOLDS = {
  write: 'PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE',
  // A transaction that reads has a lock only once it has read.
  read: 'BEGIN; SELECT count(*) FROM sqlite_master',
}

async function lockFile(path: string, to: keyof typeof HOLDS): Promise<DatabaseSync> {
  let database: DatabaseSync
  try {
    database = new DatabaseSync(join(path, 'lock'), { timeout: 0, readOnly: to === 'read' })
  } catch (error) {
    throw unusable(path, error)
  }
  try {
    database.exec(HOLDS[to])
    return database
  } catch (error) {
    database.close()
    if ((error as { errcode?: unknown }).errcode !== SQLITE_BUSY) throw unusable(path, error)
    throw new ChronikError(
      'DATA_DIRECTORY_LOCKED',
      'conflict',
      `the data directory ${path} is in use by ${await ownerOf(path)}: stop that broker or choose another data directory`,
    )
  }
}

async function ownerOf(path: string): Promise<string> {
  try {
    return (await fs.readFile(join(path, 'lock.owner'), 'utf8')).trim() || 'another broker'
  } catch {
    return 'another broker' // which has the lock and is about to write its name, or has just taken it away
  }
}

function unusable(path: string, cause: unknown): ChronikError {
  return new ChronikError(
    'DATA_DIRECTORY_UNUSABLE',
    'invalid',
    `cannot lock the data directory ${path} (${messageOf(cause)}): it must exist and be writable`,
    { cause },
  )
}
