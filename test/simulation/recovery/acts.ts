import { systemCodeOf } from '#base/errors.ts'
import { Violation } from '#test/simulation/history.ts'
import { generationKey } from '#tier/recovery/archive-names.ts'
import type { Host, Started } from './host.ts'
import type { Act } from './recovery-plan.ts'
import type { RecoveryWorld } from './recovery-world.ts'

// What goes wrong, and what who runs the machines does about it: one owner goes on in the end.

/** Of a start that is tried again. */
const FAULTS = ['STORE_UNAVAILABLE', 'STORE_DENIED', 'STORE_FULL']
const OWNED = ['STORE_HAS_OWNER', 'STORE_TAKEN_OVER', 'OWNER_FENCED']
const RETRY_MS = 700
const LOOK_MS = 5
/** Of clocks of machines. */
const SLACK_MS = 10_000
/** However long the store does not work, from then on it does. */
const PATIENCE_MS = 60_000
const LAST_PATIENCE_MS = 240_000

export class Acts {
  readonly #world: RecoveryWorld

  /** Those that are to take over: there may be several. */
  #candidates = new Set<Host>()

  constructor(world: RecoveryWorld) {
    this.#world = world
  }

  get #owner(): Host {
    const owner = this.#world.hosts.find(host => host.isUp)
    if (owner === undefined) throw new Violation('nobody is up')
    return owner
  }

  #other(...not: readonly Host[]): Host {
    return this.#world.prng.pick(this.#world.hosts.filter(host => !not.includes(host)))
  }

  /** The first owner of all. */
  async begin(): Promise<void> {
    await this.#bringUp([this.#world.hosts[0]!], false)
  }

  /** Nobody is up: somebody is brought up. */
  async mend(): Promise<void> {
    const { hosts } = this.#world
    for (const host of hosts) if (host.process !== null && host.isDead) this.#end(host, true)
    const last = hosts.find(host => host.chronicle !== null && host.chronicle === this.#world.newest)
    // One that has begun to take over, and is gone, left nothing but its claim.
    if (last !== undefined) await this.#bringUp([last], this.#world.bucket.has(generationKey(last.generation + 1)))
    else await this.#takeOver(hosts)
  }

  async perform(act: Act): Promise<void> {
    while (!this.#world.hosts.some(host => host.isUp)) await this.mend()
    this.#world.note(`act: ${act}`)
    this.#world.count(act)
    switch (act) {
      case 'killed':
        return this.#restart(false)
      case 'power-loss':
        return this.#restart(true)
      case 'stopped':
        return this.#stopped()
      case 'lost':
        return this.#lost()
      case 'cut-off':
        return this.#cutOff()
      case 'paused':
        return this.#paused()
      case 'old-copy':
        return this.#oldCopy()
      case 'back-in-time':
        return this.#backInTime()
      case 'quiet':
        return this.#quiet()
    }
  }

  async #quiet(): Promise<void> {
    this.#world.isQuiet = true
    await this.#world.live(this.#world.prng.between(700, 1500) * 1000)
    this.#world.isQuiet = false
  }

  // ---- the same machine

  async #restart(isPowerLoss: boolean): Promise<void> {
    const { prng } = this.#world
    const owner = this.#owner
    if (prng.chance(0.7)) {
      owner.diesIn(prng.between(1, 60))
      await this.#world.drive(() => owner.disk.isDead || owner.isDead, 2000)
    }
    this.#end(owner, isPowerLoss)
    await this.#world.live(prng.between(0, 3000))
    await this.#bringUp([owner], false)
  }

  #end(host: Host, isPowerLoss: boolean): void {
    const { plan } = this.#world
    this.#world.keepSure(host)
    if (isPowerLoss) host.powerLoss()
    else host.kill()
    if (isPowerLoss && plan.sync !== 'always') this.#world.isLossAllowed = true
    if (this.#world.isLossAllowed && plan.settings.durability === 'local') this.#world.isLossy = true
  }

  async #stopped(): Promise<void> {
    const { prng } = this.#world
    const owner = this.#owner
    await this.#stop(owner)
    await this.#world.live(prng.between(0, 2000))
    if (prng.chance(0.5)) {
      await this.#bringUp([owner], false)
      return
    }
    const other = this.#other(owner)
    await other.wipe()
    await this.#bringUp([other], false)
    await this.#demandRefusal(owner)
  }

  /** In good order. */
  async #stop(owner: Host): Promise<void> {
    let isDone = false
    void owner.stop().then(() => {
      isDone = true
    })
    // It may find out on the way that it is not the owner any more.
    const isOver = await this.#world.drive(() => isDone || owner.isDead, 600_000)
    if (!isOver) throw new Violation(`${owner.name} does not stop`)
    this.#end(owner, true)
    this.#world.isLossAllowed = false
  }

  // ---- another one

  async #lost(): Promise<void> {
    const { prng } = this.#world
    const owner = this.#owner
    if (prng.chance(0.5)) {
      owner.diesIn(prng.between(1, 60))
      await this.#world.drive(() => owner.disk.isDead || owner.isDead, 2000)
    }
    this.#end(owner, true)
    this.#world.isLossAllowed = false
    await owner.wipe()
    await this.#takeOver([owner, this.#other(owner)])
  }

  /** One, or two at once, on empty disks. */
  async #takeOver(candidates: readonly Host[]): Promise<void> {
    const { prng } = this.#world
    const some = prng.chance(0.3) ? candidates : [prng.pick(candidates)]
    for (const host of some) if (host.chronicle !== null) await host.wipe()
    await this.#bringUp(some, prng.chance(0.5))
  }

  /** Clients still reach it. */
  async #cutOff(): Promise<void> {
    const { prng, plan } = this.#world
    const owner = this.#owner
    const { link } = owner.process!
    this.#world.keepSure(owner)
    link.isSilent = prng.chance(0.5)
    link.isCut = true
    this.#world.note(`${owner.name} is cut off`)
    await this.#world.live(prng.between(0, plan.settings.takeoverAfterMs * 1.5))
    await this.#aside(owner, () => {
      link.isCut = false
    })
  }

  async #paused(): Promise<void> {
    const { prng, plan } = this.#world
    const owner = this.#owner
    const { clock } = owner.process!
    this.#world.keepSure(owner)
    clock.pause()
    this.#world.note(`${owner.name} stands still`)
    await this.#world.live(prng.between(0, plan.settings.takeoverAfterMs * 1.5))
    await this.#aside(owner, () => clock.resume())
  }

  /** The owner is out of the way, for how long nobody knows; another one may take its place. */
  async #aside(owner: Host, back: () => void): Promise<void> {
    const { prng, clock } = this.#world
    const process = owner.process
    const comeBack = (): void => {
      if (owner.process !== process || owner.isDead) return
      this.#world.note(`${owner.name} is back`)
      back()
      this.#world.cameBack(owner)
    }
    if (prng.chance(0.3)) {
      comeBack()
      await this.#world.live(prng.between(0, 4000))
      if (prng.chance(0.5) && owner.isUp) return
    } else clock.after(prng.between(0, 30_000), comeBack)
    await this.#takeOver(this.#world.hosts.filter(host => host !== owner))
    await this.#settle(owner, comeBack)
  }

  /** A machine that has come back, or was there all the time, finds out whether it owns anything. */
  async #settle(owner: Host, comeBack: () => void): Promise<void> {
    comeBack()
    // The new owner may have died meanwhile, or have left no more than a claim: the old one finds out all the same.
    const { hosts, bucket } = this.#world
    const isTaken = ({ generation }: Host): boolean => bucket.has(generationKey(generation + 1))
    const isOwner = (host: Host): boolean => host.chronicle === this.#world.newest && !isTaken(host)
    const isFound = (): boolean => hosts.every(host => host.isDead || isOwner(host))
    this.#world.faults(false)
    if (!(await this.#world.drive(isFound, 60_000))) throw new Violation('there are two owners, and neither finds out')
    this.#world.faults(true)
    if (owner.isDead) await this.#demandRefusal(owner)
  }

  /** With its old disk it is not the owner any more. */
  async #demandRefusal(host: Host): Promise<void> {
    if (host.chronicle === null || host.disk.isDead || this.#world.prng.chance(0.5)) return
    this.#world.faults(false)
    const started = await this.#world.settled(this.#begin(host, false))
    this.#world.faults(true)
    if (started === null || started.isUp || started.code !== 'STORE_TAKEN_OVER') {
      const what = started === null ? 'dies' : started.isUp ? 'starts' : `says ${started.code}`
      throw new Violation(`${host.name} ${what}, though another one has taken over`)
    }
    this.#world.count('refusedOld')
  }

  // ---- what was

  async #oldCopy(): Promise<void> {
    const { prng } = this.#world
    const owner = this.#owner
    const copy = owner.disk.copy()
    await this.#world.live(prng.between(0, 4000))
    this.#end(owner, true)
    owner.useDisk(copy)
    const { generation } = JSON.parse(this.#world.bucket.peek('owner.json').toString())
    const saved = owner.chronicle!.copy()
    this.#world.isLossAllowed = true
    if (this.#world.plan.settings.durability === 'local') this.#world.isLossy = true
    const started = await this.#world.settled(this.#try(owner, false, ['STORE_IS_AHEAD']))
    this.#world.isLossAllowed = false
    if (started.isUp) return
    this.#world.chronicles.set(generation, saved)
    await owner.wipe()
    await this.#takeOver([owner, this.#other(owner)])
  }

  async #backInTime(): Promise<void> {
    const { prng, plan } = this.#world
    const owner = this.#owner
    const beganMs = owner.process!.clock.nowMs()
    await this.#world.live(prng.between(500, 8000))
    const endedMs = owner.process!.clock.nowMs()
    const atMs = plan.settings.restoreWindowMs === 0 ? null : prng.between(beganMs, endedMs)
    await this.#stop(owner)
    await this.#world.live(prng.between(0, 15_000))
    const other = prng.pick(this.#world.hosts)
    await other.wipe()
    this.#world.faults(false)
    const note = await this.#world.settled(other.restore(atMs, true), 60_000).catch(thrown => {
      // The store was away for so long.
      const ago = this.#world.clock.nowMs() - (atMs ?? Number.POSITIVE_INFINITY)
      if (systemCodeOf(thrown) !== 'BEFORE_RESTORE_WINDOW' || ago < plan.settings.restoreWindowMs - SLACK_MS)
        throw thrown
      return null
    })
    this.#world.byHand = note && { note, atMs }
    other.kill()
    await this.#bringUp([other], false)
    this.#world.faults(true)
    if (owner !== other) await this.#demandRefusal(owner)
  }

  // ---- starting

  /** Until one of them is up. */
  async #bringUp(hosts: readonly Host[], takeOver: boolean): Promise<void> {
    const { prng, clock } = this.#world
    let isOver = false
    this.#candidates = new Set(hosts.filter(host => host.chronicle === null))
    const all = hosts.map(async (host, i) => {
      if (i > 0) await new Promise<void>(resolve => clock.after(prng.between(0, 3000), resolve))
      if (isOver) return
      if (prng.chance(0.3)) host.diesIn(prng.between(1, 60))
      // Two that insist would take it from each other for ever.
      await this.#try(host, takeOver && i === 0, [], () => isOver)
      isOver = true
    })
    await this.#world.settled(Promise.all(all))
    for (const host of hosts) host.diesIn(Number.POSITIVE_INFINITY)
    this.#world.isLossAllowed = false
    this.#world.faults(true)
  }

  /** Tries again and again, until it is up, or is told one of these. */
  async #try(
    host: Host,
    takeOver: boolean,
    answers: readonly string[],
    isOver: () => boolean = () => false,
  ): Promise<Started> {
    const { clock } = this.#world
    const beganMs = clock.monotonicMs()
    for (;;) {
      const started = await this.#begin(host, takeOver)
      const forMs = clock.monotonicMs() - beganMs
      if (forMs > PATIENCE_MS) this.#world.faults(false)
      if (started?.isUp || isOver()) return started ?? { isUp: false, code: '', message: '' }
      if (started !== null) {
        if (answers.includes(started.code)) return started
        if (started.code === 'STORE_HAS_OWNER' && this.#isOwned(host)) return started
        // It had begun to take over when another one did.
        const isPassedOver = host.doubt !== null || this.#candidates.has(host) || this.#world.wasTakenFrom(host)
        if (OWNED.includes(started.code) && isPassedOver) await host.wipeLater()
        const isEmpty = host.chronicle === null
        const isExpected = FAULTS.includes(started.code) || (isEmpty && OWNED.includes(started.code))
        if (!isExpected || forMs > LAST_PATIENCE_MS) {
          throw new Violation(`${host.name} does not start: ${started.code} ${started.message}`)
        }
      }
      await new Promise<void>(resolve => clock.after(RETRY_MS, resolve))
    }
  }

  /** Somebody else is there again. */
  #isOwned(host: Host): boolean {
    return this.#world.hosts.some(other => other !== host && other.isUp && !other.isAside)
  }

  /** Null: it has died on the way. */
  #begin(host: Host, takeOver: boolean): Promise<Started | null> {
    const { clock } = this.#world
    return new Promise((resolve, reject) => {
      let isSettled = false
      const look = (): void => {
        if (isSettled) return
        if (!host.disk.isDead) {
          clock.after(LOOK_MS, look)
          return
        }
        this.#end(host, true)
        resolve(null)
      }
      const settle = (started: Started): void => {
        isSettled = true
        resolve(started)
      }
      host.start(takeOver).then(settle, reject)
      look()
    })
  }
}
