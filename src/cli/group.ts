import { type ControlRequest, controlRequest } from '#http/http.ts'
import type { GroupDescription, GroupPage, GroupSummary, ResetOutcome, TopicChoice } from '#kafka/kafka.ts'
import { systemProcess } from '#system/process.ts'
import { type Command, readOptions, UsageError } from './command.ts'
import { resetTarget, TARGET_FLAGS, TARGET_OPTIONS } from './reset-target.ts'
import { printable, table } from './table.ts'

const HELP = `Usage: chronik group list                         --data-dir DIR [--json]
       chronik group describe GROUP               --data-dir DIR [--members] [--json]
       chronik group reset-offsets GROUP TARGET   --data-dir DIR [--topic NAME[:P,P]] [--dry-run] [--json]
       chronik group delete GROUP                 --data-dir DIR [--topic NAME[:P,P]]

Asks the running broker for its consumer groups, and sets or deletes their offsets.

  list                all groups: type, state, members, and how many records they are behind
  describe            where a group stands in each partition, and who reads it
  reset-offsets       sets where a group without members goes on. Offsets that are not there become the nearest that are
  delete              removes a group without members, and its offsets

  --data-dir DIR      directory of the data of the broker, which must be running
  --json              print JSON, for programs
  --members           of describe: the members, and what each is assigned

A TARGET of reset-offsets is one of these:

  --to-earliest       the first record that is left
  --to-latest         the end: only what comes from now on
  --to-offset N       this offset
  --to-datetime TIME  the first record from this time on: 2026-01-31T12:00:00.000Z, UTC unless it names a zone
  --by-duration TIME  the first record of the last 30s, 10m, 1h, 7d, by the clock of the broker
  --shift-by N        N records on from where the group is; back, if N is negative

  --topic NAME[:P,P]  only this topic, or only these partitions of it; without it all that the group has committed. With it,
                      a group is made if there is none. Of delete: only these offsets, if no member reads the topic
  --dry-run           say what would be set, and set nothing
`

export const groupCommand: Command = {
  name: 'group',
  summary: 'Show consumer groups and their lag, reset or delete their offsets.',
  help: () => HELP,
  run,
}

const ASK_MS = 30_000
/** Records may have to be searched by time. */
const RESET_MS = 600_000

const ACTIONS: Readonly<Record<string, (argv: readonly string[]) => Promise<void>>> = {
  list,
  describe,
  'reset-offsets': reset,
  delete: remove,
}

async function run(argv: readonly string[]): Promise<number> {
  const [name = '', ...rest] = argv
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined
  if (action === undefined) {
    throw new UsageError(
      `say what to do with groups: ${Object.keys(ACTIONS).join(', ')}. 'chronik group --help' has more`,
    )
  }
  await action(rest)
  return 0
}

// ---- what they do

async function list(argv: readonly string[]): Promise<void> {
  const { json, ...options } = readOptions(argv, ['data-dir'], ['json'])
  const groups: GroupSummary[] = []
  for (let from: number | null = 0; from !== null; ) {
    const page = (await ask(options, { method: 'GET', path: `/groups?from=${from}`, timeoutMs: ASK_MS })) as GroupPage
    groups.push(...page.groups)
    from = page.next
  }
  groups.sort((a, b) => (a.group < b.group ? -1 : 1))
  if (json) printJson({ groups })
  else if (groups.length === 0) systemProcess.print('there are no groups\n')
  else {
    const rows = groups.map(({ group, type, state, members, lag }) => [group, type, state, members, lag])
    systemProcess.print(table(['GROUP', 'TYPE', 'STATE', 'MEMBERS', 'LAG'], rows))
  }
}

async function describe(argv: readonly string[]): Promise<void> {
  const [group, rest] = groupName(argv)
  const { json, members, ...options } = readOptions(rest, ['data-dir'], ['json', 'members'])
  const path = `/groups/describe?group=${encodeURIComponent(group)}`
  const found = (await ask(options, { method: 'GET', path, timeoutMs: ASK_MS })) as GroupDescription
  if (json) printJson(found)
  else systemProcess.print(`${headline(found)}\n\n${members ? membersOf(found) : partitionsOf(found)}`)
}

async function reset(argv: readonly string[]): Promise<void> {
  const [group, rest] = groupName(argv)
  const options = readOptions(rest, ['data-dir', 'topic', ...TARGET_OPTIONS], ['json', 'dry-run', ...TARGET_FLAGS])
  const body = {
    group,
    target: resetTarget(options),
    choice: topicChoice(options.topic),
    dryRun: options['dry-run'] ?? false,
  }
  const request = { method: 'POST', path: '/groups/reset-offsets', body, timeoutMs: RESET_MS } as const
  const outcome = (await ask(options, request)) as ResetOutcome
  if (options.json) printJson(outcome)
  else systemProcess.print(outcomeText(outcome))
}

async function remove(argv: readonly string[]): Promise<void> {
  const [group, rest] = groupName(argv)
  const options = readOptions(rest, ['data-dir', 'topic'], [])
  const choice = topicChoice(options.topic)
  await ask(options, { method: 'POST', path: '/groups/delete', body: { group, choice }, timeoutMs: ASK_MS })
  const what = choice === null ? '' : `offsets of topic ${choice.topic} in `
  systemProcess.print(`deleted: ${what}group ${printable(group)}\n`)
}

// ---- what they are given

function groupName([group, ...rest]: readonly string[]): [string, readonly string[]] {
  if (group === undefined || group === '' || group.startsWith('--')) throw new UsageError('name the group first')
  return [group, rest]
}

function topicChoice(text: string | undefined): TopicChoice | null {
  if (text === undefined) return null
  const [, topic = '', partitions] = /^([^:]+)(?::(\d{1,9}(?:,\d{1,9})*))?$/.exec(text) ?? []
  if (topic === '') throw new UsageError(`--topic takes NAME or NAME:0,1,2, not '${text}'`)
  return { topic, partitions: partitions?.split(',').map(Number) ?? null }
}

function ask(options: { readonly 'data-dir'?: string }, request: ControlRequest): Promise<unknown> {
  const dataDir = options['data-dir']
  if (dataDir === undefined) throw new UsageError('--data-dir is needed')
  return controlRequest(dataDir, request)
}

// ---- what they print

function printJson(value: unknown): void {
  systemProcess.print(`${JSON.stringify(value, null, 2)}\n`)
}

function headline({ group, type, state, protocolType, protocol, members, lag, coordinator }: GroupDescription): string {
  const assigned = protocol === '' ? '' : `, ${protocolType}/${protocol}`
  const count = members.length === 1 ? '1 member' : `${members.length} members`
  const name = printable(group)
  return `${name}: ${type}, ${state}${assigned}, ${count}, lag ${lag}, coordinator is broker ${coordinator}`
}

function partitionsOf({ partitions }: GroupDescription): string {
  if (partitions.length === 0) return 'nothing was committed, and nothing is assigned\n'
  const rows = partitions.map(({ topic, partition, committed, end, lag, member, client, host }) => {
    return [topic, partition, committed, end, lag, member, client, host]
  })
  return table(['TOPIC', 'PARTITION', 'COMMITTED', 'END', 'LAG', 'MEMBER', 'CLIENT', 'HOST'], rows)
}

function membersOf({ members }: GroupDescription): string {
  if (members.length === 0) return 'nobody is a member\n'
  const rows = members.map(({ member, instance, client, host, assignment }) => {
    const assigned = assignment?.map(({ topic, partitions }) => `${topic}:${partitions.join(',')}`).join(' ')
    return [member, instance, client, host, assigned ?? 'not readable: it is no consumer']
  })
  return table(['MEMBER', 'INSTANCE', 'CLIENT', 'HOST', 'ASSIGNMENT'], rows)
}

function outcomeText({ group, isNew, dryRun, partitions }: ResetOutcome): string {
  const rows = partitions.map(({ topic, partition, before, after, note }) => [
    topic,
    partition,
    before,
    after,
    note ?? '',
  ])
  const done = dryRun ? 'a dry run: nothing was set' : `set in group ${printable(group)}`
  return `${table(['TOPIC', 'PARTITION', 'BEFORE', 'AFTER', 'NOTE'], rows)}\n${done}${isNew ? '; the group is new' : ''}\n`
}
