import type { Finding, Inspector } from '#base/inspection.ts'
import { verifyLog } from '#log/verify-log.ts'
import type { ObjectFacts, ObjectReader } from '#object-store/object-store.ts'
import { objectMissing } from '#object-store/store-errors.ts'
import { type VerifyReport, verifySystem } from '#tier/verify/verify.ts'
import { type Machine, RecoveryLab, unpack } from './recovery-lab.ts'
import type { SimDisk } from './sim/sim-disk.ts'

// What a broker left on its disk and in its store, to be damaged and then checked.

const DAY_MS = 86_400_000

/** Objects in memory, which nothing changes but the test. */
export class MemoryObjects implements ObjectReader {
  readonly place = 'memory://objects'
  readonly objects: Map<string, Buffer>
  /** Is told of each read before it is done. */
  onRead: (key: string) => void = () => {}

  constructor(objects: Iterable<readonly [string, Buffer]>) {
    this.objects = new Map(objects)
  }

  async getRange(key: string, from: number, length: number): Promise<Buffer> {
    this.onRead(key)
    const bytes = this.objects.get(key)
    if (bytes === undefined) throw objectMissing(this.place, key)
    return Buffer.from(bytes.subarray(from, from + length))
  }

  async head(key: string): Promise<ObjectFacts | null> {
    const bytes = this.objects.get(key)
    return bytes === undefined ? null : { key, sizeBytes: bytes.length, modifiedMs: 0 }
  }

  async *list(prefix: string, after: string): AsyncIterable<ObjectFacts> {
    for (const key of [...this.objects.keys()].sort()) {
      const facts = key.startsWith(prefix) && key > after ? await this.head(key) : null
      if (facts !== null) yield facts
    }
  }

  async close(): Promise<void> {}

  get keys(): string[] {
    return [...this.objects.keys()].sort()
  }
}

export interface Verified {
  readonly report: VerifyReport
  readonly findings: Finding[]
  /** Messages of those that are damage. */
  readonly damage: string[]
  readonly notices: string[]
  /** Of what was looked at. */
  readonly passedBytes: number
}

export class StoredSystem {
  readonly disk: SimDisk
  readonly store: MemoryObjects

  constructor(disk: SimDisk, store: MemoryObjects) {
    this.disk = disk
    this.store = store
  }

  static of({ disk, lab }: Machine): StoredSystem {
    const objects = lab.keys.map(key => [key, Buffer.from(lab.bucket.peek(key))] as const)
    return new StoredSystem(disk.copyAtRest(), new MemoryObjects(objects))
  }

  /** To be damaged in another way. */
  copy(): StoredSystem {
    return new StoredSystem(this.disk.copyAtRest(), new MemoryObjects(this.store.objects))
  }

  keysOf(form: RegExp): string[] {
    return this.store.keys.filter(key => form.test(key))
  }

  flip(key: string, at: number, bit = 0): void {
    const bytes = Buffer.from(this.store.objects.get(key)!)
    bytes[at]! ^= 1 << bit
    this.store.objects.set(key, bytes)
  }

  flipOnDisk(path: string, at: number, bit = 0): void {
    const bytes = this.disk.peek(path)
    bytes[at]! ^= 1 << bit
    this.disk.poke(path, bytes)
  }

  verify({ isOwned = true } = {}): Promise<Verified> {
    return this.#verify('/data', isOwned)
  }

  /** As if there were no disk. */
  verifyStore(): Promise<Verified> {
    return this.#verify(null, true)
  }

  /** Messages of what is damaged on the disk alone. */
  async verifyLog(): Promise<string[]> {
    const { inspector, findings } = inspection()
    await verifyLog({ disk: this.disk, dataDir: '/data' }, inspector)
    return messages(findings, 'damage')
  }

  async #verify(dataDir: string | null, isOwned: boolean): Promise<Verified> {
    const { inspector, findings, passed } = inspection()
    const random = { bytes: (count: number) => Buffer.alloc(count) }
    const { disk, store } = this
    const report = await verifySystem({ disk, random, dataDir, store, isOwned, unpack, inspector })
    const [damage, notices] = [messages(findings, 'damage'), messages(findings, 'notice')]
    return { report, findings, damage, notices, passedBytes: passed.sizeBytes }
  }
}

function inspection() {
  const findings: Finding[] = []
  const passed = { sizeBytes: 0 }
  const inspector: Inspector = {
    signal: new AbortController().signal,
    found: finding => findings.push(finding),
    begins() {},
    passed(sizeBytes) {
      passed.sizeBytes += sizeBytes
    },
  }
  return { inspector, findings, passed }
}

function messages(findings: readonly Finding[], kind: Finding['kind']): string[] {
  return findings.filter(found => found.kind === kind).map(({ message }) => message)
}

/**
 * A machine that has everything: segments with objects of their own and shared ones, some of them garbage, aborted transactions, a
 * record tail, and in the write-ahead log files of before and behind the checkpoint.
 */
export async function busyMachine(): Promise<Machine> {
  const machine = await new RecoveryLab().machine()
  await machine.start({ restoreWindowMs: DAY_MS, checkpointRecords: 20 })
  const { lab } = machine.running
  await lab.topic('orders', 2)
  await lab.topic('old')
  const [first, second, old] = [lab.partition('orders', 0), lab.partition('orders', 1), lab.partition('old')]
  const producer = { id: 7, epoch: 0, sequence: 0 }
  for (let i = 0; i < 12; i++) {
    await lab.append(first, { recordCount: 2, producer: { ...producer, sequence: i * 2 } })
    await lab.append(second, { sizeBytes: 300 })
    await lab.append(old)
    await machine.lab.clock.runFor(300)
    if (i === 4 || i === 7) await machine.seal([first])
    if (i === 2) await machine.seal([old])
    if (i === 6) await machine.seal([first, second, old])
    if (i === 8) await lab.propose({ kind: 'topic-deleted', id: 'id-of-old' })
    if (i === 8) break
  }
  for (let i = 0; i < 30; i++) {
    await lab.append(first, { sizeBytes: 700 })
    await machine.lab.clock.runFor(500)
  }
  return machine
}

export async function storedSystem(): Promise<StoredSystem> {
  const machine = await busyMachine()
  await machine.stop()
  return StoredSystem.of(machine)
}
