// What a store on a real server must do besides the contract: be found good by the probe, and say what is wrong with it.

import { describe, expect, it, onTestFinished } from 'vitest'
import { type ObjectStore, probeStore } from '#object-store/object-store.ts'
import { systemClock } from '#system/clock.ts'
import { systemRandom } from '#system/random.ts'

export interface RealStore {
  /** Of its own. */
  open(): ObjectStore
  openWithoutBucket(): ObjectStore
  /** With credentials that are not valid; null if the server does not ask for any. */
  openDenied: (() => ObjectStore) | null
}

const patient = new AbortController().signal
const text = (bytes: string) => Buffer.from(bytes)

export function describeRealStore(name: string, real: RealStore): void {
  const opened = (open: () => ObjectStore): ObjectStore => {
    const store = open()
    onTestFinished(() => store.close())
    return store
  }

  describe(name, () => {
    it('is found good by the probe, which leaves nothing behind', async () => {
      const store = opened(real.open)
      const probed = await probeStore(store, { clock: systemClock, random: systemRandom }, patient)
      expect(probed.honestCreate).toBe(true)
      expect(Math.abs(probed.clockSkewMs)).toBeLessThan(5000)
      for await (const { key } of store.list('', '', patient)) throw new Error(`${key} is left`)
    })

    it('says that there is no such bucket, whatever it is asked for', async () => {
      await expectEverywhere(opened(real.openWithoutBucket), { code: 'BUCKET_MISSING', kind: 'invalid' })
    })

    it.skipIf(real.openDenied === null)(
      'says that the credentials are not valid, whatever it is asked for',
      async () => {
        await expectEverywhere(opened(real.openDenied!), { code: 'STORE_DENIED', kind: 'invalid' })
      },
    )
  })
}

async function expectEverywhere(store: ObjectStore, failure: object): Promise<void> {
  await expect(store.put('a', [text('1')], patient)).rejects.toMatchObject(failure)
  await expect(store.putIfAbsent('a', [text('1')], patient)).rejects.toMatchObject(failure)
  await expect(store.getRange('a', 0, 1, patient)).rejects.toMatchObject(failure)
  await expect(store.head('a', patient)).rejects.toMatchObject(failure)
  await expect(store.delete('a', patient)).rejects.toMatchObject(failure)
  await expect(store.list('', '', patient)[Symbol.asyncIterator]().next()).rejects.toMatchObject(failure)
  const probed = probeStore(store, { clock: systemClock, random: systemRandom }, patient)
  await expect(probed).rejects.toMatchObject({ ...failure, message: expect.stringMatching(/^cannot write to .*$/) })
}
