// The text that Prometheus scrapes: the product's metrics and Node's own.

import { collectDefaultMetrics, type Metric as PromMetric, Registry } from 'prom-client'
import type { Clock } from '#base/ports.ts'
import { type Exposable, type Metric, type Series, SeriesGauge } from './metrics.ts'

export interface Exposition {
  readonly contentType: string
  text(): Promise<string>
}

export function createExposition(metrics: readonly Exposable[], clock: Pick<Clock, 'soon'>): Exposition {
  const registry = new Registry()
  for (const metric of metrics) if (!(metric instanceof SeriesGauge)) registry.registerMetric(asPromMetric(metric))
  const gauges = metrics.filter(metric => metric instanceof SeriesGauge)
  return {
    contentType: registry.contentType,
    text: async () => {
      const pieces = [await registry.metrics(), '\n']
      for (const gauge of gauges) await addText(gauge, pieces, clock)
      return `${pieces.join('')}\n${await nodeMetrics().metrics()}`
    },
  }
}

/** A fraction of a millisecond. prom-client would write all of a metric in one go. */
const SERIES_AT_ONCE = 500

/** In slices, between which others have their turn. Each becomes one flat string: what is joined at the end is a few of them. */
async function addText(gauge: SeriesGauge, pieces: string[], clock: Pick<Clock, 'soon'>): Promise<void> {
  const series = gauge.series()
  pieces.push(`# HELP ${gauge.name} ${gauge.help}\n# TYPE ${gauge.name} ${gauge.type}\n`)
  for (let from = 0; from < series.length; from += SERIES_AT_ONCE) {
    if (from > 0) await new Promise<void>(resolve => clock.soon(resolve))
    const lines = series.slice(from, from + SERIES_AT_ONCE).map(one => lineOf(gauge, one))
    pieces.push(lines.join(''))
  }
}

function lineOf({ name, labels }: SeriesGauge, { labelValues, value }: Series): string {
  let inBraces = ''
  for (const [i, label] of labels.entries()) inBraces += `${i === 0 ? '' : ','}${label}="${escaped(labelValues[i]!)}"`
  return `${name}{${inBraces}} ${value}\n`
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' }

function escaped(labelValue: string): string {
  return labelValue.replace(/[\\"\n]/g, character => ESCAPES[character]!)
}

// A registry asks its metrics for their values with `get`; it needs nothing else of them.
function asPromMetric(metric: Metric): PromMetric {
  const { name, help, type } = metric
  const exposed = { name, help, type, get: async () => ({ name, help, type, values: metric.samples() }) }
  return exposed as unknown as PromMetric
}

// Node's metrics are those of the process, and the collectors cannot be stopped: one registry, made when first asked for.
let ofThisProcess: Registry | undefined

function nodeMetrics(): Registry {
  if (ofThisProcess !== undefined) return ofThisProcess
  const registry = new Registry()
  // prom-client's event loop lag wakes an idle process a hundred times a second and has its own period added to every value;
  // chronik_event_loop_delay_* are there instead. A period of an hour makes what cannot be left out cost nothing.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 3_600_000 })
  for (const { name } of registry.getMetricsAsArray()) {
    if (name.startsWith('nodejs_eventloop_lag')) registry.removeSingleMetric(name)
  }
  ofThisProcess = registry
  return registry
}
