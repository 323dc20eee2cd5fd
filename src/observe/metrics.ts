// What hot code counts with: plain numbers, touched without a call into anything. Prometheus sees them only when it scrapes.

import { assert } from '#base/assert.ts'

export interface Sample {
  /** The metric's own name, or a histogram's with `_bucket`, `_sum` or `_count`. */
  metricName: string
  labels: Record<string, string>
  value: number
}

/** Anything that has its few samples at hand. */
export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** Names of labels. */
  readonly labels: readonly string[]
  samples(): Sample[]
}

/** Only goes up: `counter.value += count`. */
export class Counter implements Metric {
  readonly type = 'counter'
  readonly labels = []
  readonly name: string
  readonly help: string
  value = 0

  constructor(name: string, help: string) {
    this.name = name
    this.help = help
  }

  samples(): Sample[] {
    return [{ metricName: this.name, labels: {}, value: this.value }]
  }
}

/** Read when somebody asks. */
export class Gauge implements Metric {
  readonly type = 'gauge'
  readonly labels = []
  readonly name: string
  readonly help: string
  readonly #read: () => number

  constructor(name: string, help: string, read: () => number) {
    this.name = name
    this.help = help
    this.#read = read
  }

  samples(): Sample[] {
    return [{ metricName: this.name, labels: {}, value: this.#read() }]
  }
}

/** A level with the values of its labels, in their order. */
export interface Series {
  readonly labelValues: readonly string[]
  readonly value: number
}

/** A level for each of things that come and go. Whoever hands them in bounds how many there are. */
export class SeriesGauge {
  readonly type = 'gauge'
  readonly labels: readonly string[]
  readonly name: string
  readonly help: string
  readonly #read: () => readonly Series[]

  constructor(name: string, help: string, labels: readonly string[], read: () => readonly Series[]) {
    this.name = name
    this.help = help
    this.labels = labels
    this.#read = read
  }

  series(): readonly Series[] {
    return this.#read()
  }
}

/** Anything that can be exposed. */
export type Exposable = Metric | SeriesGauge

// From a request answered out of memory to one that a client will have given up.
const BOUNDS_SECONDS = Float64Array.of(
  ...[0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
)

/** How often durations were at most so and so long. */
export class Histogram implements Metric {
  readonly type = 'histogram'
  readonly labels = []
  readonly name: string
  readonly help: string
  readonly #counts = new Float64Array(BOUNDS_SECONDS.length + 1)
  #sumSeconds = 0

  constructor(name: string, help: string) {
    this.name = name
    this.help = help
  }

  observe(seconds: number): void {
    let low = 0
    let high = BOUNDS_SECONDS.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (seconds <= BOUNDS_SECONDS[middle]!) high = middle
      else low = middle + 1
    }
    this.#counts[low]!++
    this.#sumSeconds += seconds
  }

  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0)
  }

  get sumSeconds(): number {
    return this.#sumSeconds
  }

  samples(): Sample[] {
    const samples: Sample[] = []
    let count = 0
    for (const [i, inBucket] of this.#counts.entries()) {
      count += inBucket
      const le = i < BOUNDS_SECONDS.length ? String(BOUNDS_SECONDS[i]) : '+Inf'
      samples.push({ metricName: `${this.name}_bucket`, labels: { le }, value: count })
    }
    samples.push({ metricName: `${this.name}_sum`, labels: {}, value: this.#sumSeconds })
    samples.push({ metricName: `${this.name}_count`, labels: {}, value: count })
    return samples
  }
}

export interface FamilyLabel<Member> {
  label: string
  /** By the number that hot code has: the key of an API, say. It may have holes. */
  values: readonly (string | undefined)[]
  create: new (name: string, help: string) => Member
}

/** One member for each value of a label. The values are known from the start: nothing that clients send can add one. */
export class Family<Member extends Metric> implements Metric {
  readonly name: string
  readonly help: string
  readonly type: Member['type']
  readonly labels: readonly string[]
  readonly #members: { labelValue: string; member: Member }[]

  constructor(name: string, help: string, { label, values, create }: FamilyLabel<Member>) {
    this.name = name
    this.help = help
    this.labels = [label]
    this.type = new create(name, help).type
    this.#members = []
    for (const [index, labelValue] of values.entries()) {
      if (labelValue !== undefined) this.#members[index] = { labelValue, member: new create(name, help) }
    }
  }

  of(index: number): Member {
    const entry = this.#members[index]
    assert(entry !== undefined, 'a label has a value for every number it is used with')
    return entry.member
  }

  /** Of the members that were ever used, so that an unused API costs no lines. */
  samples(): Sample[] {
    const label = this.labels[0]!
    return this.#members
      .filter(entry => entry !== undefined)
      .flatMap(({ labelValue, member }) => {
        const samples = member.samples()
        if (samples.every(sample => sample.value === 0)) return []
        return samples.map(sample => ({ ...sample, labels: { [label]: labelValue, ...sample.labels } }))
      })
  }
}

export interface TableLabel {
  label: string
  values: readonly string[]
}

/** A counter for each pair of values of two labels, all known from the start. */
export class CounterTable implements Metric {
  readonly type = 'counter'
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
  readonly #rows: TableLabel
  readonly #columns: TableLabel
  readonly #counts: Float64Array

  constructor(name: string, help: string, [rows, columns]: readonly [TableLabel, TableLabel]) {
    this.name = name
    this.help = help
    this.labels = [rows.label, columns.label]
    this.#rows = rows
    this.#columns = columns
    this.#counts = new Float64Array(rows.values.length * columns.values.length)
  }

  /** By the numbers of the values. */
  count(row: number, column: number): void {
    assert(row >= 0 && row < this.#rows.values.length, 'a row has a value')
    assert(column >= 0 && column < this.#columns.values.length, 'a column has a value')
    this.#counts[row * this.#columns.values.length + column]!++
  }

  /** Of the pairs that were ever counted. */
  samples(): Sample[] {
    const samples: Sample[] = []
    for (const [i, value] of this.#counts.entries()) {
      if (value === 0) continue
      const [row, column] = [Math.floor(i / this.#columns.values.length), i % this.#columns.values.length]
      const labels = {
        [this.#rows.label]: this.#rows.values[row]!,
        [this.#columns.label]: this.#columns.values[column]!,
      }
      samples.push({ metricName: this.name, labels, value })
    }
    return samples
  }
}
