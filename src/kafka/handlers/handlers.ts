import type { Handler } from '#kafka/handler.ts'
import { fetch } from './01-fetch.ts'
import { metadata } from './03-metadata.ts'
import { findCoordinator } from './10-find-coordinator.ts'
import { apiVersions } from './18-api-versions.ts'
import { createTopics } from './19-create-topics.ts'
import { initProducerId } from './22-init-producer-id.ts'

const others: readonly Handler[] = [fetch, metadata, findCoordinator, createTopics, initProducerId]

/** What this broker serves besides Produce, by API key. ApiVersions lists exactly these. */
export const handlers: ReadonlyMap<number, Handler> = new Map(
  [apiVersions(others), ...others].map(handler => [handler.request.api.key, handler]),
)
