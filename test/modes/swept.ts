/** Sweeps of both kinds all the time, from the first tensor on, and NaNs in whatever they give back. */
import { configureMemory } from '../../src/index.ts'
import { collector } from '../../src/memory/collector.ts'

configureMemory({ budget: 2 ** 20 })
collector().heap.poison = true
collector().sweepYoung()
