import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { output } from './run.ts'

/** Whom a row is measured on. `kafka` is Apache Kafka as shipped, which never syncs; `kafka-flush` syncs each append. */
export type Target = 'ours' | 'kafka' | 'kafka-flush'

/** How our broker is started, in the root of the repository. */
export const OUR_COMMAND =
  'node bin/chronik.js start --data-dir {dir} --kafka-port {port} --metrics-port {metrics-port}'

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))
const KAFKA_SH = fileURLToPath(new URL('../peers/kafka.sh', import.meta.url))
const START_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 15_000
const ANSWER_TIMEOUT_MS = 1000
const POLL_MS = 10
const LOG_TAIL_LENGTH = 2000
/** An ApiVersions v0 request without a client id. */
const API_VERSIONS = Uint8Array.of(0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff)

export interface Broker {
  readonly target: Target
  readonly pid: number
  readonly address: string
  readonly dir: string
  readonly logPath: string
  /** Asks it to end, and waits. */
  stop(): Promise<void>
  /** kill -9. */
  kill(): Promise<void>
}

/** A port whose successor is free too: Kafka's controller takes it, and our metrics do. */
export async function freePort(): Promise<number> {
  for (;;) {
    const first = await listen(0)
    const address = first?.address()
    if (first === undefined || address === null || typeof address !== 'object') throw new Error('no port is free')
    const second = await listen(address.port + 1)
    first.close()
    second?.close()
    if (second !== undefined) return address.port
  }
}

async function listen(port: number): Promise<Server | undefined> {
  const server = createServer().listen(port, '127.0.0.1')
  return once(server, 'listening').then(
    () => server,
    () => undefined,
  )
}

/** Returns once the broker answers on the port. */
export async function startBroker(target: Target, command: string, dir: string, port: number): Promise<Broker> {
  mkdirSync(dir, { recursive: true })
  return target === 'ours' ? startOurs(command, dir, port) : startKafka(target, dir, port)
}

async function startOurs(command: string, dir: string, port: number): Promise<Broker> {
  const values: Record<string, string> = { dir: join(dir, 'data'), port: `${port}`, 'metrics-port': `${port + 1}` }
  const [program = '', ...args] = command
    .split(/\s+/)
    .map(word => word.replace(/\{([a-z-]+)\}/g, (placeholder, name) => values[name] ?? placeholder))
  const logPath = join(dir, 'broker.log')
  const log = openSync(logPath, 'a')
  const child = spawn(program === 'node' ? process.execPath : program, args, {
    cwd: REPOSITORY,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  await once(child, 'spawn')
  const ended = once(child, 'exit')
  const deadlineMs = performance.now() + START_TIMEOUT_MS
  while (!(await answers(port))) {
    if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadlineMs) {
      child.kill('SIGKILL')
      throw new Error(`${command} does not answer on port ${port}:\n${logTail(logPath)}`)
    }
    await sleep(POLL_MS)
  }
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal)
    const patience = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await ended
    clearTimeout(patience)
  }
  return {
    target: 'ours',
    pid: child.pid ?? 0,
    address: `127.0.0.1:${port}`,
    dir,
    logPath,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  }
}

async function startKafka(target: Target, dir: string, port: number): Promise<Broker> {
  const place = ['--port', `${port}`, '--dir', dir]
  const started = await output(KAFKA_SH, ['start', ...place, ...(target === 'kafka-flush' ? ['--flush'] : [])])
  const pid = Number(/^pid (\d+)/.exec(started)?.[1])
  return {
    target,
    pid,
    address: `127.0.0.1:${port}`,
    dir,
    logPath: join(dir, 'broker.log'),
    stop: async () => void (await output(KAFKA_SH, ['stop', ...place])),
    kill: async () => {
      process.kill(pid, 'SIGKILL')
    },
  }
}

/** Why Apache Kafka cannot be measured here, if so. Resolves its jars when they are not there yet. */
export async function kafkaMissing(): Promise<string | undefined> {
  try {
    await output('java', ['-version'])
  } catch {
    return 'Java is not installed'
  }
  return output(KAFKA_SH, ['classpath']).then(
    () => undefined,
    error => String(error.message),
  )
}

export const kafkaVersion = async (): Promise<string> => (await output(KAFKA_SH, ['version'])).trim()

/** True if a broker on the port answers a first request. */
async function answers(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    socket.write(API_VERSIONS)
    await once(socket, 'data', { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) })
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** The last words of a broker. */
export function logTail(path: string): string {
  return readFileSync(path, 'utf8').slice(-LOG_TAIL_LENGTH)
}

export function residentMb(pid: number): number {
  const kb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kb) / 1024
}
