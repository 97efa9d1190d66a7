/** Graphs of up to a million operations or leaves: no recursion, bounded memory, time that grows with the number of nodes and no faster. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const script = fileURLToPath(new URL('./scale.ts', import.meta.url))

interface Report {
  costs: Record<string, number>
  bytes: number
}

function run(...args: string[]): Report {
  const made = spawnSync(process.execPath, ['--import', 'tsx', script, ...args], { encoding: 'utf8' })
  if (made.status !== 0) throw new Error(`${made.stdout}\n${made.stderr}`)
  return JSON.parse(made.stdout.trim().split('\n').at(-1)!) as Report
}

describe('a million', () => {
  for (const what of ['chain', 'adds', 'cat', 'stack']) {
    test(what, { timeout: 600_000 }, () => {
      const { costs, bytes } = run(what, '6')
      const growth = (c: Record<string, number>): number => c['1e3']! / c['1e2']!
      // Small graphs are timed in fractions of a millisecond: of two runs one must be undisturbed.
      expect(Math.min(growth(costs), growth(costs) < 1.5 ? 1 : growth(run(what, '3').costs))).toBeLessThan(1.5)
      // Collecting what survives costs more as the graph outgrows the caches; a quadratic term would make it ten times as much.
      expect(costs['1e6']! / costs['1e5']!).toBeLessThan(3)
      expect(bytes).toBeLessThan(1000)
    })
  }
})
