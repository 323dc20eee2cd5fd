import type { Clock, Random } from '#base/ports.ts'
import type { HostPort } from '#config/advertised.ts'
import type { ConfigLayers } from '#config/kafka-config.ts'
import type { Settings } from '#config/settings.ts'
import type { Log, TopicRules } from '#log/log.ts'
import type { Logger } from '#observe/log.ts'
import type { Metrics } from '#observe/product-metrics.ts'
import type { GroupCoordinator } from './coordinator/group-coordinator.ts'
import type { TransactionCoordinator } from './coordinator/transaction-coordinator.ts'
import type { FetchSessions } from './fetch-sessions.ts'
import type { FramePool } from './frame-pool.ts'
import type { OpeningBudget } from './opening-budget.ts'
import type { ProducerIds } from './producer-ids.ts'
import type { Unreadable } from './unreadable.ts'

/** What handlers work with: one for the process. */
export interface Broker {
  readonly settings: Settings
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  readonly log: Log
  readonly topicRules: TopicRules
  readonly producerIds: ProducerIds
  readonly fetchSessions: FetchSessions
  readonly groups: GroupCoordinator
  readonly transactions: TransactionCoordinator
  readonly frames: FramePool
  readonly opening: OpeningBudget
  readonly unreadable: Unreadable
  /** What the process's settings say under Kafka's names; dynamic configs are in the log's state. */
  readonly fixedConfigs: ConfigLayers
  /** Bytes of answers to fetches that are not sent yet, over all connections. */
  fetchedBytes: number
  /** Ends with the last piece of work that is done in turn. */
  lastTurn: Promise<unknown>
}

/** One request as a handler sees it. */
export interface RequestContext {
  readonly broker: Broker
  readonly version: number
  readonly clientId: string
  /** As Kafka shows it: a slash before the address. */
  readonly clientHost: string
  /** Where this client reaches us. */
  readonly advertised: HostPort
  /** Called when the answer has left, or the connection is gone: exactly once. */
  onSent(call: () => void): void
  /** Called if the connection is gone before the answer is made. */
  onGone(call: () => void): void
}
