import { describe, expect, it } from 'vitest'
import type { Disk } from '#base/ports.ts'
import { openLocalStore, openLocalStoreToRead } from '#object-store/local-store.ts'
import type { ObjectReader } from '#object-store/object-store.ts'
import { systemDisk } from '#system/disk.ts'
import { systemRandom } from '#system/random.ts'
import { describeObjectStore } from '#test/contract/object-store.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { type CallKind, type DiskCall, SimDisk, type SimDiskOptions } from '#test/support/sim/sim-disk.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'

const patient = new AbortController().signal
const text = (bytes: string) => Buffer.from(bytes)
const ROOT = '/data/store'

const openOn = (disk: Disk, directory = ROOT) => openLocalStore({ disk, random: systemRandom, directory })

describeObjectStore('a directory of the real disk', async () => openOn(systemDisk, await temporaryDirectory()))

async function simulated(options: SimDiskOptions & { clock?: SimClock } = {}): Promise<SimDisk> {
  const disk = new SimDisk({ prng: new Prng(1), ...options })
  const made = disk.makeDirectory('/data').then(() => disk.syncDirectory(''))
  await (options.clock?.run(made) ?? made)
  return disk
}

async function contentOf(store: ObjectReader): Promise<Record<string, string>> {
  const content: Record<string, string> = {}
  for await (const { key, sizeBytes } of store.list('', '', patient)) {
    const bytes = await store.getRange(key, 0, 100, patient)
    expect(bytes.length).toBe(sizeBytes)
    content[key] = bytes.toString()
  }
  return content
}

describe('a store in a directory, after the power was cut or the process killed', () => {
  const SEEDS = Array.from({ length: 600 }, (_, seed) => seed)

  it('has every object that was answered for, and each as it once was, whole', async () => {
    let interrupted = 0
    for (const seed of SEEDS) {
      const run = await runUntilDeath(seed)
      interrupted += run.done ? 0 : 1
      const disk = (seed % 3 === 0 ? run.disk.kill() : run.disk.crash()).copyAtRest()
      const found = await contentOf(await openOn(disk))
      for (const [key, allowed] of run.history) expect(allowed, `seed ${seed}, ${key}`).toContain(found[key])
      expect(Object.keys(found).filter(key => !run.history.has(key))).toEqual([])
      expect(disk.paths.filter(path => path.includes('.new'))).toEqual([])
    }
    expect(interrupted).toBeGreaterThan(SEEDS.length / 2)
  })

  /** Puts and deletes until the process dies in one of its calls; of each key what may be found afterwards. */
  async function runUntilDeath(seed: number) {
    const prng = new Prng(seed)
    const clock = new SimClock({ prng: prng.fork() })
    const disk = await simulated({ prng: prng.fork(), clock, latencyMs: (_, chance) => chance.fraction() ** 4 * 10 })
    const store = await clock.run(openOn(disk))
    const history = new Map<string, (string | undefined)[]>()
    let left = prng.between(1, 400)
    const died = new Promise<void>(resolve => {
      disk.onCall = () => {
        if (--left > 0) return null
        resolve()
        return 'die'
      }
    })
    const worker = async (own: string) => {
      for (let i = 0; i < 15; i++) {
        const key = `${prng.pick(['a', 'b/c'])}/${own}`
        const before = history.get(key) ?? [undefined]
        const content = before.at(-1) !== undefined ? undefined : `${own} ${i}`.repeat(3)
        history.set(key, [...before, content])
        if (content === undefined) await store.delete(key, patient)
        else if (prng.chance(0.5)) await store.put(key, [text(content)], patient)
        else expect(await store.putIfAbsent(key, [text(content)], patient)).toBe(true)
        history.set(key, [content])
      }
    }
    const all = Promise.all(['x', 'y', 'z'].map(worker)).then(() => true)
    const done = await clock.run(Promise.race([all, died.then(() => false)]))
    return { disk, history, done }
  }

  it('has an object whose directory was removed and made again while it was written', async () => {
    // The second file that gets its name, and the directory when it is made again.
    const isSlow = ({ kind, path }: DiskCall) =>
      (kind === 'rename' && path.endsWith('-2')) || (kind === 'sync-directory' && path === ROOT)
    for (let seed = 0; seed < 20; seed++) {
      const clock = new SimClock()
      const disk = await simulated({ prng: new Prng(seed), clock, latencyMs: call => (isSlow(call) ? 20 : 0.1) })
      const store = await clock.run(openOn(disk))
      await clock.run(store.put('d/1', [text('1')], patient))
      const written = store.put('d/2', [text('2')], patient)
      let isNamed = false
      disk.onCall = call => {
        isNamed ||= call.kind === 'rename'
        return null
      }
      await clock.runUntil(() => isNamed)
      await clock.run(store.delete('d/1', patient))
      expect(await clock.run(disk.facts(`${ROOT}/d`))).toBeNull()
      void store.put('d/3', [text('3')], patient)
      await clock.run(written)
      expect(await contentOf(await openOn(disk.crash().copyAtRest()))).toMatchObject({ 'd/2': '2' })
    }
  })

  it('has removed what was being written when its process went', async () => {
    const disk = await simulated()
    await openOn(disk)
    disk.poke(`${ROOT}/.new/1234-1`, text('half of it'))
    disk.poke(`${ROOT}/a`, text('whole'))
    const store = await openOn(disk)
    expect(disk.paths).toEqual([`${ROOT}/a`])
    expect(await contentOf(store)).toEqual({ a: 'whole' })
  })
})

describe('a store in a directory', () => {
  it('removes directories in which nothing is left', async () => {
    const disk = await simulated()
    const store = await openOn(disk)
    for (const key of ['a/b/c', 'a/b/d', 'a/e']) await store.put(key, [text('1')], patient)
    await store.delete('a/b/c', patient)
    expect(await disk.list(`${ROOT}/a`)).toEqual(['b', 'e'])
    await store.delete('a/b/d', patient)
    expect(await disk.list(`${ROOT}/a`)).toEqual(['e'])
    await store.delete('a/e', patient)
    expect(await disk.list(ROOT)).toEqual(['.new'])
  })

  it('looks only where what is wanted can be', async () => {
    const disk = await simulated()
    const store = await openOn(disk)
    for (const key of ['a/b/1', 'a/b/2', 'a/c/1', 'd/e', 'f']) await store.put(key, [text('1')], patient)
    const seen: string[] = []
    disk.onCall = ({ kind, path }) => {
      if (kind === 'list' || kind === 'facts') seen.push(path.slice(ROOT.length + 1))
      return null
    }
    for await (const _ of store.list('a/b/', 'a/b/1x', patient)) seen.push('found')
    expect(seen).toEqual(['.new', 'a/b', 'a/b/2', 'found'])
  })

  it('gives no name to what was cancelled before it had one', async () => {
    const disk = await simulated()
    const store = await openOn(disk)
    const controller = new AbortController()
    const reason = new Error('nobody waits any more')
    disk.onCall = call => {
      if (call.kind === 'sync') controller.abort(reason)
      return null
    }
    await expect(store.put('a', [text('1')], controller.signal)).rejects.toBe(reason)
    expect(disk.paths).toEqual([])
  })

  it('keeps some files open, closes those it no longer needs, and all at its end', async () => {
    const disk = await simulated()
    const store = await openOn(disk)
    const large = new Uint8Array(100_000)
    const keys = Array.from({ length: 80 }, (_, i) => `a/${i}`)
    for (const key of keys) {
      await store.put(key, [large], patient)
      await store.getRange(key, 5, 10, patient)
    }
    expect(disk.openPaths).toHaveLength(64)
    await Promise.all(keys.map(key => store.getRange(key, 5, 10, patient)))
    expect(disk.openPaths).toHaveLength(64)
    await store.put('small', [text('small')], patient)
    await store.getRange('small', 0, 1, patient)
    await store.delete('a/79', patient)
    await store.put('a/78', [large], patient)
    expect(disk.openPaths).toHaveLength(62)
    await store.close()
    expect(disk.openPaths).toEqual([])
  })

  it('notices that another process has overwritten a small object', async () => {
    const disk = await simulated()
    const [one, other] = [await openOn(disk), await openOn(disk)]
    await one.put('owner.json', [text('one')], patient)
    expect((await other.getRange('owner.json', 0, 100, patient)).toString()).toBe('one')
    await one.put('owner.json', [text('one again')], patient)
    expect((await other.getRange('owner.json', 0, 100, patient)).toString()).toBe('one again')
  })

  it('says so when the disk is full, leaves nothing behind, and goes on when there is room', async () => {
    const disk = await simulated()
    const store = await openOn(disk)
    await store.put('a', [text('old')], patient)
    disk.capacityBytes = 10
    const full = { code: 'STORE_FULL', kind: 'retry', message: expect.stringContaining(ROOT) }
    await expect(store.put('a', [new Uint8Array(20)], patient)).rejects.toMatchObject(full)
    await expect(store.putIfAbsent('b', [new Uint8Array(20)], patient)).rejects.toMatchObject(full)
    expect(await contentOf(store)).toEqual({ a: 'old' })
    expect(disk.paths).toEqual([`${ROOT}/a`])
    disk.capacityBytes = 100
    await store.put('a', [text('new')], patient)
    expect(await contentOf(store)).toEqual({ a: 'new' })
  })

  it.each<CallKind>(['create', 'write', 'sync', 'rename', 'sync-directory'])(
    'answers for no object when a call to %s failed',
    async kind => {
      const disk = await simulated()
      const store = await openOn(disk)
      await store.put('x/old', [text('1')], patient)
      disk.onCall = call => (call.kind === kind ? 'EIO' : null)
      const failure = { code: 'STORE_UNAVAILABLE', kind: 'unavailable', message: expect.stringContaining('EIO') }
      await expect(store.put('x/a', [text('1')], patient)).rejects.toMatchObject(failure)
      disk.onCall = () => null
      expect(disk.paths.filter(path => path.includes('.new'))).toEqual([])
      await store.put('x/a', [text('2')], patient)
      expect(await contentOf(await openOn(disk.crash()))).toEqual({ 'x/a': '2', 'x/old': '1' })
    },
  )

  it('says that its directory is gone, and does not make another one in its place', async () => {
    const directory = `${await temporaryDirectory()}/store`
    const store = await openOn(systemDisk, directory)
    await systemDisk.removeDirectory(`${directory}/.new`)
    const gone = { code: 'BUCKET_MISSING', kind: 'invalid', message: expect.stringContaining('mounted?') }
    await expect(store.put('a', [text('1')], patient)).rejects.toMatchObject(gone)
    await expect(store.putIfAbsent('a', [text('1')], patient)).rejects.toMatchObject(gone)
    await expect(store.getRange('a', 0, 1, patient)).rejects.toMatchObject(gone)
    await expect(store.head('a', patient)).rejects.toMatchObject(gone)
    await expect(store.delete('a', patient)).rejects.toMatchObject(gone)
    await expect(contentOf(store)).rejects.toMatchObject(gone)
    expect(await systemDisk.list(directory)).toEqual([])
  })

  it.each([
    ['EACCES', 'STORE_DENIED', 'let this user'],
    ['EROFS', 'STORE_DENIED', 'for writing'],
    ['EDQUOT', 'STORE_FULL', 'quota'],
    ['EMFILE', 'STORE_UNAVAILABLE', 'open more files'],
    ['EIO', 'STORE_UNAVAILABLE', 'see to the disk'],
  ])('says what to do about %s', async (systemCode, code, advice) => {
    const directory = await temporaryDirectory()
    const refuse = () => Promise.reject(failure(systemCode))
    const failing: Disk = { ...systemDisk, open: refuse, createFrom: refuse }
    const store = await openOn(failing, directory)
    const said = { code, message: expect.stringContaining(advice) }
    await expect(store.put('a', [text('1')], patient)).rejects.toMatchObject(said)
    await expect(store.getRange('a', 0, 1, patient)).rejects.toMatchObject(said)
  })

  it('creates objects on a file system that has no links', async () => {
    const directory = await temporaryDirectory()
    const store = await openOn({ ...systemDisk, link: () => Promise.reject(failure('EPERM')) }, directory)
    expect(await store.putIfAbsent('a/b', [text('1')], patient)).toBe(true)
    expect(await store.putIfAbsent('a/b', [text('2')], patient)).toBe(false)
    expect(await contentOf(store)).toEqual({ 'a/b': '1' })
    expect(await systemDisk.list(`${directory}/.new`)).toEqual([])
  })

  it('shows where it is', async () => {
    expect((await openOn(await simulated())).place).toBe('file:///data/store')
    expect((await openOn(await simulated(), 'data/store/')).place).toBe('data/store')
  })
})

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: what the system says`), { code })
}

describe('a store in a directory that is opened to be read', () => {
  const toRead = (disk: Disk) => openLocalStoreToRead({ disk, random: systemRandom, directory: ROOT })

  it('is left as it is, what somebody is just writing, too', async () => {
    const disk = await simulated()
    await (await openOn(disk)).put('a/b', [text('c')], patient)
    disk.poke(`${ROOT}/.new/1`, text('half of it'))
    const calls: string[] = []
    disk.onCall = ({ kind }) => {
      calls.push(kind)
      return null
    }
    const store = await toRead(disk)
    expect(await contentOf(store)).toEqual({ 'a/b': 'c' })
    await store.close()
    expect(disk.paths).toEqual([`${ROOT}/.new/1`, `${ROOT}/a/b`])
    expect(calls.filter(kind => !['open', 'read', 'list', 'facts', 'close'].includes(kind))).toEqual([])
  })

  it('may be a copy that has only the objects', async () => {
    const disk = await simulated()
    disk.poke(`${ROOT}/a/b`, text('c'))
    expect(await contentOf(await toRead(disk))).toEqual({ 'a/b': 'c' })
  })

  it('must be there', async () => {
    await expect(toRead(await simulated())).rejects.toMatchObject({ code: 'BUCKET_MISSING' })
  })
})
