// Members of a consumer group in processes of their own, which read the input, and are killed and paused.

import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Prng } from '#test/support/sim/prng.ts'
import { until } from '#test/support/until.ts'
import type { WireClient } from '#test/support/wire-client.ts'
import { INPUT, INPUT_PARTITIONS, inputValue } from './copy-history.ts'
import { BrokenPromise } from './history.ts'

const PROGRAM = fileURLToPath(new URL('./reader-process.ts', import.meta.url))
const GROUP = 'readers'
const READ_ALL_WITHIN_MS = 60_000
const [LEAST_PAUSE_MS, MOST_PAUSE_MS] = [500, 4000]

export class Readers {
  readonly #address: string
  readonly #prng: Prng
  readonly #children = new Set<ChildProcess>()
  readonly #killWithUs = (): void => {
    for (const child of this.#children) child.kill('SIGKILL')
  }
  /** By partition and offset. */
  readonly #seen = new Map<string, string>()
  readonly #committed = new Map<number, number>()
  readonly #errors: string[] = []
  #isClosing = false
  killed = 0
  paused = 0

  constructor(address: string, count: number, prng: Prng) {
    this.#address = address
    this.#prng = prng
    process.once('exit', this.#killWithUs)
    for (let i = 0; i < count; i++) this.#start()
  }

  #start(): void {
    const child = spawn(process.execPath, [PROGRAM, this.#address, GROUP, INPUT], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#children.add(child)
    let rest = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      for (const line of lines) this.#saw(line)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.#errors.push(text))
    child.once('close', () => {
      this.#children.delete(child)
      // Killed, or beaten by a broker that was killed while it connected: another one comes.
      if (!this.#isClosing) this.#start()
    })
  }

  #saw(line: string): void {
    const [partition, offset, value = ''] = line.split(' ')
    this.#seen.set(`${partition} ${offset}`, value)
  }

  /** Now and then one is killed and another comes, or one does nothing for a while. */
  disturb(): void {
    const [child] = this.#children
    if (child === undefined) return
    const what = this.#prng.fraction()
    if (what < 0.15) {
      child.kill('SIGKILL')
      this.killed++
    } else if (what < 0.3) {
      child.kill('SIGSTOP')
      this.paused++
      setTimeout(() => child.kill('SIGCONT'), this.#prng.between(LEAST_PAUSE_MS, MOST_PAUSE_MS))
    }
  }

  /** After a restart: no offset that the group has committed went back. */
  async checkOffsets(client: WireClient): Promise<void> {
    const partitionIndexes = Array.from({ length: INPUT_PARTITIONS }, (_, partition) => partition)
    const topics = [{ name: INPUT, partitionIndexes }]
    const answer = await client.send('OffsetFetch', 7, { groupId: GROUP, topics, requireStable: false })
    for (const { partitionIndex, committedOffset } of answer.topics[0]!.partitions) {
      const before = this.#committed.get(partitionIndex) ?? -1
      if (committedOffset < before) {
        throw new BrokenPromise(`readers had committed ${before} of input-${partitionIndex}, now ${committedOffset}`)
      }
      this.#committed.set(partitionIndex, committedOffset)
    }
  }

  /** Each record comes, and comes as it is; `written`: how many there are, by partition. */
  async check(written: readonly number[]): Promise<void> {
    const total = written.reduce((sum, count) => sum + count, 0)
    await until('all is read', () => this.#seen.size >= total, READ_ALL_WITHIN_MS).catch(thrown => {
      const what = `readers saw ${this.#seen.size} of ${total} records\n${this.#errors.join('')}`
      throw new BrokenPromise(what, { cause: thrown })
    })
    for (const [place, value] of this.#seen) {
      const [partition = -1, offset = -1] = place.split(' ').map(Number)
      const isThere = offset < (written[partition] ?? 0) && value === inputValue(partition, offset)
      if (!isThere) throw new BrokenPromise(`a reader saw ${value} at ${place}`)
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true
    process.off('exit', this.#killWithUs)
    this.#killWithUs()
    await until('the readers are gone', () => this.#children.size === 0)
  }
}
