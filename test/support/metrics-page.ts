// What a scrape says, by the name of the series as it stands there: `name` or `name{label="value"}`.

export type MetricsPage = ReadonlyMap<string, number>

export async function scrape(metrics: { host: string; port: number }): Promise<MetricsPage> {
  const answer = await fetch(`http://${metrics.host}:${metrics.port}/metrics`)
  if (answer.status !== 200) throw new Error(`/metrics answered ${answer.status}: ${await answer.text()}`)
  const page = new Map<string, number>()
  for (const line of (await answer.text()).split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const at = line.lastIndexOf(' ')
    page.set(line.slice(0, at), Number(line.slice(at + 1)))
  }
  return page
}
