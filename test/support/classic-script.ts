import { ClassicGroup, NO_BYTES, type Token } from '#kafka/coordinator/classic-group.ts'
import { joinClassic } from '#kafka/coordinator/classic-join.ts'
import { checkCommit, heartbeatClassic, leaveClassic, syncClassic } from '#kafka/coordinator/classic-requests.ts'
import {
  type ClassicLimits,
  classicSaved,
  classicTick,
  type JoinAnswer,
  type Save,
  Step,
  type SyncAnswer,
} from '#kafka/coordinator/classic-steps.ts'

// Plays the life of a classic group from a script, and writes down what comes of each line:
//
//   join NAME [id=ID] [instance=I] [session=10] [rebalance=60] [protocols=range,sticky] [version=9]   seconds, as all times
//   sync NAME [gen=1] [a=p0 b=p1]            what the leader gives to whom
//   heartbeat NAME [gen=1] | commit NAME [gen=1] | leave NAME
//   saved | not-saved                        what was to be saved first
//   wait 3                                   whatever happens by itself meanwhile
//
// A NAME stands for a client: it knows the member id it was given last. Lines that begin with # or a space are not commands.

type Options = Map<string, string>

export class ClassicScript {
  readonly #group = new ClassicGroup('group')
  readonly #limits: ClassicLimits
  readonly #ids = new Map<string, string>()
  readonly #askers = new Map<Token, string>()
  readonly #saves: Save[] = []
  #nowMs = 0
  #tokens = 0
  #out: string[] = []

  constructor(limits: ClassicLimits) {
    this.#limits = limits
  }

  /** The script again, each command followed by what came of it. */
  static play(text: string): string {
    const commands = text.split('\n').filter(line => line !== '' && !line.startsWith(' '))
    const setting = commands.find(line => line.startsWith('limits '))
    const limits = optionsOf((setting ?? '').split(' '))
    const script = new ClassicScript({
      initialRebalanceDelayMs: Number(limits.get('delay') ?? 0) * 1000,
      maxMembers: Number(limits.get('members') ?? 100),
      maxBytes: Number(limits.get('bytes') ?? 1 << 20),
    })
    const lines: string[] = []
    for (const line of commands) {
      const isComment = line.startsWith('#')
      if (isComment && lines.length > 0) lines.push('')
      lines.push(line)
      if (!isComment && line !== setting) lines.push(...script.#run(line).map(result => `  ${result}`))
    }
    return `${lines.join('\n')}\n`
  }

  #run(line: string): string[] {
    const [verb = '', ...words] = line.split(' ')
    const name = words.find(word => !word.includes('=')) ?? ''
    const options = optionsOf(words)
    this.#out = []
    if (verb === 'wait') this.#wait(Number(name) * 1000)
    else this.#step(step => this.#act(verb, name, options, step))
    return [...this.#out, `= ${this.#summary()}`]
  }

  #act(verb: string, name: string, options: Options, step: Step): void {
    const generation = Number(options.get('gen') ?? this.#group.generation)
    const instanceId = options.get('instance') ?? null
    const caller = { memberId: options.get('id') ?? this.#ids.get(name) ?? '', instanceId, generation }
    switch (verb) {
      case 'join':
        joinClassic(this.#group, this.#joinRequest(name, options), step)
        return
      case 'sync': {
        const given = [...options].filter(([key]) => !['gen', 'id', 'instance'].includes(key))
        const assignments = new Map(given.map(([to, what]) => [this.#ids.get(to) ?? to, Buffer.from(what)]))
        syncClassic(
          this.#group,
          { ...caller, token: this.#ask(name), protocolType: null, protocol: null, assignments },
          step,
        )
        return
      }
      case 'heartbeat':
        this.#out.push(`${name}: ${heartbeatClassic(this.#group, caller, step)}`)
        return
      case 'commit':
        this.#out.push(`${name}: ${checkCommit(this.#group, caller, options.has('transactional'), step)}`)
        return
      case 'leave':
        this.#out.push(`${name}: ${leaveClassic(this.#group, caller, step)}`)
        return
      case 'saved':
      case 'not-saved': {
        const save = this.#saves.shift()
        if (save === undefined) throw new Error('nothing is to be saved')
        classicSaved(this.#group, save, verb === 'saved' ? 'NONE' : 'COORDINATOR_NOT_AVAILABLE', step)
        return
      }
      default:
        throw new Error(`${verb} is no command`)
    }
  }

  #joinRequest(name: string, options: Options) {
    const version = Number(options.get('version') ?? 9)
    const session = Number(options.get('session') ?? 10)
    const protocols = (options.get('protocols') ?? 'range').split(',').filter(protocol => protocol !== '')
    return {
      token: this.#ask(name),
      memberId: options.get('id') ?? this.#ids.get(name) ?? '',
      newMemberId: `${name}-${this.#tokens}`,
      instanceId: options.get('instance') ?? null,
      clientId: name,
      clientHost: '/127.0.0.1',
      sessionTimeoutMs: session * 1000,
      rebalanceTimeoutMs: Number(options.get('rebalance') ?? 60) * 1000,
      protocolType: options.get('type') ?? 'consumer',
      protocols: protocols.map(protocol => ({ name: protocol, metadata: Buffer.from(options.get('wants') ?? name) })),
      requiresKnownId: version >= 4,
      canSkipAssignment: version >= 9,
    }
  }

  #ask(name: string): Token {
    this.#askers.set(++this.#tokens, name)
    return this.#tokens
  }

  #wait(forMs: number): void {
    const untilMs = this.#nowMs + forMs
    for (let atMs = this.#group.deadlineMs(); atMs <= untilMs; atMs = this.#group.deadlineMs()) {
      this.#nowMs = Math.max(this.#nowMs, atMs)
      const before = this.#out.length
      this.#step(step => classicTick(this.#group, step))
      for (let i = before; i < this.#out.length; i++) this.#out[i] = `${this.#nowMs / 1000} s, ${this.#out[i]}`
    }
    this.#nowMs = untilMs
  }

  #step(act: (step: Step) => void): void {
    const step = new Step(this.#nowMs, this.#limits)
    act(step)
    for (const { token, answer } of step.answers) {
      const name = this.#askers.get(token) ?? '?'
      this.#askers.delete(token)
      this.#out.push(`${name}: ${answer.kind === 'join' ? this.#joined(name, answer) : synced(answer)}`)
    }
    if (step.save !== null) {
      this.#saves.push(step.save)
      this.#out.push(`to be saved: ${step.save.kind}`)
    }
  }

  #joined(name: string, answer: JoinAnswer): string {
    if (answer.memberId !== '') this.#ids.set(name, answer.memberId)
    if (answer.error !== 'NONE') return `${answer.error}${answer.memberId === '' ? '' : ` id ${answer.memberId}`}`
    const members = answer.members.map(({ memberId, metadata }) => `${memberId} wants ${metadata}`).join(', ')
    const leads = answer.leaderId === answer.memberId ? `leads ${members || 'nobody'}` : `follows ${answer.leaderId}`
    const skips = answer.skipAssignment ? ', skips the assignment' : ''
    return `joined generation ${answer.generation} as ${answer.memberId}, ${answer.protocol}, ${leads}${skips}`
  }

  #summary(): string {
    const { phase, generation, leaderId, members, pending } = this.#group
    const names = [...members.values()].map(({ id, joinToken, syncToken, assignment }) => {
      const waits = joinToken !== null ? ' (joining)' : syncToken !== null ? ' (syncing)' : ''
      return `${id}${waits}${assignment === NO_BYTES || assignment.length === 0 ? '' : ` has ${assignment}`}`
    })
    const waiting = pending.size === 0 ? '' : `, ${pending.size} pending`
    return `${phase} ${generation}, leader ${leaderId ?? 'none'}: ${names.join(', ') || 'nobody'}${waiting}`
  }
}

function synced(answer: SyncAnswer): string {
  return answer.error === 'NONE' ? `synced, has ${answer.assignment.toString() || 'nothing'}` : answer.error
}

function optionsOf(words: readonly string[]): Options {
  return new Map(words.filter(word => word.includes('=')).map(word => word.split('=', 2) as [string, string]))
}
