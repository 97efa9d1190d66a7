/** What attention does between its products, in WebAssembly. */
import type { AttentionBackwardKernel, AttentionDotKernel, AttentionKernel, FloatType, LinearMemory } from '../backend.ts'
import { type Body, type Emitted, F64, type Func, I32, instantiate, type Local, type ModuleBuilder, moduleFor } from './assembler.ts'
import { bump, bytesOf, type Lanes, onRow, Pass, splat, take, type Writer } from './passes.ts'
import { loadRow, storeRow } from './rows.ts'
import type { Vec } from './vector.ts'

const NONE: ReadonlyMap<string, Func> = new Map()

const writer = (f: Body, dtype: FloatType, relaxed: boolean): Writer => ({ f, dtype, relaxed, functions: NONE, columns: 0, single: false })

/** `seen` = min(n, first + 1), the keys that a row sees; the row's other elements of these arrays become 0. */
function see(f: Body, seen: Local, n: Local, first: Local, bytes: number, arrays: readonly Local[]): void {
  f.set(seen, f.i32.add(f.get(first), f.i32.const(1)))
  f.if(f.i32.lt_u(f.get(seen), f.get(n)), () => {
    const size = (count: Emitted): Emitted => f.i32.mul(count, f.i32.const(bytes))
    for (const array of arrays)
      f.memoryFill(f.i32.add(f.get(array), size(f.get(seen))), f.i32.const(0), size(f.i32.sub(f.get(n), f.get(seen))))
  }, () => f.set(seen, f.get(n)))
}

/** The parameters of the two kernels. */
const FORWARD = [I32, I32, I32, I32, I32, I32, F64, I32, I32] as const
const BACKWARD = [I32, I32, I32, I32, I32, I32, I32, F64, I32, I32, I32] as const

/** Passes all parameters on. */
function run(f: Body, func: Func, params: readonly Local[]): void {
  for (const p of params) f.get(p)
  f.call(func)
}

const scaled = (l: Lanes, x: Vec, scale: Vec, shift: Vec | undefined): Vec => (shift === undefined ? l.mul(x, scale) : l.madd(x, scale, shift))

function weigh(module: ModuleBuilder, dtype: FloatType, relaxed: boolean, masked: boolean): Func {
  const bytes = bytesOf(dtype)
  return module.func(FORWARD, [], (f, rows, n, first, scores, mask, maskRow, scale, max, share) => {
    const w = writer(f, dtype, relaxed)
    const factor = splat(w, scale)
    const shifted = new Pass(w, {
      reads: masked ? 2 : 1,
      values: 1,
      fold: 'max',
      make: (l, [x, shift], [s]) => {
        const t = scaled(l, x!, s!, shift)
        return { stores: [t], folds: [t] }
      },
    })
    const terms = new Pass(w, {
      reads: 1,
      values: 1,
      fold: 'sum',
      make: (l, [t], [m]) => {
        const e = l.expFalling(l.sub(t!, m!))
        return { stores: [e], folds: [e] }
      },
    })
    const shares = new Pass(w, { reads: 1, values: 1, make: (l, [e], [r]) => ({ stores: [l.mul(e!, r!)] }) })
    const step = f.let(I32, f.i32.mul(f.get(n), f.i32.const(bytes)))
    const seen = f.local(I32)
    const inputs = masked ? [scores, mask] : [scores]
    take(f, rows, 1, () => {
      see(f, seen, n, first, bytes, [scores])
      shifted.start()
      shifted.run(inputs, [scores], [[factor]], seen)
      const [m] = onRow(w, [shifted.results()[0]!], (l, [v]) => [l.without(v!, l.equal(v!, l.constant(-Infinity)))]) as [Local[]]
      terms.start()
      terms.run([scores], [scores], [m], seen)
      const [r] = onRow(w, [terms.results()[0]!], (l, [s]) => [l.without(l.div(l.constant(1), s!), l.equal(s!, l.constant(0)))]) as [Local[]]
      shares.run([scores], [scores], [r], seen)
      storeRow(w, max, m)
      storeRow(w, share, r)
      bump(f, first, 1)
      bump(f, scores, step)
      if (masked) bump(f, mask, maskRow)
      bump(f, max, bytes)
      bump(f, share, bytes)
    })
  })
}

export function compileAttention(memory: LinearMemory, dtype: FloatType, relaxed: boolean): AttentionKernel {
  const module = moduleFor(memory.memory)
  const [plain, masked] = [weigh(module, dtype, relaxed, false), weigh(module, dtype, relaxed, true)]
  module.func(FORWARD, [], (f, ...params) => {
    const [, , , , mask] = params
    f.if(f.get(mask), () => run(f, masked, params), () => run(f, plain, params))
  }, 'run')
  return instantiate(module.encode(), memory.memory)['run'] as unknown as AttentionKernel
}

/** What of the row becomes new: the weights and the gradients, of plain or of masked scores, or the gradients alone. */
type Form = 'plain' | 'masked' | 'weights'

function slope(module: ModuleBuilder, dtype: FloatType, relaxed: boolean, form: Form): Func {
  const bytes = bytesOf(dtype)
  return module.func(BACKWARD, [], (f, rows, n, first, scores, slopes, mask, maskRow, scale, max, share, delta) => {
    const w = writer(f, dtype, relaxed)
    const known = form === 'weights'
    const factor = splat(w, scale)
    const pass = new Pass(w, {
      reads: form === 'masked' ? 3 : 2,
      values: known ? 2 : 4,
      make: (l, [x, g, shift], [s, d, m, r]) => {
        const weight = known ? x! : l.mul(l.expFalling(l.sub(scaled(l, x!, s!, shift), m!)), r!)
        const turned = l.mul(l.mul(weight, s!), l.sub(g!, d!))
        return { stores: known ? [turned] : [weight, turned] }
      },
    })
    const step = f.let(I32, f.i32.mul(f.get(n), f.i32.const(bytes)))
    const seen = f.local(I32)
    const inputs = form === 'masked' ? [scores, slopes, mask] : [scores, slopes]
    const outputs = known ? [slopes] : [scores, slopes]
    take(f, rows, 1, () => {
      see(f, seen, n, first, bytes, outputs)
      const statistics = known ? [] : [loadRow(w, max), loadRow(w, share)]
      pass.run(inputs, outputs, [[factor], loadRow(w, delta), ...statistics], seen)
      bump(f, first, 1)
      bump(f, scores, step)
      bump(f, slopes, step)
      if (form === 'masked') bump(f, mask, maskRow)
      for (const p of known ? [delta] : [delta, max, share]) bump(f, p, bytes)
    })
  })
}

export function compileAttentionBackward(memory: LinearMemory, dtype: FloatType, relaxed: boolean): AttentionBackwardKernel {
  const module = moduleFor(memory.memory)
  const [plain, masked, weights] = (['plain', 'masked', 'weights'] as const).map((form) => slope(module, dtype, relaxed, form))
  module.func(BACKWARD, [], (f, ...params) => {
    const [, , , , , mask, , , max] = params
    f.if(f.get(max), () => f.if(f.get(mask), () => run(f, masked!, params), () => run(f, plain!, params)), () => run(f, weights!, params))
  }, 'run')
  return instantiate(module.encode(), memory.memory)['run'] as unknown as AttentionBackwardKernel
}

export function compileAttentionDot(memory: LinearMemory, dtype: FloatType, relaxed: boolean): AttentionDotKernel {
  const module = moduleFor(memory.memory)
  module.func([I32, I32, I32, I32, I32, I32, I32], [], (f, rows, d, g, gRow, y, yRow, out) => {
    const w = writer(f, dtype, relaxed)
    const dot = new Pass(w, { reads: 2, values: 0, fold: 'sum', make: (l, [a, b]) => ({ folds: [l.mul(a!, b!)] }) })
    take(f, rows, 1, () => {
      dot.start()
      dot.run([g, y], [], [], d)
      storeRow(w, out, dot.results()[0]!)
      bump(f, g, gRow)
      bump(f, y, yRow)
      bump(f, out, bytesOf(dtype))
    })
  }, 'run')
  return instantiate(module.encode(), memory.memory)['run'] as unknown as AttentionDotKernel
}
