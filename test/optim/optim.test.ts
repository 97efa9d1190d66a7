/** Optimizers and schedulers against PyTorch's trajectories, and what they refuse. */
import { readFileSync } from 'node:fs'
import { describe, expect, test, vi } from 'vitest'
import * as torch from '../../src/index.ts'

const { nn, optim, tensor } = torch
type Options = Record<string, unknown>

interface Fixture {
  x: number[][]
  y: number[][]
  w: number[][]
  b: number[]
  cases: { optimizer: string; options: Options; steps: { w: number[][]; b: number[] }[]; state: Record<string, number | number[][]> }[]
  groups: { w: number[][]; b: number[] }[]
}
interface Schedules {
  schedules: { scheduler: string; arguments: unknown[]; options: Options; optimizer: string; rates: number[][]; momenta: number[][] }[]
  composed: { parts: [string, unknown[], Options][]; milestones: number[] | null; rates: number[][]; momenta: number[][] }[]
  fractions: [number | null, number, number][]
  plateau: { metrics: number[]; cases: { options: Options; rates: number[] }[] }
}
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'))
const fixture = read('./trajectories.json') as Fixture
const schedules = read('./schedules.json') as Schedules

const camel = (name: string): string => name.replace(/_(.)/g, (_, c: string) => c.toUpperCase())
const camelCased = (options: Options): Options => Object.fromEntries(Object.entries(options).map(([k, v]) => [camel(k), v]))

const f64 = { dtype: 'float64', requiresGrad: true } as const
const X = tensor(fixture.x, { dtype: 'float64' })
const Y = tensor(fixture.y, { dtype: 'float64' })
const lossOf = (w: torch.Tensor, b: torch.Tensor): torch.Tensor =>
  X.to(w.dtype).matmul(w).add(b).tanh().sub(Y.to(w.dtype)).pow(2).mean().add(w.pow(4).sum().mul(0.01))

function close(actual: torch.Tensor, wanted: unknown, tolerance = 1e-12): void {
  const a = actual.toTypedArray()
  const b = (wanted as number[]).flat(3)
  expect(a.length).toBe(b.length)
  a.forEach((v, i) => expect(Math.abs(v - b[i]!) / Math.max(1, Math.abs(b[i]!))).toBeLessThanOrEqual(tolerance))
}

type Make = new (params: torch.Tensor[], options: Options) => torch.optim.Optimizer<{ lr: number }>
const make = (name: string): Make => (optim as unknown as Record<string, Make>)[name]!
const setup = (): { w: torch.Tensor; b: torch.Tensor } => ({ w: tensor(fixture.w, f64), b: tensor(fixture.b, f64) })

describe('trajectories', () => {
  for (const { optimizer, options, steps, state } of fixture.cases) {
    test(`${optimizer} ${JSON.stringify(options)}`, () => {
      const { w, b } = setup()
      const o = new (make(optimizer))([w, b], camelCased(options))
      for (const wanted of steps) {
        o.zeroGrad()
        lossOf(w, b).backward()
        o.step()
        close(w, wanted.w)
        close(b, wanted.b)
      }
      for (const [name, values] of Object.entries(state)) {
        const ours = o.state.get(w)![camel(name)]!
        close(typeof ours === 'number' ? tensor([ours], { dtype: 'float64' }) : (ours as torch.Tensor), [values])
      }
    })
  }

  test('float32, on the reference backend too', () => {
    // The last case of each optimizer.
    const cases = [...new Map(fixture.cases.map((c) => [c.optimizer, c])).values()]
    expect(cases.length).toBeGreaterThan(10)
    for (const backend of ['wasm', 'reference'] as const) {
      const before = torch.setBackend(backend)
      try {
        for (const { optimizer, options, steps } of cases) {
          const w = tensor(fixture.w, { requiresGrad: true })
          const b = tensor(fixture.b, { requiresGrad: true })
          const o = new (make(optimizer))([w, b], camelCased(options))
          for (const wanted of steps) {
            o.zeroGrad()
            lossOf(w, b).backward()
            o.step()
            close(w, wanted.w, 1e-5)
          }
        }
      } finally {
        torch.setBackend(before)
      }
    }
  })

  test('groups with rates of their own, changed on the way; a parameter without gradient is left out', () => {
    const { w, b } = setup()
    const o = new optim.Adam([{ params: [w] }, { params: [b], lr: 0.2, betas: [0.7, 0.9] }], { lr: 0.05 })
    fixture.groups.forEach((wanted, i) => {
      o.zeroGrad()
      lossOf(w, b).backward()
      if (i === 4) b.grad = null
      if (i === 6) o.paramGroups[1]!.lr = 0.01
      o.step()
      close(w, wanted.w)
      close(b, wanted.b)
    })
  })

  test('any layout of the parameter and its gradient, and memory shared with JS', () => {
    const { steps } = fixture.cases.find((c) => c.optimizer === 'SGD' && c.options['nesterov'] === true)!
    const transposed = tensor(fixture.w, { dtype: 'float64' }).t().contiguous().t().requiresGrad_()
    const wide = torch.zeros([3, 4], { dtype: 'float64' }).narrow(1, 1, 2)
    wide.copy_(tensor(fixture.w, { dtype: 'float64' }))
    const shared = torch.fromNumpy(new Float64Array(fixture.w.flat())).reshape([3, 2])
    for (const w of [transposed, wide.detach().requiresGrad_(), shared.detach().requiresGrad_()]) {
      const b = tensor(fixture.b, f64)
      const o = new optim.SGD([w, b], { lr: 0.1, momentum: 0.9, nesterov: true })
      for (const wanted of steps) {
        o.zeroGrad()
        lossOf(w, b).backward()
        w.grad = w.grad!.t().contiguous().t()
        o.step()
        close(w, wanted.w)
      }
    }
  })
})

describe('state', () => {
  test('stateDict and loadStateDict continue a run exactly', () => {
    const run = (o: torch.optim.Adam, w: torch.Tensor, b: torch.Tensor, n: number): void => {
      for (let i = 0; i < n; i++) {
        o.zeroGrad()
        lossOf(w, b).backward()
        o.step()
      }
    }
    const first = setup()
    const o1 = new optim.Adam([first.w, first.b], { lr: 0.05, amsgrad: true })
    run(o1, first.w, first.b, 4)
    const second = { w: first.w.detach().clone().requiresGrad_(), b: first.b.detach().clone().requiresGrad_() }
    const o2 = new optim.Adam([second.w, second.b], { lr: 0.7, amsgrad: true })
    run(o2, setup().w, setup().b, 1)
    o2.loadStateDict(o1.stateDict())
    expect(o2.paramGroups[0]!.lr).toBe(0.05)
    run(o1, first.w, first.b, 6)
    run(o2, second.w, second.b, 6)
    expect(second.w.tolist()).toEqual(first.w.tolist())
    expect(o2.state.get(second.w)!['expAvg'] === o1.state.get(first.w)!['expAvg']).toBe(false)
  })

  test('numbers of the state go on too', () => {
    for (const name of ['NAdam', 'ASGD']) {
      const options = fixture.cases.find((c) => c.optimizer === name && 'lambd' in c.options === (name === 'ASGD'))!.options
      const first = setup()
      const o1 = new (make(name))([first.w, first.b], camelCased(options))
      const run = (o: torch.optim.Optimizer<{ lr: number }>, { w, b }: typeof first, n: number): void => {
        for (let i = 0; i < n; i++) {
          o.zeroGrad()
          lossOf(w, b).backward()
          o.step()
        }
      }
      run(o1, first, 4)
      const second = { w: first.w.detach().clone().requiresGrad_(), b: first.b.detach().clone().requiresGrad_() }
      const o2 = new (make(name))([second.w, second.b], {})
      o2.loadStateDict(o1.stateDict())
      run(o1, first, 3)
      run(o2, second, 3)
      expect(second.w.tolist()).toEqual(first.w.tolist())
    }
  })

  test('loadStateDict refuses what does not fit, before changing anything', () => {
    const { w, b } = setup()
    const o = new optim.Adam([w, b])
    const other = new optim.Adam([{ params: [w] }, { params: [b] }])
    expect(() => o.loadStateDict(other.stateDict())).toThrow('loaded state dict has a different number of parameter groups')
    expect(() => o.loadStateDict(new optim.Adam([w]).stateDict())).toThrow(
      "loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
    )
  })

  test('momentum switched on later starts from the gradient', () => {
    const w = tensor([1], f64)
    const o = new optim.SGD([w], { lr: 0.1, dampening: 0.5 })
    w.grad = tensor([1], { dtype: 'float64' })
    o.step()
    o.paramGroups[0]!.momentum = 0.5
    o.step()
    close(w, [0.8])
    o.step() // b = 0.5·1 + 0.5·1
    close(w, [0.7])
  })

  test('a step counts as an in-place change: a graph that saved the parameter refuses to go on', () => {
    const w = tensor([1, 2], { requiresGrad: true })
    const y = w.mul(w).sum()
    w.grad = torch.ones([2])
    const before = w._version
    new optim.SGD([w], { lr: 0.1 }).step()
    expect(w._version).toBe(before + 1)
    expect(() => y.backward()).toThrow('modified by an inplace operation')
  })

  test('state outlives a scope', () => {
    const w = new nn.Parameter(tensor([1, 2]))
    const o = new optim.Adam([w])
    for (let i = 0; i < 3; i++) {
      torch.scope(() => {
        o.zeroGrad()
        w.pow(2).sum().backward()
        o.step()
      })
    }
    expect((o.state.get(w)!['expAvg'] as torch.Tensor).shape).toEqual([2])
    expect(w.tolist()).toHaveLength(2)
  })
})

describe('step and zeroGrad', () => {
  test('a closure runs with recording on, and its result is returned', () => {
    const { w, b } = setup()
    const o = new optim.SGD([w, b], { lr: 0.1 })
    const loss = torch.noGrad(() =>
      o.step(() => {
        o.zeroGrad()
        const l = lossOf(w, b)
        l.backward()
        return l
      }),
    )
    expect(loss.item()).toBeCloseTo(lossOf(...(Object.values(setup()) as [torch.Tensor, torch.Tensor])).item(), 12)
    close(w, fixture.cases[0]!.steps[0]!.w)
  })

  test('zeroGrad forgets or zeroes', () => {
    const w = tensor([1, 2], { requiresGrad: true })
    const o = new optim.SGD([w])
    w.pow(2).sum().backward()
    const g = w.grad!
    o.zeroGrad({ setToNone: false })
    expect(w.grad).toBe(g)
    expect(g.tolist()).toEqual([0, 0])
    o.zeroGrad()
    expect(w.grad).toBeNull()
    w.pow(3).sum().backward({ createGraph: true })
    o.zeroGrad({ setToNone: false })
    expect(w.grad!.requiresGrad).toBe(false)
  })

  test('an optimizer of your own', () => {
    class Sign extends optim.Optimizer<{ lr: number }> {
      protected check(): void {}
      protected update(p: torch.Tensor, g: torch.Tensor, { lr }: { lr: number }): void {
        p.sub_(g.sign().mul(lr))
      }
    }
    const w = tensor([1, -2], { requiresGrad: true })
    const o = new Sign([w], { lr: 0.5 })
    w.pow(2).sum().backward()
    o.step()
    expect(w.tolist()).toEqual([0.5, -1.5])
    expect(() => new Sign([w], { lr: undefined } as unknown as { lr: number })).toThrow(
      "parameter group didn't specify a value of required optimization parameter lr",
    )
  })
})

describe('refusals', () => {
  const w = (): torch.Tensor => tensor([1, 2], { requiresGrad: true })
  const wrong =
    (params: unknown): (() => unknown) =>
    () =>
      new optim.SGD(params as torch.Tensor[])
  test('of parameters', () => {
    expect(wrong(w().mul(2))).toThrow(
      'params argument given to the optimizer should be an iterable of Tensors or dicts, but got torch.FloatTensor',
    )
    expect(wrong([w().mul(2)])).toThrow("can't optimize a non-leaf Tensor")
    expect(wrong([])).toThrow('optimizer got an empty parameter list')
    expect(wrong([1])).toThrow('optimizer can only optimize Tensors, but one of the params is number')
    const p = w()
    expect(wrong([{ params: [p] }, { params: [w(), p] }])).toThrow('some parameters appear in more than one parameter group')
    expect(wrong([p])).not.toThrow()
    expect(() => new optim.SGD([p]).addParamGroup(5 as never)).toThrow('param_group must be a dict, but got number')
  })

  test('duplicates in one group are warned of', () => {
    const warn = vi.fn<torch.WarningHandler>()
    torch.setWarningHandler(warn)
    const p = w()
    new optim.SGD([p, p])
    expect(warn.mock.calls[0]![0]).toMatch(/^optimizer contains a parameter group with duplicate parameters/)
    torch.setWarningHandler(null)
  })

  test('of hyper-parameters', () => {
    expect(() => new optim.SGD([w()], { lr: -1 })).toThrow('Invalid learning rate: -1')
    expect(() => new optim.SGD([w()], { lr: Number.NaN })).toThrow('Invalid learning rate: NaN')
    expect(() => new optim.SGD([w()], { momentum: -0.5 })).toThrow('Invalid momentum value: -0.5')
    expect(() => new optim.SGD([w()], { weightDecay: -0.5 })).toThrow('Invalid weight_decay value: -0.5')
    expect(() => new optim.SGD([w()], { nesterov: true })).toThrow('Nesterov momentum requires a momentum and zero dampening')
    expect(() => new optim.Adam([w()], { betas: [1, 0.9] })).toThrow('Invalid beta parameter at index 0: 1')
    expect(() => new optim.AdamW([w()], { betas: [0.9, -1] })).toThrow('Invalid beta parameter at index 1: -1')
    expect(() => new optim.Adam([w()], { eps: -1 })).toThrow('Invalid epsilon value: -1')
    expect(() => new optim.RMSprop([w()], { alpha: -1 })).toThrow('Invalid alpha value: -1')
    expect(() => new optim.Adagrad([w()], { lrDecay: -1 })).toThrow('Invalid lr_decay value: -1')
    expect(() => new optim.Adadelta([w()], { rho: 2 })).toThrow('Invalid rho value: 2')
    expect(() => new optim.NAdam([w()], { momentumDecay: -1 })).toThrow('Invalid momentum_decay value: -1')
    expect(() => new optim.Rprop([w()], { etas: [1.5, 2] })).toThrow('Invalid eta values: 1.5, 2')
    for (const name of ['Adadelta', 'Adamax', 'NAdam', 'RAdam', 'Rprop', 'ASGD'])
      expect(() => new (make(name))([w()], { lr: -1 })).toThrow('Invalid learning rate: -1')
  })

  test('prints as torch does', () => {
    expect(new optim.SGD([w()], { lr: 0.1 }).toString()).toBe(
      'SGD (\nParameter Group 0\n    dampening: 0\n    lr: 0.1\n    maximize: false\n    momentum: 0\n    nesterov: false\n    weightDecay: 0\n)',
    )
  })
})

describe('schedules', () => {
  type Scheduler = torch.optim.lrScheduler.LRScheduler
  type AnyOptimizer = torch.optim.SGD | torch.optim.Adam
  const two = (kind = 'SGD'): AnyOptimizer => {
    const [p, q] = [torch.zeros(1).requiresGrad_(), torch.zeros(1).requiresGrad_()]
    const groups = [{ params: [p] }, { params: [q], lr: 0.5 }]
    return kind === 'Adam' ? new optim.Adam(groups, { lr: 0.1 }) : new optim.SGD(groups, { lr: 0.1, momentum: 0.9 })
  }
  const all = optim.lrScheduler as unknown as Record<string, new (...a: unknown[]) => Scheduler>
  const renamed = (options: Options): Options =>
    Object.fromEntries(
      Object.entries(camelCased(options)).map(([k, v]) => [k === 'TMult' ? 'tMult' : k, v === 'exp_range' ? 'expRange' : v]),
    )
  const made = (o: AnyOptimizer, name: string, args: unknown[], options: Options): Scheduler => new all[name]!(o, ...args, renamed(options))
  const near = (actual: number[], wanted: number[]): void => {
    expect(actual.length).toBe(wanted.length)
    actual.forEach((v, i) => expect(Math.abs(v - wanted[i]!)).toBeLessThanOrEqual(1e-13))
  }
  function follow(o: AnyOptimizer, s: torch.optim.lrScheduler.Schedule, rates: number[][], momenta: number[][]): void {
    rates.forEach((wanted, i) => {
      if (i > 0) {
        near(
          o.paramGroups.map((g) => ('betas' in g ? g.betas[0] : g.momentum)),
          momenta[i - 1]!,
        )
        o.step()
        s.step()
      }
      near(s.getLastLr(), wanted)
      expect(o.paramGroups.map((g) => g.lr)).toEqual(s.getLastLr())
    })
  }

  for (const { scheduler, arguments: args, options, optimizer, rates, momenta } of schedules.schedules) {
    test(`${scheduler} ${JSON.stringify(args)} ${JSON.stringify(options)} ${optimizer}`, () => {
      const o = two(optimizer)
      follow(o, made(o, scheduler, args, options), rates, momenta)
    })
  }

  for (const { parts, milestones, rates, momenta } of schedules.composed) {
    const compose = (o: AnyOptimizer): torch.optim.lrScheduler.SequentialLR | torch.optim.lrScheduler.ChainedScheduler => {
      const list = parts.map((p) => made(o, ...p))
      return milestones === null ? new optim.lrScheduler.ChainedScheduler(list) : new optim.lrScheduler.SequentialLR(o, list, milestones)
    }
    test(`${milestones === null ? 'ChainedScheduler' : 'SequentialLR'} ${parts.map(([name]) => name)} ${milestones}`, () => {
      const o = two()
      follow(o, compose(o), rates, momenta)
      // And from a saved state in the middle.
      const [a, b] = [two(), two()]
      const first = compose(a)
      for (let i = 0; i < 6; i++) {
        a.step()
        first.step()
      }
      const second = compose(b)
      b.loadStateDict(a.stateDict() as never)
      second.loadStateDict(first.stateDict())
      for (let i = 7; i < rates.length; i++) {
        b.step()
        second.step()
        near(second.getLastLr(), rates[i]!)
      }
    })
  }

  test('fractions of epochs', () => {
    const o = two()
    const s = new optim.lrScheduler.CosineAnnealingWarmRestarts(o, 2, { tMult: 2 })
    for (const [epoch, ...rates] of schedules.fractions) {
      s.step(epoch ?? undefined)
      near(s.getLastLr(), rates)
    }
  })

  test('MultiplicativeLR multiplies the last rate', () => {
    const o = two()
    const s = new optim.lrScheduler.MultiplicativeLR(o, (e) => 1 / e)
    for (const wanted of [0.1, 0.05, 0.05 / 3]) {
      o.step()
      s.step()
      near(s.getLastLr(), [wanted, wanted * 5])
    }
  })

  test('a plateau goes on from its state, by tensors, with limits of groups', () => {
    const make = (o: AnyOptimizer): torch.optim.lrScheduler.ReduceLROnPlateau =>
      new optim.lrScheduler.ReduceLROnPlateau(o, { patience: 1, factor: 0.5, minLr: [0.04, 0.3] })
    const [a, b] = [two(), two()]
    const first = make(a)
    for (const metric of [1, 1]) first.step(tensor(metric))
    const second = make(b)
    second.loadStateDict(first.stateDict())
    for (const s of [first, second]) for (let i = 0; i < 5; i++) s.step(1)
    near(first.getLastLr(), [0.04, 0.3])
    expect(second.getLastLr()).toEqual(first.getLastLr())
    expect(() => new optim.lrScheduler.ReduceLROnPlateau(a, { minLr: [1] })).toThrow('expected 2 min_lrs, got 1')
    expect(() => new optim.lrScheduler.ReduceLROnPlateau(a, { mode: 'best' as never })).toThrow('mode best is unknown!')
  })

  test('schedulers refuse what torch refuses', () => {
    const { ChainedScheduler, ConstantLR, CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR, ReduceLROnPlateau, SequentialLR, StepLR } =
      optim.lrScheduler
    const o = two()
    const plain = new optim.Adagrad([torch.zeros(1).requiresGrad_()])
    expect(() => new ConstantLR(o, { factor: 2 })).toThrow('Constant multiplicative factor expected to be between 0 and 1.')
    expect(() => new CosineAnnealingWarmRestarts(o, 0)).toThrow('Expected positive integer T_0, but got 0')
    expect(() => new CosineAnnealingWarmRestarts(o, 1, { tMult: 0.5 })).toThrow('Expected integer T_mult >= 1, but got 0.5')
    expect(() => new CosineAnnealingWarmRestarts(o, 1).step(-1)).toThrow('Expected non-negative epoch, but got -1')
    expect(() => new CyclicLR(o, [1], 2)).toThrow('base_lr must have the same length as optimizer.param_groups')
    expect(() => new CyclicLR(o, 1, 2, { mode: 'square' as never })).toThrow('mode is invalid and scale_fn is None')
    expect(() => new CyclicLR(plain, 1, 2)).toThrow('optimizer must support momentum or beta1')
    expect(() => new OneCycleLR(o, 1)).toThrow('You must define either total_steps OR (epochs AND steps_per_epoch)')
    expect(() => new OneCycleLR(o, 1, { totalSteps: 0 })).toThrow('Expected positive integer totalSteps, but got 0')
    expect(() => new OneCycleLR(o, 1, { totalSteps: 9, pctStart: 2 })).toThrow('Expected float between 0 and 1 pct_start, but got 2')
    expect(() => new OneCycleLR(plain, 1, { totalSteps: 9 })).toThrow('optimizer must support momentum or beta1')
    const short = new OneCycleLR(o, 1, { totalSteps: 1 })
    o.step()
    short.step()
    expect(() => short.step()).toThrow('Tried to step 2 times. The specified number of total steps is 1')
    const step = new StepLR(o, 2)
    expect(() => new SequentialLR(o, [], [])).toThrow('SequentialLR expects at least one scheduler, but got no scheduler.')
    expect(() => new SequentialLR(o, [step], [1])).toThrow('number of schedulers 1 and the number of milestones to be equal to 1')
    expect(() => new SequentialLR(two(), [step], [])).toThrow('SequentialLR expects all schedulers to belong to the same optimizer')
    expect(() => new ChainedScheduler([])).toThrow('ChainedScheduler expects at least one scheduler')
    expect(() => new ChainedScheduler([new ReduceLROnPlateau(o) as never])).toThrow('does not support `ReduceLROnPlateau`')
  })

  test('LambdaLR multiplies the starting rate', () => {
    const o = two()
    const s = new optim.lrScheduler.LambdaLR(o, [(e) => 1 / (1 + e), () => 2])
    o.step()
    s.step()
    expect(s.getLastLr()).toEqual([0.05, 1])
    expect(() => new optim.lrScheduler.LambdaLR(two(), [() => 1])).toThrow('Expected 2 lr_lambdas, but got 1')
  })

  test('a schedule goes on from its state', () => {
    const [a, b] = [two(), two()]
    const first = new optim.lrScheduler.CosineAnnealingLR(a, 7)
    for (let i = 0; i < 3; i++) {
      a.step()
      first.step()
    }
    const second = new optim.lrScheduler.CosineAnnealingLR(b, 7)
    b.loadStateDict(a.stateDict() as never)
    second.loadStateDict(first.stateDict())
    for (let i = 0; i < 3; i++) {
      a.step()
      first.step()
      b.step()
      second.step()
    }
    expect(second.getLastLr()).toEqual(first.getLastLr())
    expect(() => new optim.lrScheduler.StepLR(two(), 2, { lastEpoch: 3 })).toThrow(
      "param 'initial_lr' is not specified in param_groups[0] when resuming an optimizer",
    )
  })

  test('a step before the optimizer’s is warned of', () => {
    const warn = vi.fn<torch.WarningHandler>()
    torch.setWarningHandler(warn)
    new optim.lrScheduler.StepLR(two(), 2).step()
    expect(warn.mock.calls[0]![0]).toMatch(/^Detected call of `lr_scheduler\.step\(\)` before `optimizer\.step\(\)`/)
    torch.setWarningHandler(null)
  })

  test('ReduceLROnPlateau', () => {
    for (const { options, rates } of schedules.plateau.cases) {
      const o = new optim.SGD([torch.zeros(1).requiresGrad_()], { lr: 0.1 })
      const s = new optim.lrScheduler.ReduceLROnPlateau(o, camelCased(options))
      schedules.plateau.metrics.forEach((m, i) => {
        s.step(m)
        expect(o.paramGroups[0]!.lr).toBeCloseTo(rates[i]!, 14)
      })
    }
  })
})
