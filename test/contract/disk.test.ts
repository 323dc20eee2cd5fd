import { Prng } from '#test/support/sim/prng.ts'
import { SimDisk } from '#test/support/sim/sim-disk.ts'
import { describeDisk } from './disk.ts'

// The real disk is in test/unit/system/disk.test.ts.
describeDisk('the simulated disk', async () => {
  const disk = new SimDisk({ prng: new Prng(1) })
  await disk.makeDirectory('/data')
  return { disk, directory: '/data' }
})
