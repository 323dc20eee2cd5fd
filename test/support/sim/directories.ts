import type { Inode } from './inode.ts'
import type { Prng } from './prng.ts'

// The names of a simulated disk: as the processes see them, as they surely are on the disk, and the changes in between.

type Entry = Inode | 'directory'

type Change =
  | { readonly kind: 'set'; readonly path: string; readonly entry: Entry }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string; readonly entry: Inode }

type Pending = Change & { readonly number: number }

export class Directories {
  #seen = new Map<string, Entry>([['', 'directory']])
  #durable = new Map<string, Entry>([['', 'directory']])
  #pending: Pending[] = []
  #changes = 0

  /** How many changes there were: what a sync that begins now is for. */
  get now(): number {
    return this.#changes
  }

  find(path: string): Inode | undefined {
    const entry = this.#seen.get(path)
    return entry === 'directory' ? undefined : entry
  }

  hasParent(path: string): boolean {
    return this.#seen.get(parentOf(path)) === 'directory'
  }

  list(directory: string): string[] {
    const within = [...this.#seen.keys()].filter(path => path !== '' && parentOf(path) === directory)
    return within.map(path => path.slice(directory.length + 1)).sort()
  }

  filePaths(): string[] {
    return [...this.#seen.keys()].filter(path => this.find(path) !== undefined).sort()
  }

  *inodes(): Generator<Inode> {
    for (const entry of this.#seen.values()) if (entry !== 'directory') yield entry
  }

  make(path: string): void {
    if (this.#seen.get(path) === 'directory') return
    this.make(parentOf(path))
    this.#change({ kind: 'set', path, entry: 'directory' })
  }

  create(path: string, inode: Inode): void {
    this.#change({ kind: 'set', path, entry: inode })
  }

  remove(path: string): void {
    this.#change({ kind: 'remove', path })
  }

  isDirectory(path: string): boolean {
    return this.#seen.get(path) === 'directory'
  }

  rename(path: string, to: string): void {
    const entry = this.find(path)!
    if (parentOf(path) === parentOf(to)) {
      this.#change({ kind: 'rename', path, to, entry })
      return
    }
    // Each directory is synced by itself: a power loss may leave both names, or none.
    this.#change({ kind: 'set', path: to, entry })
    this.#change({ kind: 'remove', path })
  }

  link(path: string, name: string): void {
    this.#change({ kind: 'set', path: name, entry: this.find(path)! })
  }

  /** Makes a file be there, durably. */
  place(path: string, entry: Inode): void {
    this.make(parentOf(path))
    this.#change({ kind: 'set', path, entry })
    for (let above = path; above !== ''; ) {
      above = parentOf(above)
      this.sync(above, this.#changes)
    }
  }

  /** The changes of a directory before `until` are durable. */
  sync(directory: string, until: number): void {
    const rest: Pending[] = []
    for (const change of this.#pending) {
      if (change.number < until && parentOf(change.path) === directory) applyTo(this.#durable, change)
      else rest.push(change)
    }
    this.#pending = rest
  }

  copy(): Directories {
    return this.#withEntries(this.#seen, inode => inode.copy())
  }

  afterKill(prng: Prng): Directories {
    for (const inode of this.inodes()) inode.afterKill(prng)
    const found = new Directories()
    found.#seen = this.#seen
    found.#durable = this.#durable
    found.#pending = this.#pending
    found.#changes = this.#changes
    return found
  }

  afterPowerLoss(prng: Prng): Directories {
    const names = new Map(this.#durable)
    // A journal keeps their order; without one any of them may be there.
    const inOrder = prng.chance(0.5)
    const kept = prng.between(0, this.#pending.length)
    for (const [i, change] of this.#pending.entries()) {
      if (inOrder ? i < kept : prng.chance(0.5)) applyTo(names, change)
    }
    for (const path of names.keys()) if (!isReachable(names, path)) names.delete(path)
    return this.#withEntries(names, inode => inode.afterPowerLoss(prng))
  }

  #withEntries(names: Map<string, Entry>, make: (inode: Inode) => Inode): Directories {
    const made = new Map<Inode, Inode>()
    const copy = new Directories()
    for (const [path, entry] of names) {
      if (entry === 'directory') {
        copy.#seen.set(path, entry)
        continue
      }
      const known = made.get(entry) ?? make(entry)
      made.set(entry, known)
      copy.#seen.set(path, known)
    }
    copy.#durable = new Map(copy.#seen)
    return copy
  }

  #change(change: Change): void {
    applyTo(this.#seen, change)
    this.#pending.push({ ...change, number: this.#changes++ })
  }
}

function applyTo(names: Map<string, Entry>, change: Change): void {
  switch (change.kind) {
    case 'set':
      names.set(change.path, change.entry)
      return
    case 'remove':
      names.delete(change.path)
      return
    case 'rename':
      // If the file never got its first name, its second one is lost as well.
      if (names.get(change.path) !== change.entry) return
      names.delete(change.path)
      names.set(change.to, change.entry)
  }
}

function isReachable(names: Map<string, Entry>, path: string): boolean {
  for (let at = path; at !== ''; at = parentOf(at)) if (names.get(parentOf(at)) !== 'directory') return false
  return true
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}
