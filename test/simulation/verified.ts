import { SimDisk } from '#test/support/sim/sim-disk.ts'
import { MemoryObjects, StoredSystem } from '#test/support/verify-lab.ts'
import { Violation } from './history.ts'
import type { World } from './world.ts'

/** However a life ended, nothing that it left is damaged, as `chronik verify` sees it. Takes no time, and nothing is left to chance. */
export async function verified(world: World): Promise<void> {
  const disk = new SimDisk()
  for (const path of world.disk.paths) disk.poke(path, world.disk.peek(path))
  const store = new MemoryObjects(world.tiers?.objectsOn(disk) ?? [])
  const { damage } = await new StoredSystem(disk, store).verify({ isOwned: false })
  if (damage.length > 0) throw new Violation(`what was left is damaged: ${damage.join('\n  ')}`)
}
