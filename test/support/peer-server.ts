// Servers of others that a test starts for itself.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { freePorts } from '#test/support/broker-process.ts'
import { until } from '#test/support/until.ts'

const HOST = '127.0.0.1'
const START_TIMEOUT_MS = 60_000
const OUTPUT_CHARACTERS = 4000

export interface PeerServer {
  readonly name: string
  readonly endpoint: string
  close(): Promise<void>
}

/** A server, or why there is none here. */
export type Prepared<Server> = { readonly server: Server } | { readonly missing: string }

export async function prepare<Server>(start: () => Promise<Server>): Promise<Prepared<Server>> {
  try {
    return { server: await start() }
  } catch (error) {
    return { missing: (error as Error).message.split('\n').slice(0, 3).join(' ').trim() }
  }
}

/** Shows in the results that a server is not here, and why. */
export function describeMissing(name: string, reason: string): void {
  describe(name, () => it.skipIf(true)(`is not here: ${reason}`, () => {}))
}

/** A server with a directory of its own, as soon as something listens on its port. */
export async function startProcess(
  name: string,
  endpoint: string,
  start: (directory: string) => ChildProcess,
): Promise<PeerServer> {
  const directory = await mkdtemp(join(tmpdir(), `${name}-`))
  const child = start(directory)
  const ended = once(child, 'exit')
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', text => {
      output = (output + text).slice(-OUTPUT_CHARACTERS)
    })
  }
  const close = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
    await rm(directory, { recursive: true, force: true })
  }
  const port = Number(new URL(endpoint).port)
  try {
    await until(`${name} on port ${port}`, async () => child.exitCode !== null || listens(port), START_TIMEOUT_MS)
    if (child.exitCode !== null) throw new Error(`${name} ended while starting`)
  } catch (error) {
    await close()
    throw new Error(`${(error as Error).message}\n${output}`, { cause: error })
  }
  return { name, endpoint, close }
}

/** The first of so many free ports side by side. */
export async function freeNeighbours(count: number): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const [port] = await freePorts(1)
    const others = Array.from({ length: count - 1 }, (_, i) => isFree(port! + 1 + i))
    if ((await Promise.all(others)).every(Boolean)) return port!
  }
  throw new Error(`no ${count} free ports side by side`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, HOST, () => server.close(() => resolve(true)))
  })
}

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host: HOST, port }, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
