// Listening and connecting on a socket in the file system, which only the user who runs the broker may use.
//
// The path of a socket must fit about 100 bytes, far less than a path of a file. On Linux a directory's descriptor stands
// for the path above it, so any directory will do; elsewhere a long one is refused with a clear error.

import * as fs from 'node:fs/promises'
import type { Server } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { ChronikError, messageOf } from '#base/errors.ts'

// 108 on Linux, 104 on macOS, with a final zero.
const LONGEST_PATH_BYTES = 103

export interface LocalListener {
  /** Removes the socket; open connections stay with those who hold them. */
  close(): Promise<void>
}

/**
 * Makes `server` listen at `path`, taking the place of a socket that an earlier process left there: the caller must hold the
 * lock of the directory.
 */
export async function listenLocal(server: Server, path: string): Promise<LocalListener> {
  // Made where nobody else can go, and moved to its place when its mode is set: at no moment can others connect. The name is
  // used once because Node, when it closes the server, removes what is then at the address that it was given.
  const birthplace = await fs.mkdtemp(join(dirname(path), '.socket-'))
  const name = basename(birthplace)
  const directory = await openDirectory(birthplace)
  try {
    await listenAt(server, directory.shortPathOf(name))
    await fs.chmod(join(birthplace, name), 0o600)
    await fs.rename(join(birthplace, name), path)
  } catch (cause) {
    server.close()
    throw new ChronikError('CANNOT_LISTEN', 'unavailable', `cannot listen on ${path}: ${messageOf(cause)}`, { cause })
  } finally {
    await fs.rm(birthplace, { recursive: true, force: true })
    await directory.close()
  }
  return {
    close: async () => {
      server.close()
      await fs.rm(path, { force: true })
    },
  }
}

function listenAt(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** Calls with an address of the socket at `path` to which a connection can be made during the call. */
export async function withLocalAddress<T>(path: string, call: (address: string) => Promise<T>): Promise<T> {
  const directory = await openDirectory(dirname(path))
  try {
    return await call(directory.shortPathOf(basename(path)))
  } finally {
    await directory.close()
  }
}

interface OpenDirectory {
  shortPathOf(name: string): string
  close(): Promise<void>
}

async function openDirectory(path: string): Promise<OpenDirectory> {
  if (process.platform === 'linux') {
    const handle = await fs.open(path, 'r')
    return { shortPathOf: name => `/proc/self/fd/${handle.fd}/${name}`, close: () => handle.close() }
  }
  return {
    shortPathOf: name => {
      const full = join(path, name)
      if (Buffer.byteLength(full) <= LONGEST_PATH_BYTES) return full
      throw new ChronikError('PATH_TOO_LONG', 'invalid', `${full} is too long for a socket: choose a shorter directory`)
    },
    close: async () => {},
  }
}
