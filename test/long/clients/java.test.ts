import { kafkaClasspath, missingForKafka } from '#test/support/kafka-peer.ts'
import { COORDINATION } from './catalogue.ts'
import { describeClient } from './client-program.ts'
import { here } from './here.ts'

describeClient({
  client: 'the Java clients',
  missing: missingForKafka(),
  lacks: { 'alter-configs': 'it has IncrementalAlterConfigs only' },
  also: {
    'topic-ids': 'describes and deletes a topic by its id',
    'log-append-time': 'is told the time of the broker where the topic wants it',
    'log-dirs': 'describes how large a partition is',
    producers: 'describes the producers of a partition',
    features: 'describes the features',
    quorum: 'describes a quorum of one',
    elections: 'is told that an election is not needed',
    reassignments: 'lists no reassignments, and takes one to where the partition is',
    acls: 'is told that security is disabled',
    'config-resources': 'lists what has configs',
  },
  // Java compiles a program of one file when it runs it.
  prepare: async () => ({ file: 'java', args: ['-cp', await kafkaClasspath(), here('./java/JavaClientCases.java')] }),
})

describeClient({
  client: 'the Java clients in groups and transactions',
  missing: missingForKafka(),
  catalogue: COORDINATION,
  also: {
    cooperative: 'takes away only what moves, with cooperative-sticky',
    range: 'assigns ranges',
    'seek-committed': 'pauses, resumes, wakes up and seeks in its partitions',
    'commit-async': 'commits without waiting',
    'remove-members': 'is a member again after an administrator sent it away',
    'delete-offsets': 'deletes offsets of topics nobody is subscribed to',
    'describe-transactions': 'lists and describes transactions',
    'fence-producers': 'fences producers as an administrator',
    'transaction-timeout': 'is told that its transaction took too long',
  },
  prepare: async () => ({ file: 'java', args: ['-cp', await kafkaClasspath(), here('./java/JavaGroupCases.java')] }),
})
