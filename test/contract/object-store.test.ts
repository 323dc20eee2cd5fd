import { openLocalStore } from '#object-store/local-store.ts'
import { systemRandom } from '#system/random.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimDisk } from '#test/support/sim/sim-disk.ts'
import { SimBucket } from '#test/support/sim/sim-object-store.ts'
import { describeObjectStore } from './object-store.ts'

// The real disk is in test/unit/object-store/local-store.test.ts, servers in test/long/stores.
describeObjectStore('the simulated object store', async () => new SimBucket({ prng: new Prng(1) }).connect())

describeObjectStore('a directory of the simulated disk', () =>
  openLocalStore({ disk: new SimDisk({ prng: new Prng(1) }), random: systemRandom, directory: '/data/store' }),
)
