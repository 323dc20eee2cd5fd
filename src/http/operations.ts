import type { Exposition } from '#observe/exposition.ts'
import { jsonAnswer, type Route } from './exchange.ts'

/** What is asked by Prometheus and by whatever watches the process. `reasonsNotReady` is empty when clients are served. */
export function operationsRoutes(exposition: Exposition, reasonsNotReady: () => string[]): Route[] {
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
        const reasons = reasonsNotReady()
        if (reasons.length === 0) return jsonAnswer(200, { status: 'ready' })
        return jsonAnswer(503, { status: 'not ready', reasons })
      },
    },
  ]
}
