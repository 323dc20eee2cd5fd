// The text that Prometheus scrapes: the product's metrics and Node's own.

import { collectDefaultMetrics, type Metric as PromMetric, Registry } from 'prom-client'
import type { Metric } from './metrics.ts'

export interface Exposition {
  readonly contentType: string
  text(): Promise<string>
}

export function createExposition(metrics: readonly Metric[]): Exposition {
  const registry = new Registry()
  for (const metric of metrics) registry.registerMetric(asPromMetric(metric))
  return {
    contentType: registry.contentType,
    text: async () => `${await registry.metrics()}\n${await nodeMetrics().metrics()}`,
  }
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
