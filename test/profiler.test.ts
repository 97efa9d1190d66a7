/** The profiler: events, links between operations and nodes, averages, tables, traces; and that it costs nothing when off. */
import { describe, expect, test } from 'vitest'
import { modes } from '../src/autograd/modes.ts'
import * as torch from '../src/index.ts'
import { type ProfileEvent, profile, recordFunction } from '../src/profiler/index.ts'

type Tensor = torch.Tensor
const { autograd, tensor } = torch
const leaf = (...values: number[]): Tensor => tensor(values, { requiresGrad: true })
const names = (events: readonly ProfileEvent[], kind: string): string[] => events.filter((e) => e.kind === kind).map((e) => e.name)

describe('events', () => {
  test('operations and nodes, in order', () => {
    const x = leaf(1, 2)
    const report = profile(() => {
      x.mul(x).exp().sum().backward()
      return 'done'
    })
    expect(report.result).toBe('done')
    // The rule of sum runs as operations.
    expect(names(report.events(), 'op')).toEqual(['mul', 'exp', 'sum', 'view', 'expand'])
    expect(names(report.events(), 'node')).toEqual(['SumBackward0', 'ExpBackward0', 'MulBackward0', 'torch::autograd::AccumulateGrad'])
    const plain = leaf(1, 2)
    plain.mul(plain).exp().sum().backward()
    expect(x.grad!.tolist()).toEqual(plain.grad!.tolist())
  })

  test('an operation and the node that it recorded have one number', () => {
    const x = leaf(1, 2)
    const report = profile(() => {
      const y = x.mul(3)
      x.gt(1)
      const z = y.exp()
      torch.noGrad(() => z.sin())
      z.sum().backward()
    })
    const partners = report
      .events()
      .filter((e) => e.kind === 'node')
      .map((e) => [e.name, report.partner(e)?.name ?? null])
    expect(partners).toEqual([
      ['SumBackward0', 'sum'],
      ['ExpBackward0', 'exp'],
      ['MulBackward0', 'mul'],
      ['torch::autograd::AccumulateGrad', null],
    ])
    const unrecorded = report.events().filter((e) => e.kind === 'op' && e.parent === null && e.sequenceNr < 0)
    expect(unrecorded.map((e) => e.name)).toEqual(['gt', 'sin'])
    const mul = report.events()[0]!
    expect(report.partner(mul)!.name).toBe('MulBackward0')
  })

  test('time inside is not counted twice', () => {
    const x = leaf(1, 2)
    const report = profile(() =>
      recordFunction('step', () => {
        recordFunction('forward', () => x.mul(2).sum()).backward()
      }),
    )
    const [step, forward, mul] = report.events()
    expect([step!.name, forward!.parent, mul!.parent]).toEqual(['step', step, forward])
    for (const e of report.events()) {
      const inside = report.events().filter((c) => c.parent === e)
      const total = inside.reduce((t, c) => t + c.cpuTimeTotal, 0)
      expect(e.selfCpuTimeTotal).toBeCloseTo(e.cpuTimeTotal - total, 6)
      expect(e.selfCpuTimeTotal).toBeGreaterThanOrEqual(-1e-6)
    }
    expect(report.selfCpuTimeTotal).toBeCloseTo(step!.cpuTimeTotal, 6)
  })

  test('rules that run as operations stand inside their nodes', () => {
    const x = leaf(1, 2)
    const report = profile(() => autograd.grad(x.exp().sum(), x, { createGraph: true })[0]!.sum().backward())
    const exp = report.events().find((e) => e.name === 'ExpBackward0')!
    const mul = report.events().find((e) => e.parent === exp)!
    expect([mul.name, mul.kind]).toEqual(['mul', 'op'])
    expect(report.partner(mul)!.name).toBe('MulBackward0')
  })

  test('bytes, shapes, in-place operations', () => {
    const x = torch.ones([4, 8])
    const report = profile(
      () => {
        x.exp()
        x.add_(1)
        x.sum(0)
      },
      { recordShapes: true },
    )
    expect(report.events().map((e) => [e.name, e.bytes, e.inputShapes])).toEqual([
      ['exp', 128, [[4, 8]]],
      ['add_', 0, [[4, 8]]],
      ['sum', 32, [[4, 8]]],
    ])
    expect(profile(() => x.exp()).events()[0]!.inputShapes).toEqual([])
  })

  test('nodes know the bytes of the gradients they made', () => {
    const x = torch.ones([4, 8], { requiresGrad: true })
    const report = profile(() => x.mul(2).sum().backward())
    expect(report.events().find((e) => e.name === 'MulBackward0')!.bytes).toBe(128)
  })
})

describe('reports', () => {
  const report = profile(
    () => {
      const x = torch.ones([2, 3], { requiresGrad: true })
      for (let i = 0; i < 3; i++) recordFunction('round', () => x.mul(2).exp().sum().backward())
      torch.ones([5]).exp()
    },
    { recordShapes: true },
  )

  test('averages by name, kind, shape', () => {
    const exp = report.keyAverages().find((r) => r.name === 'exp')!
    expect([exp.count, exp.kind, exp.bytes]).toEqual([4, 'op', 3 * 24 + 20])
    expect(exp.cpuTime).toBeCloseTo(exp.cpuTimeTotal / 4, 9)
    expect(report.keyAverages({ kind: 'user' }).map((r) => [r.name, r.count])).toEqual([['round', 3]])
    const shapes = report.keyAverages({ kind: 'op', groupByInputShape: true }).filter((r) => r.name === 'exp')
    expect(shapes.map((r) => [r.count, r.inputShapes])).toEqual([
      [3, [[2, 3]]],
      [1, [[5]]],
    ])
    expect(report.totalAverage().count).toBe(report.events().length)
  })

  test('tables, sorted and cut', () => {
    const lines = report.table({ kind: 'op', sortBy: 'count' }).split('\n')
    expect(lines[1]).toMatch(/^Name +Self CPU % +Self CPU +CPU total % +CPU total +CPU time avg +# of Calls +Bytes$/)
    expect(lines[3]).toMatch(/^exp +\d+\.\d\d% +\d+\.\d{3}(us|ms|s) .* 4 +92$/)
    expect(lines.at(-1)).toMatch(/^Self CPU time total: \d+\.\d{3}(us|ms|s)$/)
    expect(report.table({ rowLimit: 2 }).split('\n')).toHaveLength(7)
    expect(report.table({ groupByInputShape: true })).toContain('Input Shapes')
    expect(() => report.table({ sortBy: 'size' as never })).toThrow("can't sort by 'size'; expected one of selfCpuTimeTotal")
    expect(profile(() => 1).table()).toContain('Self CPU time total: 0.000us')
  })

  test('a Chrome trace: slices, and arrows from operations to nodes', () => {
    const { traceEvents } = JSON.parse(report.exportChromeTrace()) as { traceEvents: { ph: string; id?: number; ts: number }[] }
    expect(traceEvents.filter((e) => e.ph === 'X')).toHaveLength(report.events().length)
    const [starts, ends] = ['s', 'f'].map((ph) => traceEvents.filter((e) => e.ph === ph))
    expect(starts!.length).toBe(9)
    expect(ends!.map((e) => e.id)).toEqual(starts!.map((e) => e.id))
    for (const [i, s] of starts!.entries()) expect(ends![i]!.ts).toBeGreaterThan(s.ts)
  })
})

describe('modes', () => {
  test('off outside, also after errors', () => {
    expect(() =>
      profile(() => {
        throw new Error('mine')
      }),
    ).toThrow('mine')
    const x = leaf(1)
    x.registerHook(() => {
      throw new Error('hook')
    })
    const seen = profile(() => {
      expect(() => x.mul(2).backward()).toThrow('hook')
      return x.exp()
    })
    expect(seen.events().at(-1)!.parent).toBeNull()
    expect([modes.profile, modes.selection]).toEqual([null, null])
    expect(recordFunction('nothing', () => 5)).toBe(5)
  })

  test('neither nested nor async', () => {
    expect(() => profile(() => profile(() => 1))).toThrow('another profile is running')
    expect(() => profile(async () => 1)).toThrow("a mode can't cross an await")
  })

  test('selective checkpoints keep their say', () => {
    const x = leaf(0.5)
    const block = (t: Tensor): Tensor => t.sin().exp()
    const report = profile(() =>
      autograd.checkpoint
        .with({ contextFn: () => autograd.createSelectiveCheckpointContexts(['sin']) })(block, x)
        .backward(),
    )
    expect(names(report.events(), 'op').filter((n) => n === 'sin')).toHaveLength(1)
    // What a checkpoint computes again stands in the node that asked for it.
    const again = profile(() => autograd.checkpoint(block, leaf(0.5)).backward())
    const sines = again.events().filter((e) => e.name === 'sin')
    expect(sines.map((e) => e.parent?.name ?? null)).toEqual([null, 'ExpBackward0'])
    expect(x.grad!.item()).toBeCloseTo(Math.exp(Math.sin(0.5)) * Math.cos(0.5), 6)
  })
})

/** Each event with the one it happened in. */
const tree = (events: readonly ProfileEvent[]): (readonly [string, string | null])[] => events.map((e) => [e.name, e.parent?.name ?? null])

describe('named ranges', () => {
  test('record_function', () => {
    const forward = (x: Tensor): Tensor => {
      const y = recordFunction('outer', () => {
        const inner = x.mul(2).add(4)
        return recordFunction('inner', () => inner.sub(1))
      })
      return y.div(1)
    }
    const report = profile(() => forward(torch.ones([3, 3])))
    expect(tree(report.events())).toEqual([
      ['outer', null],
      ['mul', 'outer'],
      ['add', 'outer'],
      ['inner', 'outer'],
      ['sub', 'inner'],
      ['div', null],
    ])
    // Wrapped functions keep their names, receivers and errors, so it decorates methods.
    const add = recordFunction.wrap('sum')(function add(this: { k: number }, a: number): number {
      if (a < 0) throw new RangeError('negative')
      return a + this.k
    })
    expect(add.name).toBe('add')
    const seen = profile(() => {
      expect(add.call({ k: 2 }, 1)).toBe(3)
      expect(() => add.call({ k: 2 }, -1)).toThrow('negative')
    })
    expect(tree(seen.events())).toEqual([
      ['sum', null],
      ['sum', null],
    ])
    expect(add.call({ k: 2 }, 2)).toBe(4)
  })

  test('inside Functions and hooks, ranges stand in what runs', () => {
    class Twice extends autograd.Function {
      static forward(_ctx: torch.autograd.FunctionContext, x: Tensor): Tensor {
        return recordFunction('there', () => x.mul(2))
      }
      static backward(_ctx: torch.autograd.FunctionContext, g: Tensor): Tensor {
        return recordFunction('back', () => g.mul(2))
      }
    }
    const x = leaf(1, 2)
    x.registerHook(() => recordFunction('hook', () => undefined))
    const events = tree(profile(() => Twice.apply(x).sum().backward()).events())
    expect(events).toContainEqual(['there', null])
    expect(events).toContainEqual(['back', 'TwiceBackward'])
    expect(events).toContainEqual(['mul', 'back'])
    expect(events).toContainEqual(['hook', 'torch::autograd::AccumulateGrad'])
  })

  test('record_function_callbacks', () => {
    const x = leaf(1, 2)
    const report = profile(() => recordFunction('foo', () => x.mul(x)))
    const [foo] = report.keyAverages({ kind: 'user' })
    expect([foo!.name, foo!.count]).toEqual(['foo', 1])
    const [range, mul] = report.events()
    expect(range!.cpuTimeTotal).toBeGreaterThanOrEqual(mul!.cpuTimeTotal)
    expect(report.table()).toContain('foo')
  })

  test('record_function_legacy', () => {
    const x = leaf(1, 2)
    const report = profile(() => {
      const range = recordFunction.enter('bar')
      x.mul(2)
      range.restore()
      range.restore()
      x.exp()
      recordFunction.enter('open')
      x.sin()
    })
    expect(tree(report.events())).toEqual([
      ['bar', null],
      ['mul', 'bar'],
      ['exp', null],
      ['open', null],
      ['sin', 'open'],
    ])
    // What was left open ended with the profile.
    const [, , , open, sin] = report.events()
    expect(open!.start + open!.cpuTimeTotal).toBeGreaterThanOrEqual(sin!.start + sin!.cpuTimeTotal)
    {
      using _ = recordFunction.enter('outside')
    }
  })

  test('record_function_multithreaded', () => {
    const x = leaf(1, 2)
    const report = profile(() => {
      const outer = recordFunction.enter('outer')
      recordFunction('inner', () => {
        outer.restore()
        x.mul(2)
      })
      const before = recordFunction.enter('before')
      recordFunction('inside', () => x.exp())
      before.restore()
    })
    // A range that outlives the one it began in didn't happen in it.
    expect(tree(report.events())).toEqual([
      ['outer', null],
      ['inner', null],
      ['mul', 'inner'],
      ['before', null],
      ['inside', 'before'],
      ['exp', 'inside'],
    ])
    for (const e of report.events()) expect(e.selfCpuTimeTotal).toBeGreaterThanOrEqual(-1e-6)
  })
})
