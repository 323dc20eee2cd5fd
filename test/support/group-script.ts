import type { Settings } from '#config/settings.ts'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from './broker-fixture.ts'
import { assignmentOf, namedFrom, partitionsIn, shown, subscriptionOf } from './group-script-text.ts'

// Plays the life of a group from a script, through the handlers of a broker on a simulated disk, and writes down what comes of
// each line:
//
//   settings interval=0 members=3 policy=upgrade              first of all; times in seconds, here and below
//   topic t 4 | grow t 6 | delete t | configs consumer.session.timeout.ms=50000
//   join NAME topics=t,u [regex=] [assignor=] [instance=] [id=] [rebalance=60] [version=1]
//   beat NAME [owns] [owns=t:0,1] [epoch=] [topics=] [regex=] [assignor=]    owns: what it was told last
//   leave NAME | away NAME                                    away: a static member that will be back
//   cjoin NAME topics=t [owns=] [id=] [instance=] [session=10] [rebalance=60] [protocols=range] [version=9]
//   csync NAME [a=t:0,1 b=t:2] | cbeat NAME | cleave NAME     the classic protocol; the leader says who gets what
//   commit NAME t:0 [epoch=] [version=9] | fetch NAME [epoch=]
//   describe | list | remove
//   wait 3 | kill | restart | disk-full | disk-free
//
// A NAME stands for a client: it knows the id, the epoch and the partitions it was told last. Lines that begin with # or a
// space are not commands.

const GROUP = 'g'
/** For what is on its way to the disk. */
const SETTLED_MS = 20
const UNKNOWN_EPOCH = -1

type Options = Map<string, string>

interface Client {
  id: string
  epoch: number
  /** By topic name. */
  has: Map<string, number[]>
  instance: string | null
}

export class GroupScript {
  #fixture: BrokerFixture
  readonly #clients = new Map<string, Client>()
  readonly #labels = new Map<string, string>()
  #out: string[] = []

  private constructor(fixture: BrokerFixture) {
    this.#fixture = fixture
  }

  /** The script again, each command followed by what came of it. */
  static async play(text: string): Promise<string> {
    const commands = text.split('\n').filter(line => line !== '' && !line.startsWith(' '))
    const setting = commands.find(line => line.startsWith('settings ')) ?? ''
    const script = new GroupScript(await BrokerFixture.start(settingsOf(optionsOf(setting.split(' ')))))
    const lines: string[] = []
    for (const line of commands) {
      const isComment = line.startsWith('#')
      if (isComment && lines.length > 0) lines.push('')
      lines.push(line)
      if (isComment || line === setting) continue
      const results = await script.#run(line)
      lines.push(...results.map(result => `  ${result}`))
    }
    return `${lines.join('\n')}\n`
  }

  async #run(line: string): Promise<string[]> {
    const [verb = '', ...words] = line.split(' ')
    const [name = '', ...rest] = words.filter(word => !word.includes('='))
    this.#out = []
    const before = this.#summary()
    // Classic members wait for each other: an answer may come with a later command.
    const done = this.#act({ verb, name, rest, options: optionsOf(words) }).catch((thrown: unknown) => {
      this.#out.push(`${name}: ${String(thrown)}`)
    })
    if (verb === 'kill' || verb === 'restart') await done
    if (verb !== 'wait') await this.#fixture.clock.runFor(SETTLED_MS)
    else await done
    const after = this.#summary()
    return after === before ? this.#out : [...this.#out, `= ${after}`]
  }

  async #act(command: { verb: string; name: string; rest: readonly string[]; options: Options }): Promise<void> {
    const { verb, name, rest, options } = command
    const { clock } = this.#fixture
    switch (verb) {
      case 'topic':
      case 'grow':
      case 'delete':
        return this.#changeTopic(verb, name, Number(rest[0]))
      case 'configs':
        return this.#configure(options)
      case 'join':
        return this.#heartbeat(name, 0, options)
      case 'beat':
        return this.#heartbeat(name, Number(options.get('epoch') ?? this.#client(name).epoch), options, rest)
      case 'leave':
        return this.#heartbeat(name, -1, options)
      case 'away':
        return this.#heartbeat(name, -2, options)
      case 'cjoin':
        return this.#classicJoin(name, options)
      case 'csync':
        return this.#classicSync(name, options)
      case 'cbeat':
        return this.#classicHeartbeat(name, options)
      case 'cleave':
        return this.#classicLeave(name)
      case 'commit':
        return this.#commit(name, rest[0] ?? '', options)
      case 'fetch':
        return this.#fetch(name, options)
      case 'describe':
        return this.#describe()
      case 'list':
        return this.#list()
      case 'remove': {
        const { results } = await this.#fixture.begin('DeleteGroups', 2, { groupsNames: [GROUP] })
        this.#out.push(errorName(results[0]!.errorCode))
        return
      }
      case 'wait':
        return clock.runFor(Number(name) * 1000)
      case 'kill':
      case 'restart':
        this.#fixture = await this.#fixture[verb]()
        return
      case 'disk-full':
        return this.#fixture.fillDisk()
      case 'disk-free':
        return this.#fixture.freeDisk()
      default:
        throw new Error(`${verb} is no command`)
    }
  }

  // ---- administration

  async #changeTopic(verb: string, name: string, count: number): Promise<void> {
    if (verb === 'topic') {
      const topic = { name, numPartitions: count, replicationFactor: 1, assignments: [], configs: [] }
      await this.#fixture.begin('CreateTopics', 7, { topics: [topic], timeoutMs: 1000 })
    } else if (verb === 'grow') {
      await this.#fixture.begin('CreatePartitions', 3, {
        topics: [{ name, count, assignments: null }],
        timeoutMs: 1000,
      })
    } else await this.#fixture.begin('DeleteTopics', 5, { topicNames: [name], timeoutMs: 1000 })
  }

  async #configure(options: Options): Promise<void> {
    const configs = [...options].map(([name, value]) => ({ name, value, configOperation: 0 }))
    const resources = [{ resourceType: 32, resourceName: GROUP, configs }]
    const { responses } = await this.#fixture.begin('IncrementalAlterConfigs', 1, { resources, validateOnly: false })
    const [answer] = responses
    this.#out.push(`${errorName(answer!.errorCode)} ${answer!.errorMessage ?? ''}`.trimEnd())
  }

  async #describe(): Promise<void> {
    const consumer = await this.#fixture.begin('ConsumerGroupDescribe', 1, { groupIds: [GROUP] })
    const classic = await this.#fixture.begin('DescribeGroups', 6, { groups: [GROUP] })
    const [group] = consumer.groups
    this.#out.push(`consumer: ${errorName(group!.errorCode)} ${group!.errorMessage ?? group!.groupState}`)
    for (const member of group!.members) {
      const type = ['classic', 'consumer'][member.memberType] ?? '?'
      const wants = [...member.subscribedTopicNames, member.subscribedTopicRegex ?? ''].filter(text => text !== '')
      this.#out.push(`  ${this.#label(member.memberId)}: ${type}, wants ${wants.join(',') || 'nothing'}`)
    }
    const [old] = classic.groups
    this.#out.push(`classic: ${errorName(old!.errorCode)} ${old!.errorMessage ?? old!.groupState}`)
  }

  async #list(): Promise<void> {
    const { groups } = await this.#fixture.begin('ListGroups', 5, {})
    for (const group of groups) this.#out.push(`${group.groupType} ${group.protocolType} ${group.groupState}`)
  }

  // ---- the consumer protocol

  async #heartbeat(name: string, epoch: number, options: Options, flags: readonly string[] = []): Promise<void> {
    const client = this.#client(name, options)
    const joins = epoch === 0
    const told = options.has('owns') ? partitionsIn(options.get('owns')!) : flags.includes('owns') ? client.has : null
    const owned = joins ? new Map<string, number[]>() : told
    const answer = await this.#fixture.begin(
      'ConsumerGroupHeartbeat',
      Number(options.get('version') ?? 1),
      {
        groupId: GROUP,
        memberId: client.id,
        memberEpoch: epoch,
        instanceId: client.instance,
        rackId: null,
        rebalanceTimeoutMs: joins ? Number(options.get('rebalance') ?? 60) * 1000 : -1,
        subscribedTopicNames: listIn(options.get('topics')),
        subscribedTopicRegex: options.get('regex') ?? null,
        serverAssignor: options.get('assignor') ?? null,
        topicPartitions: owned === null ? null : this.#byId(owned),
      },
      { clientId: name },
    )
    if (answer.errorCode !== 0) {
      this.#out.push(`${name}: ${errorName(answer.errorCode)} ${answer.errorMessage ?? ''}`.trimEnd())
      return
    }
    client.id = answer.memberId ?? ''
    client.epoch = answer.memberEpoch
    this.#labels.set(client.id, name)
    const { assignment } = answer
    if (assignment !== null) client.has = this.#byName(assignment.topicPartitions)
    const has = assignment === null ? '' : `, has ${shown(client.has)}`
    this.#out.push(`${name}: epoch ${answer.memberEpoch}${has}`)
  }

  // ---- the classic protocol

  async #classicJoin(name: string, options: Options): Promise<void> {
    const client = this.#client(name, options)
    const owned = options.has('owns') ? partitionsIn(options.get('owns')!) : client.has
    const metadata = subscriptionOf(listIn(options.get('topics')) ?? [], owned)
    const protocols = listIn(options.get('protocols') ?? 'range') ?? []
    const answer = await this.#fixture.begin(
      'JoinGroup',
      Number(options.get('version') ?? 9),
      {
        groupId: GROUP,
        sessionTimeoutMs: Number(options.get('session') ?? 10) * 1000,
        rebalanceTimeoutMs: Number(options.get('rebalance') ?? 60) * 1000,
        memberId: options.get('id') ?? client.id,
        groupInstanceId: client.instance,
        protocolType: 'consumer',
        protocols: protocols.map(protocol => ({ name: protocol, metadata })),
      },
      { clientId: name },
    )
    if (answer.memberId !== '') client.id = answer.memberId
    this.#labels.set(client.id, name)
    if (answer.errorCode !== 0) {
      this.#out.push(`${name}: ${errorName(answer.errorCode)}`)
      return
    }
    client.epoch = answer.generationId
    const leads = answer.members.map(({ memberId }) => this.#label(memberId)).join(' ')
    const what = leads === '' ? 'follows' : `leads ${leads}`
    this.#out.push(`${name}: joined generation ${answer.generationId}, ${answer.protocolName}, ${what}`)
  }

  async #classicSync(name: string, options: Options): Promise<void> {
    const client = this.#client(name)
    const given = [...options].filter(([key]) => this.#clients.has(key))
    const answer = await this.#fixture.begin('SyncGroup', 5, {
      groupId: GROUP,
      generationId: client.epoch,
      memberId: client.id,
      groupInstanceId: client.instance,
      protocolType: 'consumer',
      protocolName: 'range',
      assignments: given.map(([to, what]) => ({
        memberId: this.#client(to).id,
        assignment: assignmentOf(partitionsIn(what)),
      })),
    })
    if (answer.errorCode === 0) client.has = namedFrom(Buffer.from(answer.assignment))
    this.#out.push(`${name}: ${answer.errorCode === 0 ? `has ${shown(client.has)}` : errorName(answer.errorCode)}`)
  }

  async #classicHeartbeat(name: string, options: Options): Promise<void> {
    const { id, epoch, instance } = this.#client(name)
    const { errorCode } = await this.#fixture.begin('Heartbeat', 4, {
      groupId: GROUP,
      generationId: Number(options.get('epoch') ?? epoch),
      memberId: id,
      groupInstanceId: instance,
    })
    this.#out.push(`${name}: ${errorName(errorCode)}`)
  }

  async #classicLeave(name: string): Promise<void> {
    const { id, instance } = this.#client(name)
    const members = [{ memberId: id, groupInstanceId: instance }]
    const answer = await this.#fixture.begin('LeaveGroup', 5, { groupId: GROUP, members })
    this.#out.push(`${name}: ${errorName(answer.members[0]?.errorCode ?? answer.errorCode)}`)
  }

  // ---- offsets

  async #commit(name: string, where: string, options: Options): Promise<void> {
    const client = this.#clients.get(name)
    const topics = [...partitionsIn(where)].map(([topic, partitions]) => ({
      name: topic,
      partitions: partitions.map(partitionIndex => ({ partitionIndex, committedOffset: 5, committedMetadata: '' })),
    }))
    const answer = await this.#fixture.begin('OffsetCommit', Number(options.get('version') ?? 9), {
      groupId: GROUP,
      generationIdOrMemberEpoch: Number(options.get('epoch') ?? client?.epoch ?? UNKNOWN_EPOCH),
      memberId: client?.id ?? '',
      groupInstanceId: null,
      topics,
    })
    const errors = answer.topics.flatMap(topic => topic.partitions.map(({ errorCode }) => errorName(errorCode)))
    this.#out.push(`${name}: ${errors.join(' ')}`)
  }

  async #fetch(name: string, options: Options): Promise<void> {
    const client = this.#clients.get(name)
    const memberEpoch = Number(options.get('epoch') ?? client?.epoch ?? UNKNOWN_EPOCH)
    const groups = [{ groupId: GROUP, memberId: client?.id ?? null, memberEpoch, topics: null }]
    const answer = await this.#fixture.begin('OffsetFetch', 9, { groups, requireStable: false })
    const [group] = answer.groups
    const offsets = group!.topics.flatMap(topic =>
      topic.partitions.map(
        ({ partitionIndex, committedOffset }) => `${topic.name}:${partitionIndex}=${committedOffset}`,
      ),
    )
    this.#out.push(`${name}: ${errorName(group!.errorCode)} ${offsets.join(' ')}`.trimEnd())
  }

  // ---- what is shown

  #client(name: string, options: Options = new Map()): Client {
    let client = this.#clients.get(name)
    if (client === undefined) {
      client = { id: '', epoch: 0, has: new Map(), instance: null }
      this.#clients.set(name, client)
    }
    client.instance = options.get('instance') ?? client.instance
    client.id = options.get('id') ?? (client.id === '' && options.has('topics') ? '' : client.id)
    return client
  }

  #label(id: string): string {
    return this.#labels.get(id) ?? id
  }

  #byId(named: ReadonlyMap<string, readonly number[]>) {
    const { topics } = this.#fixture.state
    return [...named].map(([name, partitions]) => ({ topicId: topics.get(name)?.id ?? '', partitions }))
  }

  #byName(topics: readonly { topicId: string; partitions: readonly number[] }[]): Map<string, number[]> {
    const { topicsById } = this.#fixture.state
    return new Map(topics.map(({ topicId, partitions }) => [topicsById.get(topicId)?.name ?? '?', [...partitions]]))
  }

  #summary(): string {
    const { state, broker } = this.#fixture
    const consumer = broker.groups.describeConsumer(GROUP)
    if (consumer === null) {
      const classic = broker.groups.describe(GROUP)
      if (classic === null) return 'no group'
      const members = classic.members.map(({ id, assignment }) => `${this.#label(id)} ${shown(namedFrom(assignment))}`)
      return `classic ${classic.phase}: ${members.join(', ') || 'nobody'}`
    }
    const name = (topicId: string): string => state.topicsById.get(topicId)?.name ?? 'gone'
    const members = [...consumer.members.values()].map(member => {
      const has = new Map([...member.assigned].map(([id, epochs]) => [name(id), [...epochs.keys()]]))
      const gives = new Map([...member.revoking].map(([id, epochs]) => [name(id), [...epochs.keys()]]))
      const target = new Map([...member.target].map(([id, partitions]) => [name(id), [...partitions]]))
      const revoking = gives.size === 0 ? '' : ` gives up ${shown(gives)}`
      const wanted = shown(target) === shown(has) ? '' : ` is to have ${shown(target)}`
      return `${this.#label(member.id)}@${member.epoch} ${member.state} ${shown(has)}${revoking}${wanted}`
    })
    return `epoch ${consumer.epoch}, target ${consumer.targetEpoch}: ${members.join('; ') || 'nobody'}`
  }
}

function settingsOf(options: Options): Partial<Settings> {
  const seconds = (name: string, fallback: number): number => Number(options.get(name) ?? fallback) * 1000
  return {
    groupConsumerAssignmentIntervalMs: seconds('interval', 0),
    groupInitialRebalanceDelayMs: seconds('delay', 0),
    groupConsumerMaxSize: Number(options.get('members') ?? 100),
    groupMaxSize: Number(options.get('classic') ?? 100),
    groupConsumerMigrationPolicy: (options.get('policy') ??
      'bidirectional') as Settings['groupConsumerMigrationPolicy'],
  }
}

function listIn(text: string | undefined): string[] | null {
  return text === undefined ? null : text.split(',').filter(item => item !== '')
}

function optionsOf(words: readonly string[]): Options {
  return new Map(words.filter(word => word.includes('=')).map(word => word.split(/=(.*)/, 2) as [string, string]))
}
