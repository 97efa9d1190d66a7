/** Views made again: every view operation, in chains, on changed bases and on other ones. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'

type T = torch.Tensor
const { autograd } = torch

/** View operations by the names of their records, on a tensor of shape [2, 3, 4]. */
const VIEWS: Readonly<Record<string, (x: T) => T | T[]>> = {
  view: (x) => x.view([6, 4]),
  expand: (x) => x.expand([2, 2, 3, 4]),
  permute: (x) => x.permute([2, 0, 1]),
  transpose: (x) => x.transpose(0, 2),
  select: (x) => x.select(1, 2),
  slice: (x) => x.get(torch.range(0, 2), torch.range(1, 3)).narrow(2, 1, 2),
  squeeze: (x) => x.narrow(0, 1, 1).squeeze(0),
  unsqueeze: (x) => x.unsqueeze(1),
  diagonal: (x) => x.diagonal({ offset: 1, dim1: 1, dim2: 2 }),
  unfold: (x) => x.unfold(2, 3, 1),
  asStrided: (x) => x.asStrided([2, 2], [12, 1], x.layout.offset + 5),
  split: (x) => x.split(2, 2),
  unbind: (x) => x.unbind(1),
}
/** Chains of them, one with an in-place form of a view at its end. */
const CHAINS: Readonly<Record<string, (x: T) => T>> = {
  rows: (x) => x.view([6, 4]).t().narrow(0, 1, 2).unsqueeze(0),
  corner: (x) => x.get(1).diagonal().get(0),
  strided: (x) => x.transpose(0, 1).asStrided([3, 2], [4, 12]).select(1, 1),
  turned: (x) => x.get(0).t_(),
}
const made = (f: (x: T) => T | T[], x: T): T[] => [f(x)].flat()
const base = (requiresGrad: boolean): T => torch.arange(24, { dtype: 'float64' }).reshape([2, 3, 4]).add(1).requiresGrad_(requiresGrad)
const tracked = <R>(fn: () => R): R => {
  const tracking = autograd.forceOriginalViewTracking(true)
  try {
    return fn()
  } finally {
    tracking.restore()
  }
}
const place = ({ layout }: T): unknown => [layout.shape, layout.strides, layout.offset]

test('every view operation is here', () => {
  const folder = new URL('../../src/ops', import.meta.url).pathname
  const declared = readdirSync(folder).flatMap((file) => {
    const text = readFileSync(join(folder, file), 'utf8')
    const views = [...text.matchAll(/\b(?:declareView|view)(?:<[^(]*>)?\('(\w+)', \{\n/g)].map((m) => m[1]!)
    const parts = [...text.matchAll(/\('(\w+)',[^\n]*view: 'multiOutput'/g)].map((m) => m[1]!)
    return [...views, ...parts, ...(text.includes("\n  view: 'multiOutput'") ? ['unbind'] : [])]
  })
  expect(declared.sort()).toEqual(Object.keys(VIEWS).sort())
})

describe('view_func_replay', () => {
  for (const [name, f] of Object.entries({ ...VIEWS, ...CHAINS })) {
    for (const remembers of [true, false]) {
      test(`${name}, by ${remembers ? 'its operations' : 'strides'}`, () => {
        const x = base(false)
        const views = remembers ? tracked(() => made(f, x)) : made(f, x)
        // Another base, somewhere else in its storage, that is part of a graph.
        const other = torch.arange(48, { dtype: 'float64' }).view([2, 2, 3, 4]).select(0, 1)
        const leaf = base(true)
        const moved = leaf.mul(2)
        const direct = made(f, moved)
        views.forEach((view, i) => {
          expect(view._base === x).toBe(true)
          const same = autograd.viewFunc(view, x)
          expect([place(same), same._base === x]).toEqual([place(view), true])
          const there = autograd.viewFunc(view, other)
          expect(there.tolist()).toEqual(made(f, other)[i]!.tolist())
          const recorded = autograd.viewFunc(view, moved)
          // The in-place form isn't an operation of the chain.
          if (remembers && name !== 'turned') expect(recorded.gradFn!.name()).toBe(direct[i]!.gradFn!.name())
          else if (!remembers) expect(recorded.gradFn!.name()).toBe('AsStridedBackward0')
          const [ours] = autograd.grad(recorded.square().sum(), leaf, { retainGraph: true })
          const [theirs] = autograd.grad(direct[i]!.square().sum(), leaf, { retainGraph: true })
          expect(ours!.tolist()).toEqual(theirs!.tolist())
        })
      })
    }
  }

  test('what is no view, or laid out otherwise, is refused', () => {
    const x = base(false)
    expect(() => autograd.viewFunc(x, x)).toThrow(/is not a view of another/)
    expect(() => autograd.viewFunc(x.get(0), x.transpose(0, 1))).toThrow(torch.ShapeError)
    expect(() => autograd.viewFunc(x.get(0), torch.ones([2, 3]))).toThrow(/laid out like the view's base/)
    expect(() => autograd.viewFunc(x.get(0), x, { parameters: (_, p) => p })).toThrow(/knows no operations/)
    expect(() => autograd.forceOriginalViewTracking(1 as never)).toThrow(/must be true or false/)
  })
})

test('view_func_replay_with_modified_state', () => {
  const [x, y] = [base(false), base(false).mul(10)]
  const view = tracked(() => x.select(1, 1).narrow(0, 1, 1))
  const names: string[] = []
  const other = autograd.viewFunc(view, y, {
    parameters: (op, p) => {
      names.push(op)
      return op === 'select' ? { ...p, index: 2 } : p
    },
  })
  expect(names).toEqual(['select', 'slice'])
  expect(other.tolist()).toEqual(y.select(1, 2).narrow(0, 1, 1).tolist())
  // The view itself remembers what it was made with.
  expect(autograd.viewFunc(view, y).tolist()).toEqual(y.select(1, 1).narrow(0, 1, 1).tolist())
})

describe('in-place changes of a base', () => {
  for (const [name, f] of Object.entries({ ...VIEWS, ...CHAINS })) {
    // Parts of several can't follow changes.
    if (name === 'split' || name === 'unbind') continue
    test(`${name}: the same gradients by its operations and by strides`, () => {
      const run = (): { grad: unknown; node: string; second: unknown } => {
        const leaf = base(true)
        const x = leaf.clone()
        const v = f(x) as T
        x.mul_(leaf)
        if (!v.layout.overlapping) v.mul_(3)
        const node = v.gradFn!.name()
        const [g] = autograd.grad(v.square().sum(), leaf, { createGraph: true })
        const [second] = autograd.grad(g!.square().sum(), leaf)
        return { grad: g!.tolist(), node, second: second!.tolist() }
      }
      const [ours, theirs] = [tracked(run), run()]
      expect([ours.grad, ours.second]).toEqual([theirs.grad, theirs.second])
      expect(theirs.node).toBe('AsStridedBackward0')
      if (name !== 'turned') expect(ours.node).toBe(made(f, base(true).mul(1))[0]!.gradFn!.name())
      else expect(ours.node).toBe('AsStridedBackward0')
    })
  }

  test('selective checkpoints see the program, not what is made again', () => {
    const ops: string[] = []
    const policy = (_: unknown, op: string): boolean => {
      ops.push(op)
      return false
    }
    const x = base(true)
    tracked(() =>
      autograd.checkpoint
        .with({ contextFn: () => autograd.createSelectiveCheckpointContexts(policy) })((t: T) => {
          const y = t.mul(2)
          y.select(0, 1).mul_(3)
          return y.sin()
        }, x)
        .sum()
        .backward(),
    )
    expect(ops.slice(0, 3)).toEqual(['mul', 'select', 'sin'])
  })
})
