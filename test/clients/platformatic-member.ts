// A static member in a thread of its own, which can be ended without a word to the broker, as processes end.

import { parentPort, workerData } from 'node:worker_threads'
import { Consumer } from '@platformatic/kafka'

const { topic, options } = workerData
const consumer = new Consumer(options)
const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest' })
stream.resume()
const { generationId, assignments } = consumer
parentPort!.postMessage({ generationId, partitions: assignments![0]!.partitions })
