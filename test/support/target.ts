// What a suite of clients talks to: our broker, in a process of its own, or whatever listens at CLIENTS_BOOTSTRAP. The same
// suite thus runs against Apache Kafka, which shows that a case asks for Kafka's behaviour and not for ours.

import { startBrokerProcess } from '#test/support/broker-process.ts'

export interface Target {
  readonly host: string
  readonly port: number
  /** `host:port`: all that a client is told. */
  readonly address: string
  /** Whether it is our own broker. */
  readonly isOurs: boolean
  /** What the broker has printed, for the message of a failed case. */
  output(): string
  close(): Promise<void>
}

/** With further flags of `chronik start` if it is ours. */
export async function openTarget(flags: readonly string[] = []): Promise<Target> {
  const given = process.env.CLIENTS_BOOTSTRAP
  if (given !== undefined) {
    const { hostname, port } = new URL(`kafka://${given}`)
    return {
      host: hostname,
      port: Number(port),
      address: given,
      isOurs: false,
      output: () => '',
      close: async () => {},
    }
  }
  const broker = await startBrokerProcess({ flags })
  return { ...broker.kafka, isOurs: true, output: broker.output, close: broker.stop }
}

let topics = 0

/** A name that no earlier run has used either: the target may be an old one. */
export function uniqueTopic(purpose: string): string {
  topics++
  return `${purpose}-${process.pid.toString(36)}-${Date.now().toString(36)}-${topics}`
}
