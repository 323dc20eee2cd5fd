// The product as its users run it: `chronik start` in a process of its own, to be talked to by real clients and to be killed.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from '#test/support/until.ts'

const HOST = '127.0.0.1'
const START_TIMEOUT_MS = 60_000
// The product promises 5 s from SIGTERM to the end.
const STOP_TIMEOUT_MS = 30_000
export const COMMAND_PATH = fileURLToPath(new URL('../../bin/chronik.js', import.meta.url))
// size, ApiVersions, version 0, correlation id 1, no client id
const API_VERSIONS_REQUEST = Buffer.from('0000000a0012000000000001ffff', 'hex')

export interface BrokerProcessOptions {
  /** Outlives the process. Without it, a temporary one that `stop` and `remove` remove. */
  dataDir?: string
  /** A port to come back to after a restart. */
  kafkaPort?: number
  /** A port to be asked at while it starts. */
  metricsPort?: number
  /** Further flags of `chronik start`. */
  flags?: readonly string[]
  environment?: Readonly<Record<string, string>>
  startTimeoutMs?: number
}

export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface BrokerProcess {
  readonly kafka: { readonly host: string; readonly port: number; readonly address: string }
  readonly metricsPort: number
  readonly dataDir: string
  readonly pid: number
  /** How long it took from the start of the process to the first answer. */
  readonly startedInMs: number
  /** All it has printed so far, both streams in the order in which they came. */
  output(): string
  /** Settles when the process is gone, for whatever reason. */
  readonly ended: Promise<ProcessEnd>
  /** As if the power of the process alone were cut: nothing is flushed or told. */
  kill9(): Promise<void>
  /** SIGTERM, which must end it with code 0 in time. */
  stop(): Promise<void>
  /** Kills what still runs and removes a temporary data directory. May be called at any time, any number of times. */
  remove(): Promise<void>
}

/** It ended instead of starting, or did not answer in time. */
export class BrokerStartFailed extends Error {
  override readonly name = 'BrokerStartFailed'
  readonly end: ProcessEnd | null
  readonly output: string

  constructor(end: ProcessEnd | null, output: string) {
    const how = end === null ? 'did not answer in time' : `ended with ${end.code ?? end.signal} while starting`
    super(`the broker ${how}:\n${output}`)
    this.end = end
    this.output = output
  }
}

export async function startBrokerProcess(options: BrokerProcessOptions = {}): Promise<BrokerProcess> {
  const temporary = options.dataDir === undefined ? await mkdtemp(join(tmpdir(), 'chronik-test-')) : null
  const dataDir = options.dataDir ?? join(temporary!, 'data')
  const [freePort, otherPort] = await freePorts(2)
  const kafkaPort = options.kafkaPort ?? freePort!
  // The port to come back to is as free as any.
  const metricsPort = options.metricsPort ?? (otherPort === kafkaPort ? freePort! : otherPort!)
  const beganAtMs = performance.now()
  const child = spawnBroker({ dataDir, kafkaPort, metricsPort, options })
  const address = `${HOST}:${kafkaPort}`

  const remove = async () => {
    await child.kill()
    if (temporary !== null) await rm(temporary, { recursive: true, force: true })
  }
  try {
    const isDecided = async () => child.end() !== null || (await answersApiVersions(kafkaPort))
    await until(`an answer of ${address}`, isDecided, options.startTimeoutMs ?? START_TIMEOUT_MS)
    if (child.end() !== null) throw new Error('the broker ended')
  } catch {
    const failure = new BrokerStartFailed(child.end(), child.output())
    await remove()
    throw failure
  }
  return {
    kafka: { host: HOST, port: kafkaPort, address },
    metricsPort,
    dataDir,
    pid: child.pid,
    startedInMs: performance.now() - beganAtMs,
    output: child.output,
    ended: child.ended,
    kill9: child.kill,
    stop: async () => {
      const end = await child.terminate()
      if (temporary !== null) await rm(temporary, { recursive: true, force: true })
      if (end?.code !== 0) {
        throw new Error(`the broker answered SIGTERM with ${JSON.stringify(end)}, not code 0:\n${child.output()}`)
      }
    },
    remove,
  }
}

interface Spawned {
  readonly pid: number
  readonly ended: Promise<ProcessEnd>
  end(): ProcessEnd | null
  output(): string
  kill(): Promise<void>
  /** Null if it did not end in time; it is killed then. */
  terminate(): Promise<ProcessEnd | null>
}

function spawnBroker(of: {
  dataDir: string
  kafkaPort: number
  metricsPort: number
  options: BrokerProcessOptions
}): Spawned {
  const settings = ['--bind-addr', HOST, '--kafka-port', `${of.kafkaPort}`, '--metrics-port', `${of.metricsPort}`]
  const flags = ['--data-dir', of.dataDir, ...settings, ...(of.options.flags ?? [])]
  const child = spawn(process.execPath, [COMMAND_PATH, 'start', ...flags], {
    env: { ...environmentWithoutSettings(), ...of.options.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const printed: string[] = []
  child.stdout.setEncoding('utf8').on('data', (text: string) => printed.push(text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => printed.push(text))
  const killWithUs = () => child.kill('SIGKILL')
  process.once('exit', killWithUs)

  let end: ProcessEnd | null = null
  const ended = endOf(child).then(how => {
    end = how
    process.off('exit', killWithUs)
    return how
  })
  const kill = async () => {
    child.kill('SIGKILL')
    await ended
  }
  return {
    pid: child.pid ?? 0,
    ended,
    end: () => end,
    output: () => printed.join(''),
    kill,
    terminate: async () => {
      child.kill('SIGTERM')
      await until('the end of the broker', () => end !== null, STOP_TIMEOUT_MS).catch(() => null)
      const inTime = end
      await kill()
      return inTime
    },
  }
}

function endOf(child: ChildProcess): Promise<ProcessEnd> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
}

// The settings of whoever runs the tests must not reach the broker under test.
export function environmentWithoutSettings(): NodeJS.ProcessEnv {
  const ours = (name: string) => /^(CHRONIK_|KAFKA_|METRICS_PORT$)/.test(name)
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours(name)))
}

/** Ports that nobody listened on a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = []
  for (let i = 0; i < count; i++) {
    const server = createServer()
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(0, HOST, resolve)
    })
    servers.push(server)
  }
  const ports = servers.map(server => (server.address() as { port: number }).port)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return ports
}

/** Whether something on the port answers the first request of every Kafka client. */
export function answersApiVersions(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host: HOST, port }, () => socket.write(API_VERSIONS_REQUEST))
    const settle = (answered: boolean) => {
      socket.destroy()
      resolve(answered)
    }
    socket.setTimeout(1_000, () => settle(false))
    socket.once('data', () => settle(true))
    socket.once('error', () => settle(false))
    socket.once('close', () => settle(false))
  })
}
