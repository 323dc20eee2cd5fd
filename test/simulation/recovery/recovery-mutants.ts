import { type Mutant, one } from '#test/simulation/mutants.ts'

// Bugs of owners, archives and restores, each as a change of the source. The simulation must find every one.

const RECOVERY = 'src/tier/recovery/'

export const RECOVERY_MUTANTS: readonly Mutant[] = [
  one(
    'an old owner goes on acknowledging',
    60,
    `${RECOVERY}recovery.ts`,
    'if (this.#lease?.isHeld !== true) return false\n',
    '',
  ),
  one(
    'an owner holds its lease for longer than it has promised',
    60,
    `${RECOVERY}owner-lease.ts`,
    'const heldUntil = { monotonicMs: clock.monotonicMs() + this.#promisedMs, wallMs: clock.nowMs() + this.#promisedMs }',
    'const heldUntil = { monotonicMs: clock.monotonicMs() + 3 * this.#promisedMs, wallMs: clock.nowMs() + 3 * this.#promisedMs }',
  ),
  one(
    'an owner does not look for a newer one',
    60,
    `${RECOVERY}owner-lease.ts`,
    'if ((await store.head(key, signal)) === null) return\n',
    'if (key !== null) return\n',
  ),
  one(
    'who takes over does not wait until the owner is silent',
    60,
    `${RECOVERY}take-over.ts`,
    'await awaitSilence(options, newest)\n',
    '',
  ),
  one(
    'an old disk goes on though another one has taken over',
    60,
    `${RECOVERY}start-decision.ts`,
    'const isSame = newest.generation === log.generation && newest.ownerId === log.ownerId\n',
    'const isSame = newest.generation >= log.generation\n',
  ),
  one(
    'answers that wait for the store go before it has everything',
    60,
    `${RECOVERY}recovery.ts`,
    'return endPosition <= this.archivedPosition\n',
    'return endPosition >= 0\n',
  ),
  one(
    'records are read that are not answered',
    60,
    'src/log/read-bounds.ts',
    'return bound === undefined ? nextOffset : Math.max(bound.highWatermark, logStart)\n',
    'return bound === undefined || bound.highWatermark > 0 ? nextOffset : logStart\n',
  ),
  one(
    'a transaction is read though its end is not answered',
    60,
    'src/log/read-bounds.ts',
    'return bound === undefined ? lastStableOffset : Math.max(bound.lastStableOffset, logStart)\n',
    'return bound === undefined || bound.lastStableOffset >= 0 ? lastStableOffset : logStart\n',
  ),
  one(
    'a piece of the log is in the store before the records that it speaks of',
    100,
    `${RECOVERY}archive.ts`,
    'await tail.upload(to, isLast, signal)\n',
    '',
  ),
  one(
    'a copy of records goes before they are in segments',
    60,
    `${RECOVERY}record-tail.ts`,
    'if (settledAt === null || !isArchived(settledAt.position)) return false\n',
    'if (settledAt === null) return true\n',
  ),
  one(
    'a copy of records goes before the store knows that they are in segments',
    150,
    `${RECOVERY}record-tail.ts`,
    'if (settledAt === null || !isArchived(settledAt.position)) return false\n',
    'if (settledAt === null) return false\n',
  ),
  one(
    'what is in the store may be lost on the disk',
    150,
    `${RECOVERY}archive.ts`,
    'await log.commits.sync()\n    await this.#do(',
    'await this.#do(',
  ),
  one(
    'what producers have written is restored as it was some time before',
    100,
    `${RECOVERY}mend-state.ts`,
    'const kept = producer.batches.filter(({ baseOffset }) => baseOffset < end)\n',
    'const kept = producer.batches\n',
  ),
  one(
    'open transactions stay open in a log that has lost its end',
    60,
    `${RECOVERY}mend-state.ts`,
    'for (const transaction of open) abort(',
    'for (const transaction of open.slice(1)) abort(',
  ),
  {
    name: 'a transactional producer goes on though its last transactions are lost',
    seeds: 200,
    changes: [
      {
        file: `${RECOVERY}mend-state.ts`,
        from: 'producerId: state.nextProducerId++, epoch: 0, isNamed: true }',
        to: 'producerId, epoch: epoch + 1, isNamed: true }',
      },
      {
        file: `${RECOVERY}mend-state.ts`,
        from: 'nextProducerId: state.nextProducerId++, nextEpoch: 0 }',
        to: 'nextProducerId: producerId, nextEpoch: epoch + 1 }',
      },
    ],
  },
  one(
    'checkpoints that begin a chain are thinned out',
    100,
    `${RECOVERY}pruning.ts`,
    'if (isFirst || checkpoint.beginsChain) kept',
    'if (isFirst) kept',
  ),
  one(
    'pieces of the log go though the window needs them',
    100,
    `${RECOVERY}pruning.ts`,
    'Math.min(position, from.get(generation) ?? position)',
    'Math.max(position, from.get(generation) ?? position)',
  ),
].map(mutant => ({ ...mutant, of: 'recovery' as const }))
