/** Depth: no recursion in the engine; passes inside of passes as deep as the stack allows, and whole again after an overflow. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { nested, type Outcome } from './nested.ts'

const { autograd, noGrad, tensor } = torch
type T = torch.Tensor
const one = (value: number): T => tensor(value, { dtype: 'float64', requiresGrad: true })

describe('deep and wide graphs', () => {
  test('free_deep_graph', () => {
    const x = one(1)
    let y = x.clone()
    for (let i = 0; i < 150_000; i++) y = y.add(0.000001)
    y.backward()
    expect(x.grad!.item()).toBe(1)
  })

  test('free_deep_graph_complicated', () => {
    // Each step uses both of its predecessors: the number of paths doubles, the work doesn't.
    const x = one(1)
    let a = x.mul(1)
    let b = x.mul(1)
    for (let i = 0; i < 50_000; i++) {
      const next = a.add(b).mul(0.5)
      a = b
      b = next
    }
    b.backward()
    expect(x.grad!.item()).toBeCloseTo(1, 9)
    // Dropped without a pass: nothing has to be unwound.
    let dropped = x
    for (let i = 0; i < 100_000; i++) dropped = dropped.add(dropped)
    expect(dropped.requiresGrad).toBe(true)
  })

  test('a sum of 200,000 leaves, in one node and in a tree', () => {
    const leaves = noGrad(() => Array.from({ length: 200_000 }, () => one(2)))
    torch.stack(leaves).sum().backward()
    expect(leaves[0]!.grad!.item()).toBe(1)
    expect(leaves.at(-1)!.grad!.item()).toBe(1)
    let level: T[] = leaves
    while (level.length > 1) {
      const next: T[] = []
      for (let i = 0; i + 1 < level.length; i += 2) next.push(level[i]!.add(level[i + 1]!))
      if (level.length % 2 === 1) next.push(level.at(-1)!)
      level = next
    }
    level[0]!.backward()
    expect([leaves[0]!.grad!.item(), leaves.at(-1)!.grad!.item()]).toEqual([2, 2])
  })

  test('backward_create_graph_warns', () => {
    // Nothing to warn of: a cycle between a leaf and its gradient is the garbage collector's.
    const warned: string[] = []
    const before = torch.setWarningHandler((text) => void warned.push(String(text)))
    const x = one(2)
    x.mul(x).backward({ createGraph: true })
    torch.setWarningHandler(before)
    expect(warned).toEqual([])
    expect(x.grad!.requiresGrad).toBe(true)
  })
})

describe('deep_reentrant', () => {
  test('500 passes inside each other on the usual stack', () => {
    expect(nested(500)).toEqual({ grad: 500, modes: [true, false], error: null })
  })

  test('2,000 with a larger stack', () => {
    const run = spawnSync(
      process.execPath,
      ['--stack-size=7800', '--import', 'tsx', fileURLToPath(new URL('./nested.ts', import.meta.url)), '2000'],
      {
        encoding: 'utf8',
      },
    )
    expect(run.stderr).toBe('')
    expect(JSON.parse(run.stdout)).toEqual({ grad: 2000, modes: [true, false], error: null })
  })

  test('an overflow is a typed error; modes, retained graphs and memory are as before', () => {
    const x = one(3)
    const y = x.mul(x)
    y.backward({ retainGraph: true })
    const live = torch.memoryStats()
    const outcome: Outcome = nested(1_000_000)
    expect(outcome.error).toMatch(/^GraphError: .*stack/)
    expect(outcome.modes).toEqual([true, false])
    expect(outcome.grad).toBe(null)
    expect(autograd.graph.currentGraphTaskId()).toBe(-1)
    y.backward()
    expect(x.grad!.item()).toBe(12)
    expect(nested(3)).toEqual({ grad: 3, modes: [true, false], error: null })
    expect(torch.memoryStats().used).toBeLessThan(live.used + 2 ** 20)
  })
})
