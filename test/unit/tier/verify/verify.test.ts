import { describe, expect, it } from 'vitest'
import { StoreError } from '#object-store/store-errors.ts'
import { BATCH_HEADER_BYTES } from '#records/batch.ts'
import { packer, unpack } from '#test/support/recovery-lab.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { busyMachine, StoredSystem, storedSystem } from '#test/support/verify-lab.ts'
import { decodeArchived, encodeArchived } from '#tier/recovery/archive-format.ts'

const SEALED = /^segments\//
const PIECES = /^metalog\//
const CHECKPOINTS = /^checkpoints\//
const WAL = '/data/wal'

describe('a system that was stopped', () => {
  it('is all right, on its disk and in its store, and nothing of it is left out', async () => {
    const system = await storedSystem()
    const [both, alone] = [await system.verify(), await system.verifyStore()]
    expect([both.findings, alone.findings]).toEqual([[], []])
    const { segments, archive, log, unknown } = both.report
    expect(log).toMatchObject({ files: 5, checkpoints: 2 })
    expect(archive).toMatchObject({
      checkpoints: system.keysOf(CHECKPOINTS).length,
      pieces: system.keysOf(PIECES).length,
      archivedTo: log?.position,
    })
    expect(segments.segments.objects).toBe(system.keysOf(SEALED).length)
    expect(segments.tail.objects).toBe(system.keysOf(/^tail\//).length)
    expect(segments).toMatchObject({ garbage: { objects: 1 }, unreferenced: { objects: 0 } })
    expect(unknown.count).toBe(0)
    const objectBytes = [...system.store.objects].reduce(
      (sum, [key, bytes]) => sum + (/json$/.test(key) ? 0 : bytes.length),
      0,
    )
    expect(alone.passedBytes).toBe(objectBytes)
  })

  it('counts what nobody refers to, and what is no object of a broker', async () => {
    const system = await storedSystem()
    const [key] = system.keysOf(/^segments\/id-of-orders/)
    system.store.objects.set(key!.replace('-g1-', '-g1-c5-'), system.store.objects.get(key!)!)
    for (const name of ['segments/readme.txt', 'other', 'checkpoints/g1/1.ckpt']) {
      system.store.objects.set(name, Buffer.from('?'))
    }
    system.store.objects.set('probe/12', Buffer.from('?'))
    const { findings, report } = await system.verify()
    expect(findings).toEqual([])
    expect(report.segments.unreferenced.objects).toBe(1)
    expect(report.unknown).toEqual({ count: 3, names: ['checkpoints/g1/1.ckpt', 'other', 'segments/readme.txt'] })
  })

  it('is asked for, once more, what seemed wrong while its owner went on', async () => {
    const machine = await busyMachine()
    const before = StoredSystem.of(machine)
    const { lab } = machine.running
    await lab.propose({ kind: 'topic-deleted', id: 'id-of-orders' })
    await machine.lab.clock.runFor(3000)
    const after = StoredSystem.of(machine)
    for (const key of after.keysOf(/^segments\//)) after.store.objects.delete(key)
    before.store.onRead = key => {
      if (!SEALED.test(key)) return
      before.store.objects.clear()
      for (const [name, bytes] of after.store.objects) before.store.objects.set(name, bytes)
    }
    expect((await before.verifyStore()).damage).toEqual([])
  })
})

describe('a flipped bit', () => {
  it('is found in every object that has a checksum, wherever it is', async () => {
    const system = await storedSystem()
    const prng = new Prng(3)
    const kinds = [
      CHECKPOINTS,
      PIECES,
      /^segments\/id-of-old/,
      /^segments\/id-of-orders/,
      /^segments\/shared/,
      /^tail\//,
    ]
    for (const key of kinds.map(kind => system.keysOf(kind).at(-1)!)) {
      const sizeBytes = system.store.objects.get(key)!.length
      const stride = Math.ceil(sizeBytes / 60)
      for (let at = prng.between(0, stride - 1); at < sizeBytes; at += stride) {
        const damaged = system.copy()
        damaged.flip(key, at, prng.between(0, 7))
        const { findings } = await damaged.verifyStore()
        expect(findings.filter(({ kind, where }) => kind === 'damage' && where === key).length, `${key} ${at}`).toBe(1)
      }
    }
  })

  it('is found in all of the write-ahead log that is read, of its indexes and checkpoints', async () => {
    const system = await storedSystem()
    const prng = new Prng(5)
    for (const path of system.disk.paths.filter(name => /\.(wal|idx|ckpt)$/.test(name))) {
      const bytes = system.disk.peek(path)
      const isRead = path.endsWith('.wal') ? readBytes(bytes) : new Set(bytes.keys())
      for (let at = prng.between(0, 96); at < bytes.length; at += 97) {
        const damaged = new StoredSystem(system.disk.copyAtRest(), system.store)
        damaged.flipOnDisk(path, at, prng.between(0, 7))
        const damage = await damaged.verifyLog()
        expect(damage.length > 0, `${path} ${at}`).toBe(isRead.has(at))
        if (isRead.has(at)) expect(damage[0]).toContain(path)
      }
    }
  })
})

/** Of a file of the write-ahead log. Offset and epoch of a batch are those of its producer there, and mean nothing. */
function readBytes(file: Buffer): Set<number> {
  const read = new Set(Array.from({ length: 64 }, (_, at) => at))
  for (let at = 64; at + 48 < file.length && file.toString('latin1', at, at + 4) === 'CHGR'; ) {
    const payloadEnd = at + 48 + file.readUInt32BE(at + 16)
    const end = payloadEnd + file.readUInt32BE(at + 20)
    for (let byte = at; byte < end; byte++) read.add(byte)
    for (let batch = at + 48; batch + BATCH_HEADER_BYTES <= payloadEnd; batch += 12 + file.readInt32BE(batch + 8)) {
      for (const meaningless of [0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15]) read.delete(batch + meaningless)
    }
    at = end
  }
  return read
}

describe('what is missing', () => {
  it('is named, if it is a segment, with the records that are gone', async () => {
    const system = await storedSystem()
    for (const key of system.keysOf(/^segments\/(id-of-orders|shared)/)) {
      for (const verify of ['verify', 'verifyStore'] as const) {
        const damaged = system.copy()
        damaged.store.objects.delete(key)
        const { findings } = await damaged[verify]()
        expect(findings).toMatchObject([{ kind: 'damage', where: key }])
        expect(findings[0]!.message).toContain(`${key} is not in memory://objects`)
        expect(findings[0]!.affected.length).toBe(key.includes('shared') ? 2 : 1)
      }
    }
  })

  it('is named, if it is a piece of the metadata log, by its place', async () => {
    const system = await storedSystem()
    for (const key of system.keysOf(PIECES)) {
      const [from, to] = /(\d{20})-(\d{20})/.exec(key)!.slice(1).map(Number)
      const damaged = system.copy()
      damaged.store.objects.delete(key)
      const { findings } = await damaged.verify()
      expect(findings[0]!.message).toContain(`no piece of the metadata log from position ${from} to ${to}`)
      const isBridged = system.keysOf(CHECKPOINTS).some(checkpoint => checkpoint.includes(String(to).padStart(20, '0')))
      expect(findings.map(({ kind }) => kind)).toEqual([isBridged ? 'notice' : 'damage'])
    }
  })

  it('is found within a piece of the metadata log, and a piece under the name of another', async () => {
    const system = await storedSystem()
    const [key, other] = system.keysOf(PIECES)
    const damaged = system.copy()
    const { header, content } = await decodeArchived(key!, system.store.objects.get(key!)!, unpack)
    const firstGroupBytes = 20 + content.readUInt32BE(16)
    const rest = await encodeArchived(header, content.subarray(firstGroupBytes), packer)
    damaged.store.objects.set(key!, rest)
    expect((await damaged.verify()).damage).toEqual([expect.stringMatching(/a group at \d+ does not follow one up to/)])
    system.store.objects.set(key!, system.store.objects.get(other!)!)
    expect((await system.verify()).damage).toEqual([expect.stringContaining(`${key} has another object in it`)])
  })

  it('is said, if it is the end of the archive', async () => {
    const system = await storedSystem()
    for (const key of system.keysOf(CHECKPOINTS).slice(1)) system.store.objects.delete(key)
    system.store.objects.delete(system.keysOf(PIECES).at(-1)!)
    const { damage } = await system.verify()
    expect(damage).toEqual([
      expect.stringMatching(/archived up to position \d+, and the store has the archive only up/),
    ])
    for (const key of system.keysOf(CHECKPOINTS)) system.store.objects.delete(key)
    expect((await system.verify()).damage).toEqual([expect.stringContaining('the store has no checkpoint of it')])
  })

  it('is said, if it is a copy of the newest records and there is no disk', async () => {
    const system = await storedSystem()
    const newest = system.keysOf(/^tail\//).at(-1)!
    system.store.objects.delete(newest)
    const [found] = (await system.verifyStore()).findings
    expect(found).toMatchObject({ kind: 'damage', affected: [{ topic: 'orders', partition: 0, toOffset: 48 }] })
    expect(found!.message).toContain('are in no segment, and tail/g1/ has no copy of them')
    expect((await system.verify()).findings).toEqual([])
  })

  it('is named, if it is a file of the write-ahead log or its index', async () => {
    const system = await storedSystem()
    for (const path of system.disk.paths.filter(name => name.startsWith(WAL))) {
      const damaged = system.copy()
      await damaged.disk.remove(path)
      const { damage } = await damaged.verify()
      const isIndex = path.endsWith('.idx')
      expect(damage).toContainEqual(
        expect.stringContaining(isIndex ? `the index ${path} is missing` : 'a file of the log'),
      )
    }
  })

  it('is said of a file of the write-ahead log that was cut', async () => {
    const system = await storedSystem()
    const path = `${WAL}/0000000000000004.wal`
    system.disk.poke(path, system.disk.peek(path).subarray(0, 4000))
    const { findings } = await system.verify()
    expect(findings).toMatchObject([{ kind: 'damage', where: path, affected: [{ topic: 'orders', partition: 0 }] }])
    expect(findings[0]!.message).toMatch(/is damaged at byte \d+ \(position \d+\), before its end at position \d+/)
  })
})

describe('a broker that was killed', () => {
  it('leaves a system that is all right, and records that only its disk has', async () => {
    const machine = await busyMachine()
    machine.running.store.isCut = true
    await machine.running.lab.append(machine.running.lab.partition('orders'))
    machine.kill()
    const system = StoredSystem.of(machine)
    expect((await system.verify()).damage).toEqual([])
    expect((await system.verifyStore()).damage).toEqual([])
  })

  it('may have been succeeded by another one, whose store it is now', async () => {
    const machine = await busyMachine()
    await machine.stop()
    const old = machine.disk.copyAtRest()
    const next = await machine.lab.machine()
    await next.start()
    await next.stop()
    const system = new StoredSystem(old, StoredSystem.of(next).store)
    expect((await system.verify()).damage).toContainEqual(expect.stringContaining('was taken over by data directory'))
    expect((await StoredSystem.of(next).verify()).damage).toEqual([])
  })
})

describe('an object that the store does not give', () => {
  it('is told of, and the others are looked at', async () => {
    const system = await storedSystem()
    const [lost] = system.keysOf(SEALED)
    system.store.onRead = key => {
      if (key === lost) throw new StoreError('STORE_UNAVAILABLE', 'no answer')
    }
    const { damage, report } = await system.verify()
    expect(damage).toEqual([`${lost} could not be read, so nothing is known of it: no answer`])
    expect(report.segments.segments.objects).toBe(system.keysOf(SEALED).length)
  })

  it('ends it, if the store gives none', async () => {
    const system = await storedSystem()
    system.store.onRead = key => {
      if (SEALED.test(key) || key.startsWith('tail/')) throw new StoreError('STORE_UNAVAILABLE', 'no answer')
    }
    await expect(system.verify()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })
})

describe('whose the store is', () => {
  it('is said by objects that can be read', async () => {
    const system = await storedSystem()
    const key = 'generations/0000000001.json'
    const damaged = system.copy()
    damaged.store.objects.set(key, Buffer.from('{'))
    expect((await damaged.verify()).damage).toContainEqual(
      expect.stringContaining(`${key} cannot be read: it is no JSON`),
    )
    system.store.objects.delete(key)
    expect((await system.verify()).damage).toContainEqual(expect.stringContaining('owner.json speaks of generation 1'))
  })
})
