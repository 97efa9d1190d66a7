/** Long synchronous loops: resident memory stays flat, sweeps stay cheap, survivors pin little. Each runs in a process of its own. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

interface Report {
  rss: number[]
  seconds: number
  sweepTime: number
  sweeps: number
  used: number
  kernels: number
}

function run(...args: string[]): Report {
  const script = fileURLToPath(new URL('./loop.ts', import.meta.url))
  const made = spawnSync(process.execPath, ['--import', 'tsx', script, ...args], { encoding: 'utf8', maxBuffer: 1 << 26 })
  if (made.status !== 0) throw new Error(`${made.stdout}\n${made.stderr}`)
  return JSON.parse(made.stdout.trim().split('\n').at(-1)!) as Report
}

const MB = 1e6

describe('200,000 synchronous steps of a small network', () => {
  test('without scope(): flat after the first tenth, under 600 MB', { timeout: 300_000 }, () => {
    const { rss } = run('train', '200000')
    const early = rss[1]!
    const late = Math.max(...rss.slice(2))
    expect(late).toBeLessThan(600 * MB)
    expect(late / early).toBeLessThan(1.1)
  })

  test('under scope(): under 200 MB', { timeout: 300_000 }, () => {
    const { rss } = run('scope', '200000')
    expect(Math.max(...rss)).toBeLessThan(200 * MB)
  })
})

test('sweeps take at most 5 % of the time, also beside 300 MB of live objects', { timeout: 300_000 }, () => {
  for (const ballast of ['0', '300']) {
    const { seconds, sweepTime, sweeps } = run('train', '100000', ballast)
    expect(sweeps).toBeGreaterThan(0)
    expect(sweepTime / 1000 / seconds).toBeLessThan(0.05)
  }
})

test('keeping 1 of 64 small tensors for 20,000 steps pins at most 4 × their bytes beyond the budget', { timeout: 300_000 }, () => {
  const { used } = run('keep', '20000')
  expect(used).toBeLessThan(4 * 20_000 * 1024 + 256 * 1048576)
})

test('100,000 different scalar operands compile no new kernel', { timeout: 300_000 }, () => {
  expect(run('scalars', '100000').kernels).toBe(0)
})
