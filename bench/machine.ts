import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import type { Lab } from './paths/lab.ts'
import { numberOf } from './paths/load.ts'
import { output } from './paths/run.ts'

export interface Fact {
  readonly name: string
  readonly value: string
}

/** What the figures were measured on, and of. */
export async function describeMachine(dir: string, kafkaVersion: string | undefined): Promise<Fact[]> {
  const ours = Object.entries(process.env).filter(([name]) => name.startsWith('CHRONIK_'))
  return [
    { name: 'Date', value: new Date().toISOString().slice(0, 10) },
    { name: 'Commit', value: await commit() },
    {
      name: 'Machine',
      value: `${availableParallelism()} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GB of memory`,
    },
    { name: 'System', value: `Linux ${release()}, data on ${fileSystemOf(dir)}` },
    { name: 'Node.js', value: process.version },
    ...(kafkaVersion === undefined ? [] : [{ name: 'Apache Kafka', value: `${kafkaVersion}, ${await javaVersion()}` }]),
    ...(ours.length === 0
      ? []
      : [{ name: 'Settings', value: ours.map(([name, value]) => `${name}=${value}`).join(' ') }]),
  ]
}

/** How fast the machine can be at best, for scale. */
export async function measureLimits(lab: Lab): Promise<Fact[]> {
  const seconds = lab.quick ? '0.5s' : '3s'
  const append = (size: number) => lab.load('fsync', { dir: lab.dir, size, seconds, settle: '0s' })
  const [page, group, large] = [await append(4096), await append(65536), await append(2 ** 20)]
  const loopback = await lab.load('loopback', { seconds, settle: '0s' })
  const milliseconds = (value: number) => `${value.toFixed(2)} ms`
  const perSecond = (value: number) => `${value.toFixed(0)} MB/s`
  return [
    { name: 'append of 4 KiB and fdatasync, median', value: milliseconds(numberOf(page, 'p50_ms')) },
    { name: 'append of 64 KiB and fdatasync, median', value: milliseconds(numberOf(group, 'p50_ms')) },
    { name: 'synced appends of 1 MiB', value: perSecond(numberOf(large, 'mb_s')) },
    { name: 'loopback, one stream', value: perSecond(numberOf(loopback, 'mb_s')) },
    { name: 'loopback, round trip of 64 bytes', value: `${numberOf(loopback, 'round_trip_us').toFixed(1)} us` },
  ]
}

async function commit(): Promise<string> {
  const head = await output('git', ['rev-parse', '--short', 'HEAD'])
  const changed = await output('git', ['status', '--porcelain', '--', 'src', 'bench', 'package-lock.json'])
  return head.trim() + (changed === '' ? '' : ' with local changes')
}

async function javaVersion(): Promise<string> {
  return /^openjdk \S+|^java \S+/m.exec(await output('java', ['--version']))?.[0] ?? 'Java'
}

/** The type of the file system that holds a directory, from the longest mount point that leads to it. */
function fileSystemOf(dir: string): string {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map(line => line.split(' '))
    .filter(([, point]) => point !== undefined && (point === '/' || dir === point || dir.startsWith(`${point}/`)))
    .sort(([, a = ''], [, b = '']) => b.length - a.length)
  return mounts[0]?.[2] ?? 'an unknown file system'
}
