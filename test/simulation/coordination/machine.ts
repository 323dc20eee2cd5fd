import { settingsFrom } from '#config/load-settings.ts'
import type { Broker } from '#kafka/broker.ts'
import { KafkaConnection } from '#kafka/connection.ts'
import { Dispatch } from '#kafka/dispatch.ts'
import { handlers } from '#kafka/handlers/handlers.ts'
import { ConnectionHub, createBroker } from '#kafka/kafka.ts'
import { apis } from '#kafka/protocol/protocol.ts'
import { type Log, type LogOptions, openLog, TopicRules, WITHOUT_COPY } from '#log/log.ts'
import { createLogger } from '#observe/log.ts'
import { createMetrics } from '#observe/product-metrics.ts'
import { Violation } from '#test/simulation/history.ts'
import type { Trace } from '#test/simulation/trace.ts'
import { NO_STORE } from '#test/support/no-store.ts'
import type { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { type DiskCall, SimDisk } from '#test/support/sim/sim-disk.ts'
import { Gone, Over, SLACK_MS } from './agreements.ts'
import { differenceBetween } from './comparison.ts'
import type { CoordinationPlan } from './coordination-plan.ts'
import { GroupFacts } from './group-facts.ts'
import { type Applied, Ledger } from './ledger.ts'
import { SimSocket } from './sim-socket.ts'
import type { StagedItem } from './staged.ts'

export const DATA = '/data'
const COMPARED = 0.05
const LOOK_EVERY_MS = 50
/** What a full disk kept from being written is tried again after so long. */
const RETRY_MS = 1100
/** The broker counts whole milliseconds. */
const CLOCK_MS = 2

/** The machine, its broker, and what must be true of it. */
export class Machine {
  readonly plan: CoordinationPlan
  readonly prng: Prng
  readonly trace: Trace
  readonly clock: SimClock
  readonly ledger = new Ledger()
  readonly groups: GroupFacts
  disk: SimDisk
  violation: unknown = null
  readonly counts: Record<string, number> = { restarts: 0, undecided: 0, timeouts: 0, commits: 0, aborts: 0, fenced: 0 }
  #broker: Broker | null = null
  #hub = new ConnectionHub()
  #dispatch: Dispatch | null = null
  #staged: { readonly item: StagedItem; readonly atMs: number }[] = []
  #markers = new Map<number, number>()
  #calls = 0
  #diesAtCall = Number.POSITIVE_INFINITY
  #up = Promise.withResolvers<void>()
  #isOver = false
  #isClosing = false
  openedMs = 0
  /** Until when the disk was full. */
  #fullMs = Number.NEGATIVE_INFINITY
  /** Nothing was written since something was refused. */
  hasRefused = false
  /** Counts the processes of the broker. */
  life = 0
  readonly #sockets = new Set<SimSocket>()
  /** Calls of clients, which outlive the broker. */
  readonly #calledLater = new Set<{ atMs: number; call: () => void }>()
  /** By transactional id: since when its transaction is open. */
  readonly #openSince = new Map<string, number>()
  /** By transactional id: so many clients ask for it. */
  readonly asked = new Map<string, number>()
  /** Told when something was committed. */
  readonly watchers = new Set<() => void>()

  constructor(plan: CoordinationPlan, prng: Prng, trace: Trace) {
    this.plan = plan
    this.prng = prng
    this.trace = trace
    this.clock = new SimClock({ prng: prng.fork() })
    this.disk = new SimDisk({ prng: prng.fork(), clock: this.clock, latencyMs: plan.latencyMs })
    this.groups = new GroupFacts(this)
  }

  get broker(): Broker {
    if (this.#broker === null) throw new Gone()
    return this.#broker
  }

  get log(): Log {
    return this.broker.log
  }

  get isAlive(): boolean {
    return this.#broker !== null && !this.disk.isDead
  }

  /** Takes connections. */
  get isUp(): boolean {
    return this.isAlive && !this.#isClosing
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }

  note(line: string): void {
    this.trace.note(`${this.clock.monotonicMs().toFixed(2)} ${line}`)
  }

  /** What is thrown on the way is a violation, whoever would catch it. */
  guard(act: () => void): void {
    try {
      act()
    } catch (thrown) {
      this.violation ??= thrown
    }
  }

  demand(condition: boolean, what: () => string): void {
    if (!condition) this.violation ??= new Violation(what())
  }

  // ---- what clients use

  after(delayMs: number, call: () => void): void {
    const later = { atMs: this.clock.monotonicMs() + delayMs, call }
    this.#calledLater.add(later)
    this.#arm(later)
  }

  #arm(later: { atMs: number; call: () => void }): void {
    this.clock.after(later.atMs - this.clock.monotonicMs(), () => {
      if (this.#calledLater.delete(later)) later.call()
    })
  }

  async sleep(forMs: number): Promise<void> {
    await new Promise<void>(resolve => this.after(forMs, resolve))
    if (this.#isOver) throw new Over()
  }

  async connect(): Promise<SimSocket> {
    while (!this.isUp) {
      if (this.#isOver) throw new Over()
      await this.#up.promise
    }
    if (this.#isOver) throw new Over()
    const socket = new SimSocket(this)
    socket.open(new KafkaConnection(socket, this.broker, this.#dispatch!, this.#hub))
    this.#sockets.add(socket)
    return socket
  }

  closed(socket: SimSocket): void {
    this.#sockets.delete(socket)
  }

  /** Clients end when they ask or rest next. */
  end(): void {
    this.#isOver = true
    this.#up.resolve()
  }

  /** Who asks for a transactional id without having had it gets what nobody ever had. */
  give(transactionalId: string, producerId: number, epoch: number, told: Set<string>): void {
    const identity = `${producerId}/${epoch}`
    if (this.#given.has(identity) && !told.has(identity)) {
      throw new Violation(`${transactionalId} is given to a second client as ${identity}`)
    }
    this.#given.add(identity)
    told.add(identity)
  }

  readonly #given = new Set<string>()
  readonly members: { readonly groupId: string; readonly memberId: string; readonly generation: number }[] = []

  /** One of the memberships that were ever known. */
  anyMember(groupId: string): { memberId: string; generation: number } | null {
    const known = this.members.filter(member => member.groupId === groupId).slice(-6)
    return known.length === 0 ? null : this.prng.pick(known)
  }

  // ---- lives

  /** Since when there was a broker that could write. */
  get couldWriteMs(): number {
    return Math.max(this.openedMs, this.#fullMs + RETRY_MS)
  }

  /** It is full now, or has room again. */
  async fillDisk(): Promise<void> {
    const { disk, clock } = this
    const isFull = Number.isFinite(disk.capacityBytes)
    const { totalBytes, freeBytes } = await disk.space()
    disk.capacityBytes = isFull ? Number.POSITIVE_INFINITY : totalBytes - freeBytes + this.prng.between(0, 3000)
    this.#fullMs = isFull ? clock.monotonicMs() : Number.POSITIVE_INFINITY
    this.note(`the disk ${isFull ? 'has room again' : 'is full'}`)
  }

  useDisk(disk: SimDisk, diesAtCall: number): void {
    this.disk = disk
    this.#calls = 0
    this.#diesAtCall = diesAtCall
    disk.onCall = ({ kind, path }: DiskCall) => {
      this.note(`${kind} ${path}`)
      return ++this.#calls >= this.#diesAtCall ? 'die' : null
    }
  }

  options(disk: SimDisk, clock: SimClock): LogOptions {
    const { walFileBytes, cacheBytes, gather } = this.plan
    const silent = { metrics: { flushed() {}, applied() {}, stored() {} }, report() {}, failed() {}, afterCommit() {} }
    const quiet = { ...silent, walLimitBytes: Number.POSITIVE_INFINITY, segments: NO_STORE, ...WITHOUT_COPY }
    return { disk, clock, dataDir: DATA, walFileBytes, cacheBytes, gather, sync: 'always', ...quiet }
  }

  /** False if the machine died on the way. */
  async open(): Promise<boolean> {
    const { clock, disk } = this
    this.#hub = new ConnectionHub()
    const opening = openLog({
      ...this.options(disk, clock),
      segments: NO_STORE,
      metrics: { flushed: () => this.#flushed(), applied() {}, stored() {} },
      failed: error => {
        if (!disk.isDead) this.violation ??= error
      },
      afterCommit: () => this.#hub.settle(),
    })
    let isDone = false
    opening.then(
      () => {
        isDone = true
      },
      () => {
        isDone = true
      },
    )
    await clock.runUntil(() => isDone || disk.isDead)
    if (disk.isDead) return false
    const log = await opening
    this.#recovered(log)
    this.#listen(log)
    this.#broker = this.#makeBroker(log)
    this.#dispatch = new Dispatch(this.#broker, handlers)
    this.openedMs = clock.monotonicMs()
    this.life++
    this.groups.restarted()
    for (const later of this.#calledLater) this.#arm(later)
    this.#look()
    const up = this.#up
    this.#up = Promise.withResolvers()
    up.resolve()
    return true
  }

  #makeBroker(log: Log): Broker {
    const { walFileBytes, rebalanceDelayMs } = this.plan
    const groups = { groupInitialRebalanceDelayMs: rebalanceDelayMs, groupMinSessionTimeoutMs: 1 }
    const loaded = settingsFrom({ walFileBytes: Math.max(walFileBytes, 1 << 18), ...groups })
    if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
    const apiNames: string[] = []
    for (const api of apis.values()) apiNames[api.key] = api.name
    const random = this.prng.fork()
    return createBroker({
      settings: loaded.settings,
      sources: loaded.sources,
      clock: this.clock,
      random: { bytes: count => Buffer.from(Array.from({ length: count }, () => random.between(0, 255))) },
      logger: createLogger({ level: 'silent', pretty: false, output: { write() {}, flush: async () => {} } }),
      metrics: createMetrics({ apiNames, commitRecordTypes: [] }),
      log,
      topicRules: new TopicRules(log.state, loaded.settings, loaded.sources),
      hub: this.#hub,
    })
  }

  /** The life is over: nothing of the process goes on, and everybody who waits for it hears of it. */
  ended(): void {
    this.#broker = null
    this.#isClosing = false
    this.#dispatch = null
    this.clock.forgetAll()
    for (const socket of [...this.#sockets]) socket.lost()
  }

  /** Everybody is disconnected, and what was staged is decided. */
  async close(): Promise<boolean> {
    const { broker, clock, disk } = this
    this.#isClosing = true
    for (const socket of [...this.#sockets]) socket.lost()
    let isClosed = false
    const closing = (async () => {
      broker.groups.close()
      await broker.transactions.close()
      await broker.log.close()
      isClosed = true
    })()
    closing.catch((thrown: unknown) => {
      if (!disk.isDead) this.violation ??= thrown
    })
    await clock.runUntil(() => isClosed || disk.isDead || this.violation !== null)
    return isClosed
  }

  // ---- what the log is given, and what it makes of it

  #listen(log: Log): void {
    const { append, propose, endTransaction, batch, marked, change, refused } = log
    log.refused = (group, error) => {
      const { tickets, changes } = group.attachment
      this.#staged.splice(0, tickets.length + changes.length)
      this.count('refused')
      this.hasRefused = true
      refused.call(log, group, error)
    }
    log.append = (entry, bytes, from, to, ...asked) => {
      const sizeBytes = to - from
      this.#stage({ kind: 'batch', entry: { ...entry, sizeBytes } })
      append.call(log, entry, bytes, from, to, ...asked)
    }
    log.propose = proposed => {
      if (proposed.kind !== 'transaction-ended') this.#stage({ kind: 'change', change: proposed })
      return propose.call(log, proposed)
    }
    log.endTransaction = end => {
      this.#stage({ kind: 'end', end: { ...end, ordinals: [...end.ordinals] } })
      return endTransaction.call(log, end)
    }
    log.batch = (verdict, partition, baseOffset, entry) => {
      this.guard(() => this.#decided('batch', { outcome: `${verdict}`, baseOffset, markers: new Map() }, entry.crc))
      batch.call(log, verdict, partition, baseOffset, entry)
    }
    log.marked = (partition, baseOffset, marker) => {
      this.#markers.set(partition.ordinal, baseOffset)
      marked.call(log, partition, baseOffset, marker)
    }
    log.change = (changed, outcome) => {
      const kind = changed.kind === 'transaction-ended' ? 'end' : 'change'
      const markers = this.#markers
      this.#markers = new Map()
      this.guard(() => this.#decided(kind, { outcome, baseOffset: -1, markers }, changed.kind))
      change.call(log, changed, outcome)
    }
  }

  #stage(item: StagedItem): void {
    this.#staged.push({ item, atMs: this.clock.monotonicMs() })
  }

  #decided(kind: StagedItem['kind'], found: Applied, what: number | string): void {
    this.hasRefused = false
    const staged = this.#staged.shift()
    const item = staged?.item
    const isIt =
      item?.kind === kind &&
      (item.kind !== 'batch' || item.entry.crc === what) &&
      (item.kind !== 'change' || item.change.kind === what)
    if (!isIt || staged === undefined)
      throw new Violation(`a ${kind} is applied, ${what}, before what was staged before it`)
    const expected = this.#apply(item, staged.atMs)
    this.note(`${kind} ${what}: ${found.outcome} ${found.baseOffset} ${[...found.markers]}`)
    const isSame =
      expected.outcome === found.outcome &&
      expected.baseOffset === found.baseOffset &&
      JSON.stringify([...expected.markers].sort()) === JSON.stringify([...found.markers].sort())
    if (isSame) return
    throw new Violation(
      `${kind} ${what} came to ${found.outcome} at ${found.baseOffset} ${[...found.markers]}, ` +
        `not ${expected.outcome} at ${expected.baseOffset} ${[...expected.markers]}`,
    )
  }

  #apply(item: StagedItem, stagedMs: number): Applied {
    if (item.kind === 'end' && item.end.fences) this.#demandReason(item.end.transactionalId)
    const result = this.ledger.apply(item)
    for (const [id, { phase }] of this.ledger.transactions) {
      if (phase !== 'Ongoing') this.#openSince.delete(id)
      else if (!this.#openSince.has(id)) this.#openSince.set(id, stagedMs)
    }
    return result
  }

  /** A producer is fenced if its time is over, or for another one that asked for its id. */
  #demandReason(transactionalId: string): void {
    const sinceMs = this.#openSince.get(transactionalId)
    if (sinceMs === undefined) return
    const { timeoutMs } = this.ledger.transactions.get(transactionalId)!
    const openMs = this.clock.monotonicMs() - sinceMs
    const isAskedFor = (this.asked.get(transactionalId) ?? 0) > 0
    if (!isAskedFor && openMs < timeoutMs - CLOCK_MS) {
      throw new Violation(`${transactionalId} is fenced after ${openMs} of ${timeoutMs} ms`)
    }
    this.count(isAskedFor ? 'fenced' : 'timeouts')
  }

  /** Of what was staged and not decided, the log has all, nothing, or a beginning. */
  #recovered({ state }: Log): void {
    this.counts.restarts!++
    const items = this.#staged.splice(0)
    const first = differenceBetween(this.ledger, state)
    let difference = first
    let count = 0
    while (difference !== null && count < items.length) {
      const { item, atMs } = items[count++]!
      this.#apply(item, atMs)
      difference = differenceBetween(this.ledger, state)
    }
    this.counts.undecided! += count
    this.note(`recovered ${count} of ${items.length} undecided`)
    if (difference !== null) {
      throw new Violation(`no beginning of ${items.length} undecided explains what was found: ${first}, ${difference}`)
    }
  }

  #flushed(): void {
    if (this.#broker === null) return
    this.guard(() => {
      for (const partition of this.ledger.partitions) {
        const found = partition && this.log.state.partitions[partition.ordinal]
        if (partition === undefined || found === undefined) continue
        if (found.lastStableOffset === partition.stableOffset) continue
        const { ordinal, stableOffset } = partition
        throw new Violation(`partition ${ordinal} is stable up to ${found.lastStableOffset}, not ${stableOffset}`)
      }
      if (this.prng.chance(COMPARED)) this.compare()
      for (const watcher of this.watchers) watcher()
    })
  }

  compare(): void {
    const difference = differenceBetween(this.ledger, this.log.state)
    if (difference !== null) throw new Violation(difference)
  }

  /** Now and then: is anything late? */
  #look(): void {
    this.clock.after(LOOK_EVERY_MS, () => {
      this.guard(() => {
        this.#demandTimeouts()
        this.groups.demandLife()
      })
      this.#look()
    })
  }

  #demandTimeouts(): void {
    const nowMs = this.clock.monotonicMs()
    for (const [id, sinceMs] of this.#openSince) {
      const { timeoutMs } = this.ledger.transactions.get(id)!
      const lateMs = nowMs - Math.max(sinceMs + timeoutMs, this.couldWriteMs)
      if (lateMs > SLACK_MS)
        throw new Violation(`the transaction of ${id} is open for ${lateMs} ms more than it may be`)
    }
  }
}
