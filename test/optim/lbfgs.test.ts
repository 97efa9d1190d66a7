/** L-BFGS against PyTorch's iterates, its state, and what it refuses. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'

const { optim, tensor } = torch
type Tensor = torch.Tensor
type Nested = number | Nested[]
interface Fixture {
  t: number[]
  y: number[]
  starts: Record<string, Nested[]>
  cases: {
    problem: string
    dtype: 'float32' | 'float64'
    options: Record<string, unknown>
    steps: { params: Nested[]; loss: number; evals: number; iterations: number }[]
  }[]
}
const fixture = JSON.parse(readFileSync(new URL('./lbfgs.json', import.meta.url), 'utf8')) as Fixture

const problems: Record<string, (x: Tensor[]) => Tensor> = {
  rosenbrock: ([x]) => {
    const [a, b] = x!.unbind() as [Tensor, Tensor]
    return a
      .sub(1)
      .pow(2)
      .add(b.sub(a.mul(a)).pow(2).mul(100))
  },
  curve: ([p, pulse]) => {
    const [size, decay] = p!.unbind() as [Tensor, Tensor]
    const t = tensor(fixture.t, { dtype: p!.dtype })
    const fit = size.mul(t.mul(decay.neg()).exp()).mul(t.mul(pulse!).cos())
    return fit
      .sub(tensor(fixture.y, { dtype: p!.dtype }))
      .pow(2)
      .sum()
  },
  bowl: ([w, b]) => {
    const weights = torch.arange(1, 7, { dtype: w!.dtype }).reshape([2, 3])
    return w!.mul(w!).mul(weights).sum().add(w!.sum(0).add(b!).sub(1).pow(4).sum()).add(b!.mul(b!).sum())
  },
}
const camel = (name: string): string => name.replace(/_(.)/g, (_, c: string) => c.toUpperCase())
const optionsOf = (o: Record<string, unknown>): Partial<torch.optim.LBFGSOptions> =>
  Object.fromEntries(Object.entries(o).map(([k, v]) => [camel(k), typeof v === 'string' ? camel(v) : v]))

function setup(problem: string, dtype: 'float32' | 'float64', options: Partial<torch.optim.LBFGSOptions>) {
  const params = fixture.starts[problem]!.map((v) => tensor(v as number[], { dtype, requiresGrad: true }))
  const optimizer = new optim.LBFGS(params, options)
  const closure = (): Tensor => {
    optimizer.zeroGrad()
    const loss = problems[problem]!(params)
    loss.backward()
    return loss
  }
  return { params, optimizer, closure }
}

function close(actual: readonly Tensor[], wanted: readonly Nested[], tolerance: number): void {
  actual.forEach((p, i) => {
    const values = [wanted[i]!].flat(3) as number[]
    p.toTypedArray().forEach((v, j) => expect(Math.abs(v - values[j]!) / Math.max(1, Math.abs(values[j]!))).toBeLessThanOrEqual(tolerance))
  })
}

describe('iterates', () => {
  for (const { problem, dtype, options, steps } of fixture.cases) {
    test(`${problem} ${dtype} ${JSON.stringify(options)}`, () => {
      const { params, optimizer, closure } = setup(problem, dtype, optionsOf(options))
      const tolerance = dtype === 'float64' ? 1e-10 : 1e-5
      for (const step of steps) {
        const loss = optimizer.step(closure)
        const { funcEvals, nIter } = optimizer.state.get(params[0]!)!
        expect([funcEvals, nIter]).toEqual([step.evals, step.iterations])
        expect(Math.abs(loss.item() - step.loss)).toBeLessThanOrEqual(tolerance * Math.max(1, step.loss))
        close(params, step.params, tolerance)
      }
    })
  }
})

describe('state', () => {
  test('goes on from a saved state exactly, in memory of its own', () => {
    const a = setup('rosenbrock', 'float64', { lineSearchFn: 'strongWolfe', maxIter: 4, historySize: 3 })
    for (let i = 0; i < 3; i++) a.optimizer.step(a.closure)
    const b = setup('rosenbrock', 'float64', {})
    torch.noGrad(() => b.params[0]!.copy_(a.params[0]!))
    const saved = a.optimizer.stateDict()
    b.optimizer.loadStateDict(saved)
    for (const { optimizer, closure } of [a, b]) for (let i = 0; i < 3; i++) optimizer.step(closure)
    expect(b.params[0]!.tolist()).toEqual(a.params[0]!.tolist())
    // The saved state is what it was before the last steps.
    const c = setup('rosenbrock', 'float64', {})
    c.optimizer.loadStateDict(saved)
    expect(c.optimizer.state.get(c.params[0]!)!['nIter']).toBe(saved.state[0]!['nIter'])
    expect((c.optimizer.state.get(c.params[0]!)!['oldDirs'] as Tensor[]).length).toBe(3)
    const other = new optim.LBFGS([torch.zeros([3], { dtype: 'float64', requiresGrad: true })])
    expect(() => other.loadStateDict(saved)).toThrow('loaded state dict: d has shape [2], its parameter [3]')
  })

  test('outlives scopes', () => {
    const inScopes = setup('curve', 'float64', { maxIter: 3, lr: 0.1 })
    const outside = setup('curve', 'float64', { maxIter: 3, lr: 0.1 })
    for (let i = 0; i < 4; i++) {
      torch.scope(() => {
        inScopes.optimizer.step(inScopes.closure)
      })
      outside.optimizer.step(outside.closure)
    }
    expect(inScopes.params.map((p) => p.tolist())).toEqual(outside.params.map((p) => p.tolist()))
  })

  test('parameters that the loss does not reach stay; the loss may be a number', () => {
    const x = tensor([3, 4], { requiresGrad: true })
    const unused = tensor([5], { requiresGrad: true })
    const optimizer = new optim.LBFGS([unused, x])
    const first = optimizer.step(() => {
      optimizer.zeroGrad()
      const loss = x.pow(2).sum()
      loss.backward()
      return loss.item()
    })
    expect(first).toBe(25)
    expect(unused.tolist()).toEqual([5])
    close([x], [[0, 0]], 1e-6)
    expect(optimizer.stepCount).toBe(1)
  })
})

test('refusals', () => {
  const w = (): Tensor => tensor([1, 2], { requiresGrad: true })
  expect(() => new optim.LBFGS([{ params: [w()] }, { params: [w()], lr: 1 }])).toThrow("LBFGS doesn't support per-parameter options")
  expect(() => new optim.LBFGS([w()], { lr: -1 })).toThrow('Invalid learning rate: -1')
  expect(() => new optim.LBFGS([w()], { historySize: 0 })).toThrow('Invalid history_size value: 0')
  expect(() => new optim.LBFGS([w()], { lineSearchFn: 'armijo' as never })).toThrow("only 'strongWolfe' is supported")
  expect(() => new optim.LBFGS([w()]).step()).toThrow("missing 1 required positional argument: 'closure'")
  expect(() => new optim.LBFGS([w()]).step(() => {})).toThrow('the closure must return the loss')
})
