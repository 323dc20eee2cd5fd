import { type Mutant, one } from './mutants.ts'

// Bugs that a log with segments is known to have had, each as a change of the source. The simulation must find every one.

const RELEASE = `for (const { ordinal, segment } of parts) {
      const extents = log.state.partitions[ordinal]?.extents
      for (let i = 0; i < (extents?.length ?? 0) && extents!.at(i).nextOffset <= segment.nextOffset; i++) {
        log.state.releaseFile(extents!.fileAt(i))
      }
    }
    log.maintenance.freed()
    `
const PUT = 'await store.put(storedSegment(partitions[0]!, parts[0]!.segment).key, sealed.pieces, signal)\n'
const PROPOSE = "const outcome = await log.propose({ kind: 'segments-committed', parts })\n"

export const TIER_MUTANTS: readonly Mutant[] = [
  ofTiers(
    one(
      'files go before it is committed that they are sealed',
      50,
      'src/tier/seal-segment.ts',
      PROPOSE,
      RELEASE + PROPOSE,
    ),
  ),
  ofTiers({
    name: 'a segment is committed before its object is in the store',
    seeds: 20,
    changes: [
      { file: 'src/tier/seal-segment.ts', from: PUT, to: '' },
      { file: 'src/tier/seal-segment.ts', from: PROPOSE, to: `${PROPOSE}    ${PUT}` },
    ],
  }),
  ofTiers({
    name: 'records are sealed twice',
    seeds: 20,
    changes: [
      {
        file: 'src/tier/sealer.ts',
        from: 'isBusy: partition => this.#busy.has(partition)',
        to: 'isBusy: partition => false && this.#busy.has(partition)',
      },
      { file: 'src/core/apply-segments.ts', from: 'baseOffset === partition.walStart &&', to: '' },
      { file: 'src/core/apply-segments.ts', from: 'partition.segments.add(', to: 'partition.segments.addApart(' },
      {
        file: 'src/core/extents.ts',
        from: 'if (leftBytes === 0) return\n    const row',
        to: 'if (leftBytes <= 0 || this.length === 0) return\n    const row',
      },
      {
        file: 'src/core/extents.ts',
        from: "assert(this.length > 0 && leftBytes > 0 && this.values[row + SIZE]! > 0, 'a segment has the bytes of its extents')",
        to: '',
      },
    ],
  }),
  ofTiers(
    one(
      'what is left of an extent that is sealed in part begins where it began',
      20,
      'src/core/extents.ts',
      'this.values[row + BASE] = offset\n',
      '',
    ),
  ),
  ofTiers(
    one(
      'an extent that is sealed in part goes as a whole',
      20,
      'src/core/extents.ts',
      'if (leftBytes === 0) return\n    const row',
      'if (leftBytes > 0 && this.length > 0) {\n      dropped(this.fileAt(0))\n      this.dropFirst()\n    }\n    if (leftBytes !== Number.NaN) return\n    const row',
    ),
  ),
  ofTiers(
    one(
      'at the border the segment before it is read',
      20,
      'src/log/read-log.ts',
      'offset < partition.walStart ? segments.indexOf(offset)',
      'offset <= partition.walStart ? segments.indexOf(offset)',
    ),
  ),
  ofTiers(
    one(
      'a read of files that are sealed meanwhile gives up',
      300,
      'src/log/read-log.ts',
      'if (now.isThere && now.segment?.key !== segment?.key) continue\n',
      '',
    ),
  ),
  ofTiers(
    one(
      'a late follower misses what is sealed',
      20,
      'src/log/follow.ts',
      '      yield gapBefore(log.state, position)\n',
      '',
    ),
  ),
  ofTiers(
    one(
      'an object goes though others have segments in it',
      50,
      'src/core/garbage.ts',
      'return left === 0',
      'return true',
    ),
  ),
  ofTiers(
    one(
      'segments are not in checkpoints',
      20,
      'src/core/checkpoint.ts',
      'writeNumbers(into, partition.segments.rows())',
      'writeNumbers(into, NO_NUMBERS)',
    ),
  ),
  ofTiers(
    one(
      'blocks of segments are not checked',
      400,
      'src/log/segment-reader.ts',
      'if (index.blockIsIntact(block, bytes, at)) continue',
      'if (index.blockIsIntact(block, bytes, at) || block >= 0) continue',
    ),
  ),
]

function ofTiers(mutant: Mutant): Mutant {
  return { ...mutant, of: 'tiers' }
}
