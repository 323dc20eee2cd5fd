// Bugs that a log of this kind is known to have had, each as a change of the source. The simulation must find every one.

export interface Mutant {
  readonly name: string
  readonly changes: readonly { file: string; from: string; to: string }[]
  /** It is found within so many seeds. */
  readonly seeds: number
  /** What simulates: the log alone, or with segments, or the broker with groups and transactions, or the cache of the store, or
   * machines that share it. */
  readonly of?: 'log' | 'tiers' | 'coordination' | 'cache' | 'recovery'
}

export const one = (name: string, seeds: number, file: string, from: string, to: string): Mutant => ({
  name,
  seeds,
  changes: [{ file, from, to }],
})

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'answers come before the sync',
    seeds: 20,
    changes: [
      {
        file: 'src/commit/commit.ts',
        from: "if (this.#options.sync === 'always') disk.syncSync()",
        to: 'void disk.sync().catch(() => {})',
      },
      {
        file: 'src/commit/commit.ts',
        from: "if (this.#options.sync === 'always') await disk.sync()",
        to: 'void disk.sync().catch(() => {})',
      },
    ],
  },
  {
    name: 'batches have offsets and can be seen before they are written',
    seeds: 20,
    changes: [
      {
        file: 'src/commit/commit.ts',
        from: 'this.#flushing = groups',
        to: 'this.#flushing = groups\n    for (const group of groups) this.#owner.committed(group)',
      },
      { file: 'src/commit/commit.ts', from: '      this.#owner.committed(group)\n    }', to: '    }' },
    ],
  },
  {
    name: 'an error of a sync is ignored',
    seeds: 200,
    changes: [
      {
        file: 'src/commit/commit.ts',
        from: "if (this.#options.sync === 'always') disk.syncSync()",
        to: "try { if (this.#options.sync === 'always') disk.syncSync() } catch {}",
      },
      {
        file: 'src/commit/commit.ts',
        from: "if (this.#options.sync === 'always') await disk.sync()",
        to: "if (this.#options.sync === 'always') await disk.sync().catch(() => {})",
      },
    ],
  },
  one(
    'a damaged group in the middle is skipped',
    100,
    'src/commit/wal-recovery.ts',
    'if (!options.isIntact(group)) return syncedPosition',
    'if (!options.isIntact(group)) {\nend.position = position + groupBytes(header)\nend.previousChecksum = header.checksum\ncontinue\n}',
  ),
  one(
    'the state of producers is not restored',
    20,
    'src/core/checkpoint.ts',
    'const producers = producerCount > 0 ? readProducers(from, producerCount) : null',
    'if (producerCount > 0) readProducers(from, producerCount)\n  const producers = null',
  ),
  one(
    'a file of the log goes though records in it are kept',
    50,
    'src/log/maintenance.ts',
    'commits.files.all.filter(file => !state.extentsOfFile.has(file.position))',
    'commits.files.all',
  ),
  one(
    'a file of the log goes though no checkpoint is behind it',
    50,
    'src/log/maintenance.ts',
    'sealed.filter(({ endPosition }) => endPosition <= this.#trimPosition)',
    'sealed',
  ),
  one(
    'a torn tail is not cut',
    50,
    'src/commit/wal-recovery.ts',
    '  await cutLog(options.disk, options.directory, log)\n',
    '',
  ),
  one(
    'batches are not checked when they are read back',
    1000,
    'src/log/log.ts',
    'isIntact: payloadIsIntact',
    'isIntact: () => true',
  ),
  one(
    'a log that lost its older files begins again with file 1',
    1000,
    'src/commit/wal-files.ts',
    'this.#active === null ? this.#firstSequence :',
    'this.#active === null ? (this.#files.at(-1)?.sequence ?? 0) + 1 :',
  ),
  one(
    'the name of a new file is not synced',
    20,
    'src/commit/wal-files.ts',
    "    await this.#disk.syncDirectory(this.directory)\n    return this.#disk.open(path, 'write')",
    "    return this.#disk.open(path, 'write')",
  ),
  one(
    'a checkpoint is not synced before it gets its name',
    100,
    'src/commit/checkpoint-files.ts',
    '    await file.sync()\n',
    '',
  ),
  one(
    'what follows a refused group is chained to it',
    100,
    'src/commit/commit.ts',
    '    this.#previousChecksum = chain\n',
    '',
  ),
  one(
    'an interval syncs the file that is begun, not the one that was written',
    500,
    'src/commit/commit.ts',
    'await (await this.#writtenFile.disk).sync()',
    'await (await this.files.active.disk).sync()',
  ),
  one(
    'with an interval a file is begun before the one before it is synced',
    200,
    'src/commit/commit.ts',
    "return group.startsFile && this.#options.sync !== 'always'",
    'return false',
  ),
  one(
    'with an interval a file goes before the record that freed it is synced',
    1000,
    'src/log/maintenance.ts',
    '    await commits.sync()\n',
    '',
  ),
  one(
    'what was read back after a failed sync is not written again',
    2000,
    'src/commit/wal-recovery.ts',
    '      await rewrite(file,',
    '      void (file,',
  ),
  one(
    'memory that somebody sends from is used again',
    500,
    'src/commit/wal-image.ts',
    'if (oldest.pins > 0) this.#strays',
    'if (oldest.pins > 99) this.#strays',
  ),
  one(
    'the index forgets the last batch of a file',
    50,
    'src/log/index-file.ts',
    'tail.indexOfPosition(file.endPosition - 1) + 1',
    'tail.indexOfPosition(file.endPosition - 1)',
  ),
  one(
    'a retry gets a new offset',
    20,
    'src/core/producers.ts',
    "      return { kind: 'duplicate', batch }",
    '      return ACCEPT',
  ),
  one(
    'an append wakes nobody',
    20,
    'src/log/waiters.ts',
    'if (waiting !== undefined) for (const waiter of waiting) this.#woken.add(waiter)',
    '',
  ),
]
