import type { Exposition } from '#observe/exposition.ts'
import { jsonAnswer, type Route } from './exchange.ts'

export interface Health {
  /** Why clients are not served; empty: they are. */
  readonly reasons: readonly string[]
  /** What does not work now, and what still does. */
  readonly warnings: readonly string[]
}

/** What is asked by Prometheus and by whatever watches the process. */
export function operationsRoutes(exposition: Exposition, health: () => Health): Route[] {
  return [
    {
      method: 'GET',
      path: '/metrics',
      handle: async () => ({ status: 200, contentType: exposition.contentType, body: await exposition.text() }),
    },
    { method: 'GET', path: '/health/live', handle: () => jsonAnswer(200, { status: 'live' }) },
    {
      method: 'GET',
      path: '/health/ready',
      handle: () => {
        const { reasons, warnings } = health()
        const more = warnings.length === 0 ? {} : { warnings }
        if (reasons.length === 0) return jsonAnswer(200, { status: 'ready', ...more })
        return jsonAnswer(503, { status: 'not ready', reasons, ...more })
      },
    },
  ]
}
