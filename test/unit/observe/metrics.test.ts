import { describe, expect, it } from 'vitest'
import { AssertionFailed } from '#base/assert.ts'
import { createExposition } from '#observe/exposition.ts'
import { Counter, CounterTable, Family, Gauge, Histogram, SeriesGauge } from '#observe/metrics.ts'
import { systemClock } from '#system/clock.ts'

const bounds = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]

describe('a histogram', () => {
  it('counts a duration in every bucket that it fits', () => {
    const durations = [0, ...bounds, ...bounds.map(bound => bound * 1.0001), 0.0007, 3, 1e9]
    const histogram = new Histogram('h', 'help')
    for (const seconds of durations) histogram.observe(seconds)
    const samples = histogram.samples()
    for (const le of [...bounds, Number.POSITIVE_INFINITY]) {
      const label = le === Number.POSITIVE_INFINITY ? '+Inf' : String(le)
      const bucket = samples.find(sample => sample.labels.le === label)
      expect(bucket?.value, label).toBe(durations.filter(seconds => seconds <= le).length)
    }
    expect(samples.find(sample => sample.metricName === 'h_count')?.value).toBe(durations.length)
    expect(histogram.count).toBe(durations.length)
    expect(histogram.sumSeconds).toBeCloseTo(durations.reduce((sum, seconds) => sum + seconds, 0))
  })
})

describe('a family', () => {
  it('has a member for each value of its label, by number', () => {
    const family = new Family('f_total', 'help', {
      label: 'api',
      values: ['produce', undefined, 'fetch'],
      create: Counter,
    })
    family.of(0).value += 2
    family.of(2).value += 3
    expect(family.samples()).toEqual([
      { metricName: 'f_total', labels: { api: 'produce' }, value: 2 },
      { metricName: 'f_total', labels: { api: 'fetch' }, value: 3 },
    ])
    expect(() => family.of(1)).toThrow(AssertionFailed)
    expect(() => family.of(3)).toThrow(AssertionFailed)
  })

  it('shows nothing of a member that was never used', () => {
    const family = new Family('f', 'help', { label: 'api', values: ['produce', 'fetch'], create: Histogram })
    family.of(1).observe(0.1)
    expect(new Set(family.samples().map(sample => sample.labels.api))).toEqual(new Set(['fetch']))
    expect(family.type).toBe('histogram')
  })
})

describe('a table of counters', () => {
  it('counts by two labels, and shows what was counted', () => {
    const table = new CounterTable('t_total', 'help', [
      { label: 'kind', values: ['put', 'get'] },
      { label: 'code', values: ['MISSING', 'DENIED', 'FULL'] },
    ])
    table.count(1, 0)
    table.count(0, 2)
    table.count(1, 0)
    expect(table.samples()).toEqual([
      { metricName: 't_total', labels: { kind: 'put', code: 'FULL' }, value: 1 },
      { metricName: 't_total', labels: { kind: 'get', code: 'MISSING' }, value: 2 },
    ])
    expect(() => table.count(2, 0)).toThrow(AssertionFailed)
    expect(() => table.count(0, 3)).toThrow(AssertionFailed)
  })
})

describe('the exposition', () => {
  it('is what Prometheus reads', async () => {
    const counter = new Counter('c_total', 'What it\ncounts.')
    const histogram = new Histogram('h', 'Durations.')
    let level = 1
    const gauge = new Gauge('g', 'A level.', () => level)
    const family = new Family('f_total', 'By API.', { label: 'api', values: ['pro"duce'], create: Counter })
    const exposition = createExposition([counter, gauge, histogram, family], systemClock)
    counter.value += 5
    level = 2
    histogram.observe(0.02)
    family.of(0).value++
    const text = await exposition.text()
    expect(text).toContain('# HELP c_total What it\\ncounts.\n# TYPE c_total counter\nc_total 5\n')
    expect(text).toContain('# TYPE g gauge\ng 2\n')
    expect(text).toContain('h_bucket{le="0.01"} 0\nh_bucket{le="0.025"} 1\n')
    expect(text).toContain('h_bucket{le="+Inf"} 1\nh_sum 0.02\nh_count 1\n')
    expect(text).toContain('f_total{api="pro\\"duce"} 1\n')
    expect(exposition.contentType).toContain('text/plain; version=0.0.4')
    for (const line of text.split('\n')) {
      expect(line).toMatch(/^$|^# (HELP|TYPE) |^[a-z_]+(\{[^{}]*\})? -?[\d.e+-]+$/i)
    }
  })

  it('has what comes and goes, whatever its names are made of', async () => {
    const lag = new SeriesGauge('lag', 'Records.', ['group', 'partition'], () => [
      { labelValues: ['plain', '0'], value: 7 },
      { labelValues: ['a "quoted"\\one\nof {two="lines"}', '1'], value: 0 },
    ])
    const text = await createExposition([lag], systemClock).text()
    expect(text).toContain(
      '# HELP lag Records.\n# TYPE lag gauge\n' +
        'lag{group="plain",partition="0"} 7\n' +
        'lag{group="a \\"quoted\\"\\\\one\\nof {two=\\"lines\\"}",partition="1"} 0\n',
    )
  })

  it('is made in slices, between which others have their turn', async () => {
    const series = Array.from({ length: 10_000 }, (_, i) => ({ labelValues: [`${i}`], value: i }))
    let turns = 0
    const clock = {
      soon: (call: () => void) => {
        turns++
        systemClock.soon(call)
      },
    }
    const text = await createExposition([new SeriesGauge('lag', 'Records.', ['group'], () => series)], clock).text()
    expect(text.match(/^lag\{group="\d+"\} \d+$/gm)).toHaveLength(10_000)
    expect(turns).toBe(19)
  })

  it('has the metrics of Node once, however many brokers the process has', async () => {
    const first = await createExposition([], systemClock).text()
    const second = await createExposition([new Counter('c_total', 'help')], systemClock).text()
    for (const text of [first, second]) {
      expect(text).toMatch(/^process_resident_memory_bytes \d+$/m)
      expect(text).toMatch(/^nodejs_version_info/m)
      expect(text).not.toContain('nodejs_eventloop_lag')
    }
  })
})
