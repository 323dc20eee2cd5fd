import type { ChronikError } from '#base/errors.ts'
import type { Clock, Random } from '#base/ports.ts'
import { fixedBrokerLayers } from '#config/broker-config.ts'
import type { SettingSources } from '#config/load-settings.ts'
import type { Settings } from '#config/settings.ts'
import type { Route } from '#http/http.ts'
import type { Log, TopicRules } from '#log/log.ts'
import type { Logger } from '#observe/log.ts'
import type { GroupFigures, Metrics } from '#observe/product-metrics.ts'
import { listenTcp } from '#system/net.ts'
import type { Broker } from './broker.ts'
import { KafkaConnection } from './connection.ts'
import type { ConnectionHub } from './connection-hub.ts'
import { GroupCoordinator } from './coordinator/group-coordinator.ts'
import { TransactionCoordinator } from './coordinator/transaction-coordinator.ts'
import { Dispatch } from './dispatch.ts'
import { FetchSessions } from './fetch-sessions.ts'
import { FramePool } from './frame-pool.ts'
import { GroupMeter } from './group-lag.ts'
import { groupRoutes } from './group-routes.ts'
import { GroupRules } from './group-rules.ts'
import { handlers } from './handlers/handlers.ts'
import { OpeningBudget } from './opening-budget.ts'
import { ProducerIds } from './producer-ids.ts'
import { startRetention } from './retention-task.ts'
import { Unreadable } from './unreadable.ts'

// The Kafka port: connections in, the log behind. connection.ts has the way of a request, produce.ts and handlers/ what is done
// with it.

export { ConnectionHub } from './connection-hub.ts'
export type { GroupDescription, GroupPage, GroupSummary, TopicChoice } from './group-admin.ts'
export type { ResetOutcome, ResetRequest, ResetTarget } from './group-reset.ts'

export interface KafkaOptions {
  settings: Settings
  sources: SettingSources
  clock: Clock
  random: Random
  logger: Logger
  metrics: Metrics
  log: Log
  topicRules: TopicRules
  /** Told by the log when a commit is answered. */
  hub: ConnectionHub
}

export interface KafkaListener {
  readonly address: string
  readonly port: number
  readonly connections: number
  /** For the control socket alone: what the owner of the data may do. */
  readonly ownerRoutes: readonly Route[]
  /** Groups as they are now. */
  measureGroups(): Promise<GroupFigures>
  /** Takes no new connection and no new request, waits until all is answered, and cuts off what is not at the deadline. */
  close(deadlineMs: number): Promise<void>
}

/** Memory kept for requests that arrive in pieces. */
const KEPT_FRAME_BYTES = 32 << 20
/** Sessions that may remember a partition, on average over all that there may be. */
const SESSIONS_PER_PARTITION = 10

export function createBroker(options: KafkaOptions): Broker {
  const { settings, sources, clock, random, logger, metrics, log, topicRules } = options
  const fixedConfigs = fixedBrokerLayers(settings, sources)
  const groupRules = new GroupRules(log.state, settings, fixedConfigs)
  const producerIds = new ProducerIds(log)
  return {
    settings,
    clock,
    random,
    logger,
    metrics,
    log,
    topicRules,
    producerIds,
    unreadable: new Unreadable(clock, logger),
    fetchSessions: new FetchSessions({
      clock,
      random,
      limit: settings.maxFetchSessions,
      partitionLimit: settings.maxPartitions * SESSIONS_PER_PARTITION,
    }),
    groups: new GroupCoordinator({
      log,
      clock,
      random,
      logger,
      limits: {
        initialRebalanceDelayMs: settings.groupInitialRebalanceDelayMs,
        maxMembers: settings.groupMaxSize,
        maxBytes: settings.groupMaxBytes,
        maxGroups: settings.maxGroups,
        minSessionTimeoutMs: settings.groupMinSessionTimeoutMs,
        maxSessionTimeoutMs: settings.groupMaxSessionTimeoutMs,
        consumerLimitsOf: groupId => groupRules.of(groupId),
      },
      rebalances: metrics.groupRebalances,
    }),
    transactions: new TransactionCoordinator({
      log,
      clock,
      logger,
      metrics,
      producerIds,
      limits: {
        maxTimeoutMs: settings.transactionMaxTimeoutMs,
        maxTransactionalIds: settings.maxTransactionalIds,
        maxOpenTransactions: settings.maxOpenTransactions,
      },
    }),
    frames: new FramePool({ keptBytes: KEPT_FRAME_BYTES, limitBytes: settings.maxInflightBytes }),
    opening: new OpeningBudget({ limitBytes: settings.maxInflightBytes }),
    fixedConfigs,
    fetchedBytes: 0,
    lastTurn: Promise.resolve(),
  }
}

export async function listenKafka(options: KafkaOptions): Promise<KafkaListener> {
  const { settings, clock, logger, metrics, hub } = options
  const listener = await listenTcp({
    host: settings.bindAddr,
    port: settings.kafkaPort,
    maxConnections: settings.maxConnections,
    onConnection: socket => new KafkaConnection(socket, broker, requests, hub),
    onRefused: (error: ChronikError) => {
      metrics.connectionsRefused.value++
      logger.warn(error.message)
    },
  })
  // The port may have been left open: configs name the one that was taken. No connection comes before this turn ends.
  const broker = createBroker({ ...options, settings: { ...settings, kafkaPort: listener.port } })
  const requests = new Dispatch(broker, handlers)
  const endRetention = startRetention(broker)
  const endWatch = hub.watchIdle(clock, settings.connectionsMaxIdleMs)
  const groupMeter = new GroupMeter(broker)
  return {
    address: listener.address,
    port: listener.port,
    get connections() {
      return hub.size
    },
    ownerRoutes: groupRoutes(broker),
    measureGroups: () => groupMeter.measure(),
    close: async deadlineMs => {
      await listener.close()
      endWatch()
      await hub.close(clock, deadlineMs)
      broker.log.endAnswers()
      await broker.transactions.close()
      broker.groups.close()
      await endRetention()
    },
  }
}
