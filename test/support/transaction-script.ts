import { ByteReader, ByteWriter } from '#bytes/cursor.ts'
import { type Change, encodeChange, PRODUCE_RECORD, RECORD_VERSION, typeOfChange } from '#core/change-records.ts'
import { ACCEPTED, apply, type Effects, type Outcome, type StoredMarker } from '#core/core.ts'
import {
  addProduceEntry,
  beginProduceRecord,
  endProduceRecord,
  JOINS_TRANSACTION_BIT,
  newBatchEntry,
} from '#core/produce-record.kernel.ts'
import { type Partition, State } from '#core/state.ts'
import {
  type Decision,
  decideEnd,
  decideFencing,
  decideInit,
  decideJoin,
  type ProducerIdentity,
  type TransactionAnswer,
} from '#kafka/coordinator/transaction-steps.ts'
import { TransactionTimers } from '#kafka/coordinator/transaction-timers.ts'
import type { ProposedEnd } from '#log/log.ts'
import { TRANSACTIONAL_BIT } from '#records/batch.ts'

// The life of transactions as a readable text: commands of producers, each followed by what came of it. A script is played on a
// state of its own, with no log behind it: what is decided is applied at once, or later if the script says so.
//
//   init a [timeout=60] [again]   takes the transactional id; `again`: names who it has been, as a producer that goes on
//   add a p0 p1 g                 what producers before KIP-890 say first
//   write a p0 [count=1] [tv=1]   tv=1: before KIP-890
//   offsets a g p0=5 [tv=1]
//   commit a, abort a [tv=1]
//   plain g p0=5                  offsets without a transaction
//   pose a 1000 5                as whom the producer asks from now on
//   epoch a 32765                 what a producer has after a long life
//   wait 60                       seconds
//   read p0 [from=0]              what a read_committed consumer is told
//
// Producers with one first letter share a transactional id: a and a2 are two instances of one application. `lost`: the producer does
// not hear the answer. `later`: what was decided is applied by the command `apply`.

type Options = ReadonlyMap<string, string>

const LIMITS = { maxTransactionalIds: 3, maxOpenTransactions: 2 }
const MARKER_BYTES = 78
const VERDICTS = ['written', 'duplicate', 'no partition', 'FENCED', 'OUT OF ORDER', 'NO ID', 'NOT IN IT', 'IN ONE']

export class TransactionScript {
  readonly #state = new State()
  readonly #timers = new TransactionTimers(this.#state, 0, 0)
  readonly #producers = new Map<string, ProducerIdentity>()
  /** Next sequence by producer name and partition. */
  readonly #sequences = new Map<string, number>()
  readonly #later: { name: string; decision: Decision; lost: boolean }[] = []
  #nowMs = 0
  #nextProducerId = 1000
  #out: string[] = []

  constructor() {
    this.#apply({ kind: 'topic-created', id: 'topic', name: 'topic', partitionCount: 3, configs: new Map() })
  }

  /** The script again, each command followed by what came of it. */
  static play(text: string): string {
    const script = new TransactionScript()
    const lines: string[] = []
    for (const line of text.split('\n').filter(line => line !== '' && !line.startsWith(' '))) {
      const isComment = line.startsWith('#')
      if (isComment && lines.length > 0) lines.push('')
      lines.push(line)
      if (!isComment) lines.push(...script.#run(line).map(result => `  ${result}`))
    }
    return `${lines.join('\n')}\n`
  }

  #run(line: string): string[] {
    const [verb = '', ...words] = line.split(' ')
    const names = words.filter(word => !word.includes('='))
    const options = new Map(
      words.filter(word => word.includes('=')).map(word => word.split('=', 2) as [string, string]),
    )
    this.#out = []
    this.#act(verb, names, options)
    for (const transaction of this.#state.openTransactions) this.#timers.began(transaction, this.#nowMs)
    return [...this.#out, `= ${this.#summary()}`]
  }

  #act(verb: string, [name = '', ...more]: string[], options: Options): void {
    const how = { name, lost: more.includes('lost'), later: more.includes('later') }
    switch (verb) {
      case 'init':
        this.#decide(how, newProducerId => {
          const timeoutMs = Number(options.get('timeout') ?? 60) * 1000
          const from = more.includes('again') ? this.#identity(name) : null
          return decideInit(this.#state, { transactionalId: idOf(name), timeoutMs, from, newProducerId }, LIMITS)
        })
        return
      case 'add': {
        const ordinals = more.filter(isPartition).map(ordinalOf)
        const groupIds = more.filter(word => !isPartition(word))
        const request = { transactionalId: idOf(name), ...this.#identity(name), ordinals, groupIds }
        this.#decide(how, () => decideJoin(this.#state, request, LIMITS))
        return
      }
      case 'commit':
      case 'abort':
        this.#decide(how, newProducerId => {
          const bumps = options.get('tv') !== '1'
          const producer = { transactionalId: idOf(name), ...this.#identity(name) }
          return decideEnd(this.#state, { ...producer, isCommit: verb === 'commit', bumps, newProducerId })
        })
        return
      case 'write':
        this.#write(name, ordinalOf(more[0]!), options)
        return
      case 'offsets':
      case 'plain':
        this.#commitOffsets(verb === 'plain' ? null : name, verb === 'plain' ? name : more[0]!, options)
        return
      case 'read':
        this.#read(ordinalOf(name), Number(options.get('from') ?? 0))
        return
      case 'epoch':
        this.#age(name, Number(more[0]))
        return
      case 'pose':
        this.#producers.set(name, { producerId: Number(more[0]), epoch: Number(more[1]) })
        return
      case 'wait':
        this.#wait(Number(name) * 1000)
        return
      case 'apply': {
        const waiting = this.#later.shift()
        if (waiting === undefined) throw new Error('nothing is to be applied')
        this.#settle(waiting.name, waiting.decision, waiting.lost)
        return
      }
      default:
        throw new Error(`${verb} is no command`)
    }
  }

  // ---- deciding

  #decide(
    how: { name: string; lost: boolean; later: boolean },
    decide: (newProducerId: number | null) => Decision,
  ): void {
    let decision = decide(null)
    if (decision.kind === 'needs-producer-id') decision = decide(this.#nextProducerId++)
    if (how.later) this.#later.push({ name: how.name, decision, lost: how.lost })
    else this.#settle(how.name, decision, how.lost)
    if (decision.kind === 'end' && decision.thenAgain && !how.later) this.#decide(how, decide)
  }

  #settle(name: string, decision: Decision, lost: boolean): void {
    if (decision.kind === 'needs-producer-id') throw new Error('a producer id was given')
    if (decision.kind === 'needs-room') {
      this.#out.push(`${name}: as many ids as there may be: one that is unused is to go`)
      return
    }
    if (decision.kind === 'answer') {
      this.#answer(name, decision.answer, lost)
      return
    }
    const outcome = decision.kind === 'end' ? this.#end(decision.end) : this.#apply(decision.change)
    if (decision.kind === 'end' && decision.thenAgain && outcome === 'NONE') this.#out.push('aborts what was open')
    else if (outcome === 'NONE') this.#answer(name, decision.answer, lost)
    else this.#out.push(`${name}: nothing changed, ${outcome}: to be decided again`)
  }

  #answer(name: string, answer: TransactionAnswer, lost: boolean): void {
    const { error, producerId, epoch } = answer
    const identity = producerId < 0 ? '' : `, goes on as ${producerId}/${epoch}`
    this.#out.push(`${name}: ${error}${identity}${lost ? ' (not heard)' : ''}`)
    if (error !== 'NONE' || producerId < 0 || lost) return
    const before = this.#producers.get(name)
    this.#producers.set(name, { producerId, epoch })
    if (before?.producerId === producerId && before.epoch === epoch) return
    for (const key of this.#sequences.keys()) if (key.startsWith(`${name} `)) this.#sequences.delete(key)
  }

  #identity(name: string): ProducerIdentity {
    return this.#producers.get(name) ?? { producerId: -1, epoch: -1 }
  }

  #age(name: string, epoch: number): void {
    const found = this.#state.transactions.get(idOf(name))
    const from = { fromProducerId: found?.producerId ?? -1, fromEpoch: found?.epoch ?? -1, isNamed: false }
    const producerId = found?.producerId ?? this.#nextProducerId++
    const claim = { transactionalId: idOf(name), timeoutMs: 60_000, ...from, producerId, epoch }
    this.#out.push(`${name}: ${this.#apply({ kind: 'transactional-id-claimed', ...claim })}`)
    this.#producers.set(name, { producerId, epoch })
    for (const key of this.#sequences.keys()) if (key.startsWith(`${name} `)) this.#sequences.delete(key)
  }

  // ---- the log

  #apply(change: Change): Outcome {
    let told: Outcome = 'NONE'
    const effects: Effects = {
      batch() {},
      marked: (partition, baseOffset) => this.#out.push(`p${partition.index}: marker at ${baseOffset}`),
      change: (_, outcome) => {
        told = outcome
      },
    }
    const body = new ByteReader(encodeChange(change, this.#nowMs))
    apply(this.#state, { type: typeOfChange(change.kind), version: RECORD_VERSION, body }, effects)
    return told
  }

  #end({ ordinals, ...end }: ProposedEnd): Outcome {
    const markers = ordinals.map((ordinal, i) => ({
      ordinal,
      place: i * MARKER_BYTES,
      sizeBytes: MARKER_BYTES,
      crc: 0,
    }))
    return this.#apply({ kind: 'transaction-ended', ...end, file: 0, payloadPosition: 0, markers })
  }

  #write(name: string, ordinal: number, options: Options): void {
    const { producerId, epoch } = this.#identity(name)
    const key = `${name} ${ordinal}`
    const sequence = Number(options.get('sequence') ?? this.#sequences.get(key) ?? 0)
    const recordCount = Number(options.get('count') ?? 1)
    const joins = options.get('tv') === '1' ? 0 : JOINS_TRANSACTION_BIT
    const attributes = options.has('plain') ? 0 : TRANSACTIONAL_BIT | joins
    const into = new ByteWriter()
    beginProduceRecord(into)
    const batch = { ordinal, recordCount, sizeBytes: 70, producerId, producerEpoch: epoch, baseSequence: sequence }
    addProduceEntry(into, { ...newBatchEntry(), ...batch, attributes })
    endProduceRecord(into, this.#nowMs, 0, 0)
    const effects: Effects = {
      marked: (_: Partition, __: number, ___: StoredMarker) => {},
      change() {},
      batch: (verdict, _, baseOffset) => {
        const place = baseOffset < 0 ? '' : ` at ${baseOffset}`
        this.#out.push(`${name}: ${VERDICTS[verdict]}${place}`)
        if (verdict === ACCEPTED) this.#sequences.set(key, sequence + recordCount)
      },
    }
    const body = new ByteReader(into.written())
    apply(this.#state, { type: PRODUCE_RECORD, version: RECORD_VERSION, body }, effects)
  }

  #commitOffsets(name: string | null, groupId: string, options: Options): void {
    const partitions = [...options]
      .filter(([key]) => isPartition(key))
      .map(([key, offset]) => ({
        partition: ordinalOf(key),
        offset: Number(offset),
        leaderEpoch: -1,
        metadata: '',
        expiresMs: -1,
      }))
    const topics = [{ topicId: 'topic', partitions }]
    const { producerId, epoch } = this.#identity(name ?? '')
    const joins = options.get('tv') !== '1'
    const outcome =
      name === null
        ? this.#apply({ kind: 'offsets-committed', groupId, topics })
        : this.#apply({ kind: 'transaction-offsets-committed', groupId, producerId, epoch, joins, topics })
    this.#out.push(`${name ?? groupId}: ${outcome}`)
  }

  // ---- time, and what can be seen

  #wait(forMs: number): void {
    this.#nowMs += forMs
    for (const transaction of this.#timers.overdue(this.#nowMs)) {
      this.#out.push(`${transaction.id} was open for too long`)
      this.#end(decideFencing(transaction).end)
    }
  }

  #read(ordinal: number, from: number): void {
    const partition = this.#state.partitions[ordinal]!
    const to = partition.lastStableOffset
    const aborted = partition.aborted?.between(from, to) ?? []
    const skips = aborted.map(({ producerId, firstOffset }) => `${producerId} from ${firstOffset}`).join(', ')
    this.#out.push(`p${ordinal}: up to ${to} of ${partition.nextOffset}${skips === '' ? '' : `, without ${skips}`}`)
  }

  #summary(): string {
    const transactions = [...this.#state.transactions.values()].map(transaction => {
      const { id, phase, producerId, epoch, partitions, groups } = transaction
      const places = [...[...partitions].map(ordinal => `p${ordinal}`), ...groups]
      return `${id} ${phase} ${producerId}/${epoch}${places.length === 0 ? '' : ` in ${places.join(', ')}`}`
    })
    const offsets = [...this.#state.groups.values()].flatMap(({ id, offsets: committed }) =>
      [...(committed.get('topic') ?? [])].map(([partition, { offset }]) => `${id} p${partition} at ${offset}`),
    )
    return [transactions.join('; ') || 'nothing', ...offsets].join('; ')
  }
}

function idOf(name: string): string {
  return name.slice(0, 1).toUpperCase()
}

function isPartition(word: string): boolean {
  return /^p\d$/.test(word)
}

function ordinalOf(word: string): number {
  if (!isPartition(word)) throw new Error(`${word} is no partition`)
  return Number(word.slice(1))
}
