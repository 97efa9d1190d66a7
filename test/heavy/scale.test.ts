/** Graphs of up to a million operations or leaves: no recursion, bounded memory, time that grows with the number of nodes and no faster. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const script = fileURLToPath(new URL('./scale.ts', import.meta.url))

describe('a million', () => {
  for (const what of ['chain', 'adds', 'cat', 'stack']) {
    test(what, { timeout: 600_000 }, () => {
      const made = spawnSync(process.execPath, ['--import', 'tsx', script, what], { encoding: 'utf8' })
      if (made.status !== 0) throw new Error(`${made.stdout}\n${made.stderr}`)
      const { costs, bytes } = JSON.parse(made.stdout.trim().split('\n').at(-1)!) as { costs: Record<string, number>; bytes: number }
      expect(costs['1e3']! / costs['1e2']!).toBeLessThan(1.5)
      // Collecting what survives costs more as the graph outgrows the caches; a quadratic term would make it ten times as much.
      expect(costs['1e6']! / costs['1e5']!).toBeLessThan(3)
      expect(bytes).toBeLessThan(1000)
    })
  }
})
