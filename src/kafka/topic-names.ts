// Which names a topic may have (Kafka: org.apache.kafka.common.internals.Topic).

export const TOPIC_NAME_MAX_LENGTH = 249
const LEGAL = /^[a-zA-Z0-9._-]+$/

/** Topics that Kafka keeps its own state in. Here that is in the commit log, and there are no such topics. */
const RESERVED: ReadonlySet<string> = new Set(['__consumer_offsets', '__transaction_state', '__cluster_metadata'])

export function isReservedTopicName(name: string): boolean {
  return RESERVED.has(name)
}

/** What is wrong with the form of a name, in Kafka's words; null if nothing is. */
export function topicNameProblem(name: string): string | null {
  if (name === '') return 'Topic name is invalid: the empty string is not allowed'
  if (name === '.' || name === '..') return `Topic name is invalid: '${name}' is not allowed`
  if (name.length > TOPIC_NAME_MAX_LENGTH) {
    return `Topic name is invalid: the length of '${name}' is longer than the max allowed length ${TOPIC_NAME_MAX_LENGTH}`
  }
  if (!LEGAL.test(name)) {
    return `Topic name is invalid: '${name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'`
  }
  return null
}

/** Tools confuse names that differ by nothing but '.' in the place of '_': they are one here. */
export function lookalikeOf(name: string): string {
  return name.replaceAll('.', '_')
}
