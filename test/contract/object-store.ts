// What every ObjectStore must do, run against each of them.

import { describe, expect, it } from 'vitest'
import type { ObjectFacts, ObjectStore } from '#object-store/object-store.ts'
import { Prng } from '#test/support/sim/prng.ts'

/** `open` gives a store of its own with nothing in it. */
export function describeObjectStore(name: string, open: () => Promise<ObjectStore>): void {
  describe(`${name} keeps the contract of ObjectStore`, () => {
    describeWriting(open)
    describeReading(open)
    describeListing(open)
    describeDeleting(open)
    describeCancelling(open)
  })
}

type Open = () => Promise<ObjectStore>

/** Of nobody who cancels. */
const patient = new AbortController().signal
const text = (bytes: string) => Buffer.from(bytes)
const RACERS = 16

async function keysOf(store: ObjectStore, prefix = '', after = ''): Promise<string[]> {
  return (await factsOf(store, prefix, after)).map(({ key }) => key)
}

async function factsOf(store: ObjectStore, prefix: string, after: string): Promise<ObjectFacts[]> {
  const found: ObjectFacts[] = []
  for await (const facts of store.list(prefix, after, patient)) found.push(facts)
  return found
}

async function read(store: ObjectStore, key: string): Promise<string> {
  return (await store.getRange(key, 0, 1000, patient)).toString()
}

function describeWriting(open: Open): void {
  it('keeps the pieces of an object one behind the other', async () => {
    const store = await open()
    await store.put('a/b', [text('one '), text(''), text('two '), new Uint8Array([33])], patient)
    expect(await read(store, 'a/b')).toBe('one two !')
    expect(await store.head('a/b', patient)).toMatchObject({ key: 'a/b', sizeBytes: 9 })
  })

  it('keeps objects without a byte', async () => {
    const store = await open()
    await store.put('none', [], patient)
    await store.put('empty', [text('')], patient)
    expect(await read(store, 'none')).toBe('')
    expect(await store.head('empty', patient)).toMatchObject({ sizeBytes: 0 })
    expect(await keysOf(store)).toEqual(['empty', 'none'])
  })

  it('has the new object in place of the old one as soon as it is written', async () => {
    const store = await open()
    for (const content of ['first', 'second one', '3']) {
      await store.put('a', [text(content)], patient)
      expect(await read(store, 'a')).toBe(content)
      expect(await store.head('a', patient)).toMatchObject({ sizeBytes: content.length })
      expect(await factsOf(store, '', '')).toMatchObject([{ key: 'a', sizeBytes: content.length }])
    }
  })

  it('keeps an object of many mebibytes to the byte', async () => {
    const store = await open()
    const bytes = randomBytes(9 * 2 ** 20 + 7)
    await store.put('large', [bytes.subarray(0, 5), bytes.subarray(5, 7_000_000), bytes.subarray(7_000_000)], patient)
    const found = await store.getRange('large', 0, bytes.length + 1, patient)
    expect(found.equals(bytes)).toBe(true)
    const middle = await store.getRange('large', 8_000_001, 100_000, patient)
    expect(middle.equals(bytes.subarray(8_000_001, 8_100_001))).toBe(true)
  })

  it('creates an object only where there is none, however large', async () => {
    const store = await open()
    const bytes = randomBytes(9 * 2 ** 20)
    expect(await store.putIfAbsent('a', [text('first')], patient)).toBe(true)
    expect(await store.putIfAbsent('a', [text('second')], patient)).toBe(false)
    expect(await store.putIfAbsent('a', [bytes], patient)).toBe(false)
    expect(await read(store, 'a')).toBe('first')
    expect(await store.putIfAbsent('b', [bytes], patient)).toBe(true)
    await store.delete('a', patient)
    expect(await store.putIfAbsent('a', [text('third')], patient)).toBe(true)
    expect(await read(store, 'a')).toBe('third')
  })

  it('lets exactly one of many create an object', async () => {
    const store = await open()
    for (let race = 0; race < 4; race++) {
      const contents = Array.from({ length: RACERS }, (_, i) => `race ${race} racer ${i}`)
      const won = await Promise.all(contents.map(each => store.putIfAbsent(`race/${race}`, [text(each)], patient)))
      expect(won.filter(Boolean)).toHaveLength(1)
      expect(await read(store, `race/${race}`)).toBe(contents[won.indexOf(true)])
    }
  })

  it('keeps one of several objects that are written to one key at once, whole', async () => {
    const store = await open()
    const contents = Array.from({ length: RACERS }, (_, i) => String.fromCharCode(97 + i).repeat(500 + i))
    await Promise.all(contents.map(each => store.put('a', [text(each)], patient)))
    expect(contents).toContain(await read(store, 'a'))
    expect(await keysOf(store)).toEqual(['a'])
  })

  it('knows when an object was written', async () => {
    const store = await open()
    await store.put('a', [text('1')], patient)
    const { modifiedMs } = (await store.head('a', patient))!
    expect(modifiedMs % 1).toBe(0)
    expect((await factsOf(store, '', '')).map(facts => facts.modifiedMs)).toEqual([modifiedMs])
  })

  it('takes every character and every length that a key may have', async () => {
    const store = await open()
    const characters = 'ABCXYZabcxyz0189._=-'
    const long = Array.from({ length: 6 }, (_, i) => String(i).repeat(149)).join('/')
    const keys = [characters, `..x/...`, `=/-/_`, `${long}a`].sort()
    for (const key of keys) await store.put(key, [text(key)], patient)
    expect(await keysOf(store)).toEqual(keys)
    for (const key of keys) expect(await read(store, key)).toBe(key)
    for (const key of keys) await store.delete(key, patient)
    expect(await keysOf(store)).toEqual([])
  })

  it.each(['', '/a', 'a/', 'a//b', '.', '../a', 'a/./b', 'a/../../b', 'a b', 'a\\b', 'ä', `${'x/'.repeat(450)}y`])(
    'takes a key for a mistake of ours that is none: %j',
    async key => {
      const store = await open()
      await expect(store.put(key, [text('1')], patient)).rejects.toThrow('a key of an object')
      await expect(store.putIfAbsent(key, [text('1')], patient)).rejects.toThrow('a key of an object')
      await expect(store.getRange(key, 0, 1, patient)).rejects.toThrow('a key of an object')
      await expect(store.head(key, patient)).rejects.toThrow('a key of an object')
      await expect(store.delete(key, patient)).rejects.toThrow('a key of an object')
    },
  )
}

function describeReading(open: Open): void {
  it('reads any range, less at the end of an object, and nothing behind it', async () => {
    const store = await open()
    await store.put('a', [text('0123456789')], patient)
    const range = async (from: number, length: number) => (await store.getRange('a', from, length, patient)).toString()
    expect(await range(0, 10)).toBe('0123456789')
    expect(await range(3, 4)).toBe('3456')
    expect(await range(9, 1)).toBe('9')
    expect(await range(7, 100)).toBe('789')
    expect(await range(10, 1)).toBe('')
    expect(await range(1000, 10)).toBe('')
  })

  it('says of a missing object that it is missing', async () => {
    const store = await open()
    await store.put('a/b', [text('1')], patient)
    for (const key of ['none', 'a/none', 'none/none', 'a']) {
      const failure = await store.getRange(key, 0, 1, patient).catch((error: unknown) => error)
      expect(failure).toMatchObject({ code: 'OBJECT_MISSING', kind: 'invalid' })
      expect((failure as Error).message).toContain(key)
      expect((failure as Error).message).toContain(store.place)
      expect(await store.head(key, patient)).toBeNull()
    }
  })

  it('answers many at once, each with its own', async () => {
    const store = await open()
    const keys = Array.from({ length: 100 }, (_, i) => `many/${i}`)
    await Promise.all(keys.map(key => store.put(key, [text(`content of ${key}`)], patient)))
    const found = await Promise.all([...keys, ...keys].map(key => read(store, key)))
    expect(found).toEqual([...keys, ...keys].map(key => `content of ${key}`))
  })
}

function describeListing(open: Open): void {
  it('lists the keys that begin with a prefix, in the order of their bytes', async () => {
    const store = await open()
    const keys = ['a-b/x', 'a.b', 'a/b/c', 'a/b-c', 'a/bb', 'a0', 'aA', 'a_', 'b', 'B', 'a/b.c/d', 'a=/x']
    for (const key of keys) await store.put(key, [text(key)], patient)
    expect(await keysOf(store)).toEqual(keys.toSorted())
    for (const prefix of ['a', 'a/', 'a/b', 'a/b/', 'a/b/c', 'a/b.', 'c', 'none/', 'a/b/c/d']) {
      expect(await keysOf(store, prefix)).toEqual(keys.filter(key => key.startsWith(prefix)).toSorted())
    }
    const sizes = (await factsOf(store, '', '')).map(({ key, sizeBytes }) => [key, sizeBytes])
    expect(sizes).toEqual(keys.toSorted().map(key => [key, key.length]))
  })

  it('lists what comes behind a key, whether there is such an object or not', async () => {
    const store = await open()
    const keys = ['a/1', 'a/2/x', 'a/2/y', 'a/3', 'b/1', 'c']
    for (const key of keys) await store.put(key, [text('1')], patient)
    for (const after of ['', 'a/1', 'a/2', 'a/2/x', 'a/2/xx', 'a/2/z', 'a/3', 'a/9', 'b', 'b/2', 'c', 'd', 'A']) {
      expect(await keysOf(store, '', after)).toEqual(keys.filter(key => key > after))
      expect(await keysOf(store, 'a/', after)).toEqual(keys.filter(key => key > after && key.startsWith('a/')))
    }
  })

  it('lists more than fits into one answer, and less if nobody wants more', async () => {
    const store = await open()
    const keys = Array.from({ length: 1205 }, (_, i) => `many/${i % 7}/${i}`)
    for (let from = 0; from < keys.length; from += 50) {
      await Promise.all(keys.slice(from, from + 50).map(key => store.put(key, [text('1')], patient)))
    }
    const sorted = keys.toSorted()
    expect(await keysOf(store, 'many/')).toEqual(sorted)
    expect(await keysOf(store, 'many/', sorted[1100])).toEqual(sorted.slice(1101))
    const first: string[] = []
    for await (const { key } of store.list('', '', patient)) {
      first.push(key)
      if (first.length === 3) break
    }
    expect(first).toEqual(sorted.slice(0, 3))
  })

  it('can be emptied while it is listed', async () => {
    const store = await open()
    const keys = Array.from({ length: 40 }, (_, i) => `d/${Math.floor(i / 10)}/${i}`)
    for (const key of keys) await store.put(key, [text('1')], patient)
    const seen: string[] = []
    for await (const { key } of store.list('d/', '', patient)) {
      seen.push(key)
      await store.delete(key, patient)
    }
    expect(seen).toEqual(keys.toSorted())
    expect(await keysOf(store)).toEqual([])
  })
}

function describeDeleting(open: Open): void {
  it('deletes an object, if it is there', async () => {
    const store = await open()
    await store.put('a/b/c', [text('1')], patient)
    await store.put('a/b/d', [text('2')], patient)
    await store.delete('a/b/c', patient)
    await store.delete('a/b/c', patient)
    await store.delete('none/none', patient)
    expect(await store.head('a/b/c', patient)).toBeNull()
    await expect(read(store, 'a/b/c')).rejects.toMatchObject({ code: 'OBJECT_MISSING' })
    expect(await keysOf(store)).toEqual(['a/b/d'])
    expect(await read(store, 'a/b/d')).toBe('2')
  })

  it('deletes no object that is the beginning of the names of others', async () => {
    const store = await open()
    await store.put('a/b/c', [text('1')], patient)
    await store.delete('a/b', patient)
    await store.delete('a', patient)
    expect(await keysOf(store)).toEqual(['a/b/c'])
  })

  it('gives a key to something else after a removal', async () => {
    const store = await open()
    await store.put('a/b', [text('1')], patient)
    await store.delete('a/b', patient)
    await store.put('a', [text('2')], patient)
    expect(await keysOf(store)).toEqual(['a'])
    await store.delete('a', patient)
    await store.put('a/b', [text('3')], patient)
    expect(await read(store, 'a/b')).toBe('3')
  })

  it('keeps what is written while its neighbours are removed', async () => {
    const store = await open()
    for (let round = 0; round < 10; round++) {
      await store.put(`x/y/${round}/old`, [text('old')], patient)
      const keys = Array.from({ length: 8 }, (_, i) => `x/y/${round}/${i}`)
      const writes = keys.map((key, i) =>
        i % 2 === 0 ? store.put(key, [text(key)], patient) : store.putIfAbsent(key, [text(key)], patient),
      )
      await Promise.all([store.delete(`x/y/${round}/old`, patient), ...writes])
      for (const key of keys) expect(await read(store, key)).toBe(key)
      await Promise.all(keys.map(key => store.delete(key, patient)))
    }
    expect(await keysOf(store)).toEqual([])
  })
}

function describeCancelling(open: Open): void {
  it('does nothing for a call that was cancelled before it began, and says why', async () => {
    const store = await open()
    await store.put('a', [text('1')], patient)
    const reason = new Error('nobody waits any more')
    const { signal } = cancelled(reason)
    const list = async () => {
      for await (const { key } of store.list('', '', signal)) throw new Error(`listed ${key}`)
    }
    await expect(store.put('a', [text('2')], signal)).rejects.toBe(reason)
    await expect(store.putIfAbsent('b', [text('2')], signal)).rejects.toBe(reason)
    await expect(store.getRange('a', 0, 1, signal)).rejects.toBe(reason)
    await expect(store.head('a', signal)).rejects.toBe(reason)
    await expect(store.delete('a', signal)).rejects.toBe(reason)
    await expect(list()).rejects.toBe(reason)
    expect(await keysOf(store)).toEqual(['a'])
    expect(await read(store, 'a')).toBe('1')
  })

  it('ends a list that is cancelled in its middle', async () => {
    const store = await open()
    for (const key of ['a', 'b', 'c']) await store.put(key, [text('1')], patient)
    const controller = new AbortController()
    const reason = new Error('enough')
    const list = async () => {
      for await (const _ of store.list('', '', controller.signal)) controller.abort(reason)
    }
    await expect(list()).rejects.toBe(reason)
  })

  it('goes on as before when calls were cancelled at any time', async () => {
    const store = await open()
    const bytes = randomBytes(2 ** 20)
    await store.put('large', [bytes], patient)
    const reason = new Error('nobody waits any more')
    for (let turns = 0; turns < 6; turns++) {
      const controller = new AbortController()
      const calls = [
        store.put(`x/${turns}`, [bytes], controller.signal),
        store.getRange('large', 0, bytes.length, controller.signal),
        store.head('large', controller.signal),
      ]
      for (let turn = 0; turn < turns; turn++) await new Promise(resolve => setImmediate(resolve))
      controller.abort(reason)
      for (const call of await Promise.allSettled(calls)) {
        if (call.status === 'rejected') expect(call.reason).toBe(reason)
      }
    }
    expect((await store.getRange('large', 0, bytes.length, patient)).equals(bytes)).toBe(true)
    for await (const { sizeBytes } of store.list('x/', '', patient)) expect(sizeBytes).toBe(bytes.length)
  })
}

function cancelled(reason: Error): AbortController {
  const controller = new AbortController()
  controller.abort(reason)
  return controller
}

function randomBytes(sizeBytes: number): Buffer {
  const prng = new Prng(sizeBytes)
  const words = new Uint32Array(Math.ceil(sizeBytes / 4))
  for (let i = 0; i < words.length; i++) words[i] = prng.u32()
  return Buffer.from(words.buffer, 0, sizeBytes)
}
