/** Normalization by the mean and deviation of rows (layer norm) or of channels (batch norm), and its gradients, in WebAssembly. */
import type { BatchNormBackwardKernel, BatchNormKernel, FloatType, LayerNormBackwardKernel, LayerNormKernel, LinearMemory } from '../backend.ts'
import { F64, type Func, I32, instantiate, type Local, type ModuleBuilder, moduleFor, type ValType } from './assembler.ts'
import { bump, bytesOf, copiesOf, onRow, Pass, splat, take, type Writer } from './passes.ts'
import { alongRows, loadRow, type Operands, type RowOf, storeRow } from './rows.ts'

/** Rows whose sums are added up before they join the total: roundings grow with 32 + rows/32 instead of with rows. */
const BLOCK = 32

const NONE: ReadonlyMap<string, Func> = new Map()

/** Runs a pass over all elements of a row: at once, or run by run. */
type Walk = (pass: Pass, reads: readonly Local[], writes: readonly Local[], values: readonly (readonly Local[])[]) => void

/** The same value for each vector of columns. */
const alike = (w: Writer, value: Local): Local[] => new Array<Local>(copiesOf(w)).fill(value)

interface Moments {
  readonly mean: Local[]
  readonly variance: Local[]
  readonly rstd: Local[]
}

/** Mean, variance and 1/√(variance + ε) of a row of `count` elements, in two passes: squares of differences don't cancel. */
function moments(w: Writer): (walk: Walk, x: Local, count: Local, eps: Local) => Moments {
  const sum = new Pass(w, { reads: 1, values: 0, fold: 'sum', make: (_, [x]) => ({ folds: [x!] }) })
  const squares = new Pass(w, {
    reads: 1,
    values: 1,
    fold: 'sum',
    make: (l, [x], [mean]) => {
      const d = l.sub(x!, mean!)
      return { folds: [l.mul(d, d)] }
    },
  })
  return (walk, x, count, eps) => {
    sum.start()
    walk(sum, [x], [], [])
    const mean = onRow(w, [sum.results()[0]!, alike(w, count)], (l, [s, n]) => [l.div(s!, n!)])[0]!
    squares.start()
    walk(squares, [x], [], [mean])
    const [variance, rstd] = onRow(w, [squares.results()[0]!, alike(w, count), alike(w, eps)], (l, [q, n, e]) => {
      const v = l.div(q!, n!)
      return [v, l.div(l.constant(1), l.sqrt(l.add(v, e!)))]
    })
    return { mean, variance: variance!, rstd: rstd! }
  }
}

/** (x − mean)·rstd, times the weight, plus the bias, where there are any. */
function layerRows(module: ModuleBuilder, dtype: FloatType, relaxed: boolean, weighted: boolean, biased: boolean): Func {
  const bytes = bytesOf(dtype)
  return module.func([I32, I32, I32, I32, I32, F64, I32, I32, I32], [], (f, rows, n, x, weight, bias, eps, y, means, rstds) => {
    const w: Writer = { f, dtype, relaxed, functions: NONE, columns: 0, single: false }
    const [count, epsilon] = [splat(w, n), splat(w, eps)]
    const statistics = moments(w)
    const factors = [...(weighted ? [weight] : []), ...(biased ? [bias] : [])]
    const write = new Pass(w, {
      reads: 1 + factors.length,
      values: 2,
      make: (l, [x, ...more], [mean, rstd]) => {
        const y = l.mul(l.sub(x!, mean!), rstd!)
        const [a, b] = weighted ? more : [undefined, more[0]]
        if (a === undefined) return { stores: [b === undefined ? y : l.add(y, b)] }
        return { stores: [b === undefined ? l.mul(y, a) : l.madd(y, a, b)] }
      },
    })
    const step = f.let(I32, f.i32.mul(f.get(n), f.i32.const(bytes)))
    take(f, rows, 1, () => {
      const { mean, rstd } = statistics((pass, reads, writes, values) => pass.run(reads, writes, values, n), x, count, epsilon)
      write.run([x, ...factors], [y], [mean, rstd], n)
      storeRow(w, means, mean)
      storeRow(w, rstds, rstd)
      bump(f, means, bytes)
      bump(f, rstds, bytes)
      bump(f, x, step)
      bump(f, y, step)
    })
  })
}

export function compileLayerNorm(memory: LinearMemory, dtype: FloatType, relaxed: boolean): LayerNormKernel {
  const module = moduleFor(memory.memory)
  const variant = (weighted: boolean, biased: boolean): Func => layerRows(module, dtype, relaxed, weighted, biased)
  const [plain, weighted, biased, both] = [variant(false, false), variant(true, false), variant(false, true), variant(true, true)]
  module.func([I32, I32, I32, I32, I32, F64, I32, I32, I32], [], (f, ...params) => {
    const [, , , weight, bias] = params
    const run = (func: Func): void => {
      for (const p of params) f.get(p)
      f.call(func)
    }
    f.if(f.get(weight), () => f.if(f.get(bias), () => run(both), () => run(weighted)), () => f.if(f.get(bias), () => run(biased), () => run(plain)))
  }, 'run')
  return instantiate(module.encode(), memory.memory)['run'] as unknown as LayerNormKernel
}

/** The slope of a normalized value: rstd·(h − mean h − (x − mean)·rstd²·mean(h·(x − mean))), with h the gradient times the weight. */
function layerSlopes(module: ModuleBuilder, dtype: FloatType, relaxed: boolean, weighted: boolean): Func {
  const bytes = bytesOf(dtype)
  return module.func([I32, I32, I32, I32, I32, I32, I32, I32], [], (f, rows, n, g, x, means, rstds, weight, dx) => {
    const w: Writer = { f, dtype, relaxed, functions: NONE, columns: 0, single: false }
    const count = splat(w, n)
    const factors = weighted ? [weight] : []
    const sums = new Pass(w, {
      reads: 2 + factors.length,
      values: 1,
      fold: 'sum',
      make: (l, [g, x, a], [mean]) => {
        const h = a === undefined ? g! : l.mul(g!, a)
        return { folds: [h, l.mul(h, l.sub(x!, mean!))] }
      },
    })
    const slope = new Pass(w, {
      reads: 2 + factors.length,
      values: 4,
      make: (l, [g, x, a], [mean, rstd, c1, c2]) => {
        const h = a === undefined ? g! : l.mul(g!, a)
        return { stores: [l.mul(rstd!, l.sub(l.sub(h, c1!), l.mul(l.sub(x!, mean!), c2!)))] }
      },
    })
    const step = f.let(I32, f.i32.mul(f.get(n), f.i32.const(bytes)))
    take(f, rows, 1, () => {
      const [mean, rstd] = [loadRow(w, means), loadRow(w, rstds)]
      sums.start()
      sums.run([g, x, ...factors], [], [mean], n)
      const [c1, c2] = onRow(w, [...sums.results(), rstd, [count]], (l, [s1, s2, r, m]) => [
        l.div(s1!, m!),
        l.div(l.mul(l.mul(r!, r!), s2!), m!),
      ])
      slope.run([g, x, ...factors], [dx], [mean, rstd, c1!, c2!], n)
      bump(f, means, bytes)
      bump(f, rstds, bytes)
      for (const p of [g, x, dx]) bump(f, p, step)
    })
  })
}

/** Σ g·(x − mean)·rstd and Σ g over rows, in blocks. */
function layerSums(module: ModuleBuilder, dtype: FloatType, relaxed: boolean): Func {
  const bytes = bytesOf(dtype)
  return module.func([I32, I32, I32, I32, I32, I32, I32, I32, I32], [], (f, rows, n, g, x, means, rstds, dw, db, work) => {
    const w: Writer = { f, dtype, relaxed, functions: NONE, columns: 0, single: false }
    const collect = new Pass(w, {
      reads: 4,
      values: 2,
      make: (l, [g, x, a, b], [mean, rstd]) => ({ stores: [l.add(a!, l.mul(g!, l.mul(l.sub(x!, mean!), rstd!))), l.add(b!, g!)] }),
    })
    const join = new Pass(w, { reads: 4, values: 0, make: (l, [a, b, c, d]) => ({ stores: [l.add(a!, c!), l.add(b!, d!)] }) })
    const step = f.let(I32, f.i32.mul(f.get(n), f.i32.const(bytes)))
    const second = f.let(I32, f.i32.add(f.get(work), f.get(step)))
    const part = f.local(I32)
    for (const p of [dw, db]) f.memoryFill(f.get(p), f.i32.const(0), f.get(step))
    f.while(() => f.get(rows), () => {
      f.set(part, f.select(f.get(rows), f.i32.const(BLOCK), f.i32.lt_u(f.get(rows), f.i32.const(BLOCK))))
      f.set(rows, f.i32.sub(f.get(rows), f.get(part)))
      f.memoryFill(f.get(work), f.i32.const(0), f.i32.shl(f.get(step), f.i32.const(1)))
      take(f, part, 1, () => {
        collect.run([g, x, work, second], [work, second], [loadRow(w, means), loadRow(w, rstds)], n)
        bump(f, means, bytes)
        bump(f, rstds, bytes)
        bump(f, g, step)
        bump(f, x, step)
      })
      join.run([dw, db, work, second], [dw, db], [], n)
    })
  })
}

export function compileLayerNormBackward(memory: LinearMemory, dtype: FloatType, relaxed: boolean): LayerNormBackwardKernel {
  const module = moduleFor(memory.memory)
  const [plain, weighted] = [layerSlopes(module, dtype, relaxed, false), layerSlopes(module, dtype, relaxed, true)]
  const sums = layerSums(module, dtype, relaxed)
  module.func([I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32], [], (f, rows, n, g, x, means, rstds, weight, dx, dw, db, work) => {
    const slopes = (func: Func): void => f.call(func, f.get(rows), f.get(n), f.get(g), f.get(x), f.get(means), f.get(rstds), f.get(weight), f.get(dx))
    f.if(f.get(dx), () => f.if(f.get(weight), () => slopes(weighted), () => slopes(plain)))
    f.if(f.get(dw), () =>
      f.call(sums, f.get(rows), f.get(n), f.get(g), f.get(x), f.get(means), f.get(rstds), f.get(dw), f.get(db), f.get(work)))
  }, 'run')
  return instantiate(module.encode(), memory.memory)['run'] as unknown as LayerNormBackwardKernel
}

/** What a channel does with arrays of [outer, channels, inner] and flats of [channels], given how to walk over its elements. */
type ChannelOf = (w: Writer) => (arrays: readonly Local[], flats: readonly Local[], scalars: readonly Local[], walk: Walk) => void

/**
 * (outer, channels, inner, array…, flat…, scalar…): each channel's elements are `outer` runs of `inner`; if those are single
 * elements, channels go as columns side by side.
 */
function alongChannels(
  memory: LinearMemory, dtype: FloatType, relaxed: boolean, operands: Required<Operands>, channel: ChannelOf,
): (...args: number[]) => number {
  const module = moduleFor(memory.memory)
  const bytes = bytesOf(dtype)
  const { arrays: full, flats, scalars } = operands
  const row: RowOf = (w) => {
    const write = channel(w)
    return (arrays, flats, n, step, scalars) =>
      write(arrays, flats, scalars, (pass, reads, writes, values) => pass.run(reads, writes, values, n, step))
  }
  const columns = alongRows(module, new Map(), dtype, relaxed, operands, row)
  const params: readonly ValType[] = [...new Array<ValType>(full + flats).fill(I32), ...scalars]
  module.func([I32, I32, I32, ...params], [], (f, outer, channels, inner, ...locals) => {
    f.if(f.i32.eq(f.get(inner), f.i32.const(1)), () => {
      f.i32.const(1)
      f.get(outer)
      f.get(channels)
      for (const local of locals) f.get(local)
      f.call(columns)
      f.return()
    })
    const pointers = locals.slice(0, full + flats)
    const write = channel({ f, dtype, relaxed, functions: NONE, columns: 0, single: false })
    const run = f.let(I32, f.i32.mul(f.get(inner), f.i32.const(bytes)))
    const jump = f.let(I32, f.i32.mul(f.get(run), f.get(channels)))
    const left = f.local(I32)
    take(f, channels, 1, () => {
      write(pointers.slice(0, full), pointers.slice(full), locals.slice(full + flats), (pass, reads, writes, values) => {
        const [from, to] = [reads, writes].map((starts) => starts.map((start) => f.let(I32, f.get(start)))) as [Local[], Local[]]
        f.set(left, f.get(outer))
        take(f, left, 1, () => {
          pass.run(from, to, values, inner)
          for (const p of [...from, ...to]) bump(f, p, jump)
        })
      })
      pointers.forEach((p, i) => bump(f, p, i < full ? run : bytes))
    })
  }, 'run')
  return instantiate(module.encode(), memory.memory)['run']!
}

export function compileBatchNorm(memory: LinearMemory, dtype: FloatType, relaxed: boolean): BatchNormKernel {
  const operands: Required<Operands> = { arrays: 2, flats: 5, scalars: [F64, F64, I32] }
  return alongChannels(memory, dtype, relaxed, operands, (w) => {
    const { f } = w
    const statistics = moments(w)
    const write = new Pass(w, {
      reads: 1,
      values: 3,
      make: (l, [x], [mean, factor, bias]) => ({ stores: [l.madd(l.sub(x!, mean!), factor!, bias!)] }),
    })
    return ([x, y], [weight, bias, means, variances, rstds], [count, eps, given], walk) => {
      f.if(f.i32.eqz(f.get(given!)), () => {
        const { mean, variance, rstd } = statistics(walk, x!, splat(w, count!), splat(w, eps!))
        storeRow(w, means!, mean)
        storeRow(w, variances!, variance)
        storeRow(w, rstds!, rstd)
      })
      const [factor] = onRow(w, [loadRow(w, weight!), loadRow(w, rstds!)], (l, [a, r]) => [l.mul(a!, r!)])
      walk(write, [x!], [y!], [loadRow(w, means!), factor!, loadRow(w, bias!)])
    }
  }) as unknown as BatchNormKernel
}

export function compileBatchNormBackward(memory: LinearMemory, dtype: FloatType, relaxed: boolean): BatchNormBackwardKernel {
  const operands: Required<Operands> = { arrays: 3, flats: 5, scalars: [F64] }
  return alongChannels(memory, dtype, relaxed, operands, (w) => {
    const sums = new Pass(w, {
      reads: 2,
      values: 1,
      fold: 'sum',
      make: (l, [g, x], [mean]) => ({ folds: [g!, l.mul(g!, l.sub(x!, mean!))] }),
    })
    const slope = new Pass(w, {
      reads: 2,
      values: 4,
      make: (l, [g, x], [mean, factor, c1, c2]) => ({
        stores: [l.mul(factor!, l.sub(l.sub(g!, c1!), l.mul(l.sub(x!, mean!), c2!)))],
      }),
    })
    return ([g, x, dx], [weight, means, rstds, dw, db], [share], walk) => {
      const [mean, rstd] = [loadRow(w, means!), loadRow(w, rstds!)]
      sums.start()
      walk(sums, [g!, x!], [], [mean])
      const inputs = [...sums.results(), rstd, loadRow(w, weight!), alike(w, splat(w, share!))]
      const [a, b, factor, c1, c2] = onRow(w, inputs, (l, [s1, s2, r, k, m]) => [
        l.mul(s2!, r!),
        s1!,
        l.mul(k!, r!),
        l.mul(s1!, m!),
        l.mul(l.mul(l.mul(r!, r!), s2!), m!),
      ])
      storeRow(w, dw!, a!)
      storeRow(w, db!, b!)
      walk(slope, [g!, x!], [dx!], [mean, factor!, c1!, c2!])
    }
  }) as unknown as BatchNormBackwardKernel
}
