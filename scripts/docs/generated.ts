import { renderConfigDocs } from '#config/config-docs.ts'
import { kafkaApisPage } from './kafka-apis.ts'
import { metricsPage } from './metrics.ts'

/** The pages that are written from the code: path from the root, and what must stand there. */
export const generatedPages: Record<string, () => string> = {
  'docs/CONFIG.md': renderConfigDocs,
  'docs/KAFKA-APIS.md': kafkaApisPage,
  'docs/METRICS.md': metricsPage,
}
