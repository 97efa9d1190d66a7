/** No sequence of public calls reads released memory: random programs while free blocks are poisoned and what lives is moved. */
import { afterEach, expect, test } from 'vitest'
import { configureMemory, memoryStats } from '../../src/index.ts'
import { collector } from '../../src/memory/collector.ts'
import { RandomProgram } from './programs.ts'

afterEach(() => {
  configureMemory({ stress: false })
})

test('random programs, swept at random points', () => {
  collector().heap.poison = true
  const { swept } = memoryStats()
  for (let seed = 1; seed <= 10; seed++) new RandomProgram(seed).run(120)
  expect(memoryStats().swept).toBeGreaterThan(swept)
})

test('random programs, swept at every allocation', () => {
  configureMemory({ stress: true })
  const { sweeps } = memoryStats()
  for (let seed = 101; seed <= 102; seed++) new RandomProgram(seed).run(30)
  expect(memoryStats().sweeps).toBeGreaterThan(sweeps + 100)
})
