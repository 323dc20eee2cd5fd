import { describe, expect, it } from 'vitest'
import type { ChronikError } from '#base/errors.ts'
import { groupRoutes } from '#kafka/group-routes.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import { commitOffsets, committedOffsets } from '#test/support/group-members.ts'

async function start() {
  const fixture = await BrokerFixture.start()
  await fixture.createTopic('t')
  await commitOffsets(fixture, 'a group/&=', { t: { 0: 0 } })
  const routes = groupRoutes(fixture.broker)
  const { signal } = new AbortController()
  const ask = async (path: string, given: { query?: string; body?: string } = {}): Promise<unknown> => {
    const route = routes.find(candidate => candidate.path === path)
    const request = { query: new URLSearchParams(given.query ?? ''), body: Buffer.from(given.body ?? ''), signal }
    const answering = async () => route?.handle(request)
    const answer = await fixture.clock.run(answering())
    return answer === undefined ? undefined : JSON.parse(answer.body)
  }
  const refusal = (path: string, given: { query?: string; body?: string }): Promise<string> =>
    ask(path, given).then(
      () => 'no error',
      (error: ChronikError) => `${error.code}: ${error.message}`,
    )
  return { fixture, ask, refusal }
}

const RESET = '/groups/reset-offsets'
const good = { group: 'a group/&=', target: { kind: 'latest' }, choice: null, dryRun: true }

describe('groups on the control socket', () => {
  it('are listed and described by names of any kind', async () => {
    const { ask } = await start()
    expect(await ask('/groups')).toMatchObject({ groups: [{ group: 'a group/&=' }], next: null })
    expect(await ask('/groups', { query: 'from=1' })).toEqual({ groups: [], next: null })
    const query = `group=${encodeURIComponent('a group/&=')}`
    expect(await ask('/groups/describe', { query })).toMatchObject({ group: 'a group/&=', lag: 0 })
  })

  it('are reset and deleted', async () => {
    const { fixture, ask } = await start()
    await fixture.append('t', [{ value: 'x' }])
    expect(await ask(RESET, { body: JSON.stringify({ ...good, dryRun: false }) })).toMatchObject({
      partitions: [{ topic: 't', partition: 0, before: 0, after: 1, note: null }],
    })
    expect(committedOffsets(fixture, 'a group/&=')).toEqual({ t: { 0: 1 } })
    expect(await ask('/groups/delete', { body: JSON.stringify({ group: 'a group/&=' }) })).toEqual({})
    expect(fixture.state.groups.size).toBe(0)
  })

  it('are left alone by what makes no sense', async () => {
    const { refusal } = await start()
    const reset = (fields: object) => refusal(RESET, { body: JSON.stringify({ ...good, ...fields }) })
    const of = (message: string) => `INVALID_REQUEST: ${message}`
    expect(await refusal(RESET, { body: 'no JSON' })).toBe(of('the body must be JSON'))
    expect(await refusal(RESET, { body: '[]' })).toBe(of('the body must be an object'))
    expect(await reset({ group: '' })).toBe(of('group must be a text that is not empty'))
    expect(await reset({ dryRun: undefined })).toBe(of('dryRun must be true or false'))
    expect(await reset({ target: null })).toBe(of('target must be an object'))
    expect(await reset({ target: { kind: 'now' } })).toContain('kind of the target')
    expect(await reset({ target: { kind: 'offset', offset: -1 } })).toBe(of('offset must be a whole number from 0'))
    expect(await reset({ target: { kind: 'time', timestampMs: 'now' } })).toContain('timestampMs must be')
    expect(await reset({ target: { kind: 'age' } })).toContain('ageMs must be')
    expect(await reset({ target: { kind: 'shift', by: 0.5 } })).toBe(of('by must be a whole number'))
    expect(await reset({ choice: { topic: 7 } })).toContain('topic must be')
    expect(await reset({ choice: { topic: 't', partitions: 0 } })).toBe(of('partitions must be an array'))
    expect(await reset({ choice: { topic: 't', partitions: ['0'] } })).toContain('a partition must be')
    expect(await refusal('/groups/describe', { query: '' })).toBe(of('group must be a text that is not empty'))
    expect(await refusal('/groups', { query: 'from=x' })).toBe(of('from must be a whole number from 0'))
    expect(await refusal('/groups/delete', { body: '{"group":"none"}' })).toContain('GROUP_NOT_FOUND')
  })
})
