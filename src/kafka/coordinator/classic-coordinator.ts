import type { Clock, Timer } from '#base/ports.ts'
import type { KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { storageRefusal } from '#kafka/refusal.ts'
import type { Log } from '#log/log.ts'
import type { Counter } from '#observe/metrics.ts'
import { ClassicGroup, type Member, NO_BYTES, type Token } from './classic-group.ts'
import { type JoinRequest, joinClassic } from './classic-join.ts'
import {
  type Caller,
  checkCommit,
  heartbeatClassic,
  leaveClassic,
  type SyncRequest,
  syncClassic,
} from './classic-requests.ts'
import { generationOf, isToRebalance, restoredGroup } from './classic-saving.ts'
import {
  type ClassicLimits,
  classicSaved,
  classicTick,
  type JoinAnswer,
  joinRefusal,
  rebalance,
  refuseWaiting,
  type Save,
  Step,
  type SyncAnswer,
  syncRefusal,
} from './classic-steps.ts'

// The shell of classic groups: lets their steps happen, one after the other, and sees to what comes of them: answers go to who
// waits, what is to be saved becomes a record of the log, and a timer is set for what happens by itself.
//
// What is known of a group comes from the log's state when it is first asked for.

/** Registers what is to be done if nobody waits for the answer any more. */
export type OnGone = (call: () => void) => void

export class ClassicCoordinator {
  readonly #log: Log
  readonly #clock: Clock
  readonly #limits: ClassicLimits
  readonly #rebalances: Counter
  readonly #isMoving: (groupId: string) => boolean
  readonly #groups = new Map<string, ClassicGroup>()
  readonly #timers = new Map<ClassicGroup, { timer: Timer; atMs: number }>()
  readonly #waiting = new Map<Token, (answer: JoinAnswer | SyncAnswer) => void>()
  #lastToken = 0
  #isClosed = false

  constructor(options: {
    log: Log
    clock: Clock
    limits: ClassicLimits
    rebalances: Counter
    /** May a group be of another type in a moment? Then nothing happens to it by itself. */
    isMoving(groupId: string): boolean
  }) {
    this.#log = options.log
    this.#clock = options.clock
    this.#limits = options.limits
    this.#rebalances = options.rebalances
    this.#isMoving = options.isMoving
  }

  /** After a restart members go on in the generation they had, unless it was none; their sessions begin anew. */
  begin(): void {
    for (const [id, { saved }] of this.#log.state.groups) if (saved.members.length > 0) this.find(id)
  }

  /** Nothing happens by itself any more. */
  close(): void {
    this.#isClosed = true
    for (const { timer } of this.#timers.values()) timer.cancel()
    this.#timers.clear()
  }

  // ---- groups

  /** Ids of the groups that are known here, stored or not. */
  get ids(): ReadonlyMap<string, unknown> {
    return this.#groups
  }

  /** Null: there is no such group, or only its offsets are known. */
  find(id: string): ClassicGroup | null {
    const found = this.#groups.get(id)
    if (found !== undefined) return found
    const saved = this.#log.state.groups.get(id)?.saved
    if (saved === undefined || saved.generation === 0) return null
    const group = restoredGroup(id, saved, this.#clock.monotonicMs())
    this.adopt(group, isToRebalance(saved))
    return group
  }

  create(id: string): ClassicGroup {
    const group = new ClassicGroup(id)
    this.#groups.set(id, group)
    return group
  }

  /** A group that is stored, or was of another type; its members are to join again, or need not. */
  adopt(group: ClassicGroup, rebalances: boolean): void {
    this.#groups.set(group.id, group)
    if (rebalances) this.#step(group, step => rebalance(group, step))
    else this.#arm(group)
  }

  /** Nobody is in them, and nothing of them is stored. */
  forgetUnused(): void {
    for (const group of [...this.#groups.values()]) {
      if (group.isDeserted && !this.#log.state.groups.has(group.id)) this.forget(group)
    }
  }

  /** It may be no classic group in a moment: whoever waits is to join again. */
  suspend(group: ClassicGroup): void {
    const step = this.#newStep()
    for (const member of group.members.values()) refuseWaiting(member, 'REBALANCE_IN_PROGRESS', step)
    for (const { token, answer } of step.answers) this.#answer(token, answer)
    this.#disarm(group)
  }

  /** It has stayed what it was. */
  resume(group: ClassicGroup): void {
    this.#arm(group)
  }

  forget(group: ClassicGroup): void {
    this.#groups.delete(group.id)
    this.#disarm(group)
  }

  // ---- requests

  join(group: ClassicGroup, request: Omit<JoinRequest, 'token'>, onGone: OnGone): Promise<JoinAnswer> {
    const { token, answer } = this.#wait<JoinAnswer>(onGone, joinRefusal('NOT_COORDINATOR', request.memberId))
    this.#step(group, step => joinClassic(group, { ...request, token }, step))
    return answer
  }

  sync(group: ClassicGroup, request: Omit<SyncRequest, 'token'>, onGone: OnGone): Promise<SyncAnswer> {
    const { token, answer } = this.#wait<SyncAnswer>(onGone, syncRefusal('NOT_COORDINATOR'))
    this.#step(group, step => syncClassic(group, { ...request, token }, step))
    return answer
  }

  /** Only puts deadlines off: the timer that is set finds out. */
  heartbeat(group: ClassicGroup, caller: Caller): KafkaErrorName {
    return heartbeatClassic(group, caller, this.#newStep())
  }

  /** If nobody is left, the answer comes when that is durable: after a restart nobody waits for who has gone. */
  async leave(group: ClassicGroup, member: Omit<Caller, 'generation'>): Promise<KafkaErrorName> {
    const { result, saved } = this.#step(group, step => leaveClassic(group, member, step))
    return result === 'NONE' && saved !== null ? saved : result
  }

  checkCommit(group: ClassicGroup, caller: Caller, isTransactional: boolean): KafkaErrorName {
    return checkCommit(group, caller, isTransactional, this.#newStep())
  }

  // ---- steps

  #newStep(): Step {
    return new Step(this.#clock.monotonicMs(), this.#limits)
  }

  #step<T>(group: ClassicGroup, act: (step: Step) => T): { result: T; saved: Promise<KafkaErrorName> | null } {
    const step = this.#newStep()
    const { generation } = group
    const result = act(step)
    this.#rebalances.value += group.generation - generation
    for (const { token, answer } of step.answers) this.#answer(token, answer)
    const saved = step.save === null ? null : this.#save(group, step.save)
    // Nobody joined it, and nothing of it is in the state: as if nobody had asked.
    if (group.isDeserted && group.generation === 0) this.forget(group)
    else this.#arm(group)
    return { result, saved }
  }

  async #save(group: ClassicGroup, save: Save): Promise<KafkaErrorName> {
    let error: KafkaErrorName = 'NONE'
    const assignments = save.kind === 'assigned' ? save.assignments : null
    const assignmentOf = ({ id, assignment }: Member): Buffer =>
      assignments === null ? assignment : (assignments.get(id) ?? NO_BYTES)
    try {
      await this.#log.propose({ kind: 'group-saved', groupId: group.id, saved: generationOf(group, assignmentOf) })
    } catch (thrown) {
      storageRefusal(thrown)
      error = 'COORDINATOR_NOT_AVAILABLE'
    }
    this.#step(group, step => classicSaved(group, save, error, step))
    return error
  }

  /** Sets the timer of a group, unless one is set that rings early enough: then it is set anew when it rings. */
  #arm(group: ClassicGroup): void {
    if (this.#groups.get(group.id) !== group || this.#isMoving(group.id)) return
    const atMs = group.deadlineMs()
    const set = this.#timers.get(group)
    if (set !== undefined && set.atMs <= atMs) return
    this.#disarm(group)
    if (atMs === Number.POSITIVE_INFINITY || this.#isClosed) return
    const timer = this.#clock.after(Math.max(0, atMs - this.#clock.monotonicMs()), () => {
      this.#timers.delete(group)
      this.#step(group, step => classicTick(group, step))
    })
    this.#timers.set(group, { timer, atMs })
  }

  #disarm(group: ClassicGroup): void {
    this.#timers.get(group)?.timer.cancel()
    this.#timers.delete(group)
  }

  // ---- waiting

  /** A request's place among those that wait. If its connection ends, or the broker does, it hears `otherwise`. */
  #wait<A extends JoinAnswer | SyncAnswer>(onGone: OnGone, otherwise: A): { token: Token; answer: Promise<A> } {
    const token = ++this.#lastToken
    const { promise, resolve } = Promise.withResolvers<A>()
    this.#waiting.set(token, resolve as (answer: JoinAnswer | SyncAnswer) => void)
    onGone(() => this.#answer(token, otherwise))
    return { token, answer: promise }
  }

  /** Nothing if it was answered: its connection ended meanwhile. */
  #answer(token: Token, answer: JoinAnswer | SyncAnswer): void {
    this.#waiting.get(token)?.(answer)
    this.#waiting.delete(token)
  }
}
