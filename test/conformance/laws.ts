/** What must hold of every operation: each law looks at one call and says what is wrong, or nothing. */
import { dtypeInfo } from '../../src/dtype.ts'
import * as torch from '../../src/index.ts'
import { gradcheck, gradgradcheck } from '../../src/testing/index.ts'
import { differentiable, leaves, ofInputs, type Sample, type Tensor } from './samples.ts'
import { values } from './table.ts'

const { func, noGrad } = torch
const grad = torch.autograd.grad

/** What must hold of the calls it applies to. */
export interface Law {
  /** Does it say anything about this call? */
  readonly applies: (s: Sample) => boolean
  /** Null where it holds, else the first thing that is wrong. */
  readonly broken: (s: Sample) => string | null
}

const list = (t: Tensor): number[] => Array.from(t.detach().toTypedArray())

/** Weights without a pattern that a wrong transpose would keep. */
const weight = (shape: readonly number[], seed: number): Tensor => values(shape, 11 + seed)

/** The first place where two tensors differ by more than `digits` allow, relative to the largest number. */
export function difference(what: string, a: Tensor, b: Tensor, tolerance = 1e-11): string | null {
  if (a.shape.join() !== b.shape.join()) return `${what}: shape [${a.shape}] instead of [${b.shape}]`
  if (a.dtype !== b.dtype) return `${what}: ${a.dtype} instead of ${b.dtype}`
  const x = list(a)
  const y = list(b)
  const scale = y.reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 1)
  const k = x.findIndex((v, i) => !(Object.is(v, y[i]) || v === y[i] || Math.abs(v - y[i]!) <= tolerance * scale))
  return k < 0 ? null : `${what}: element ${k} is ${x[k]} instead of ${y[k]} ([${x}] instead of [${y}])`
}

function differences(what: string, a: readonly Tensor[], b: readonly Tensor[], tolerance?: number): string | null {
  if (a.length !== b.length) return `${what}: ${a.length} results instead of ${b.length}`
  for (const [i, t] of a.entries()) {
    const bad = difference(`${what} ${i}`, t, b[i]!, tolerance)
    if (bad !== null) return bad
  }
  return null
}

const first = (...found: readonly (() => string | null)[]): string | null => {
  for (const f of found) {
    const bad = f()
    if (bad !== null) return bad
  }
  return null
}

/** Gradients of Σ w·result with respect to the tensors it is differentiated for; zeros where none flows. */
function gradients(s: Sample, x: readonly Tensor[], wrt: readonly Tensor[], options: { createGraph?: boolean } = {}): Tensor[] {
  const live = s.call(x).filter((y) => y.requiresGrad)
  if (live.length === 0) return []
  return grad(live, wrt, { gradOutputs: live.map((y, k) => weight(y.shape, k)), materializeGrads: true, ...options })
}

/** Gradients against finite differences. */
export const finiteDifferences: Law = {
  applies: differentiable,
  broken: (s) => {
    const { x, wrt } = leaves(s)
    gradcheck(ofInputs(s, x), wrt)
    return null
  },
}

/** Gradients of Σ w·result, recorded with w a variable, for the inputs that have one. */
function recordedGradients(s: Sample): Tensor[] {
  const { x, wrt } = leaves(s)
  const live = s.call(x).filter((y) => y.requiresGrad)
  const gradOutputs = live.map((y, k) => weight(y.shape, k).requiresGrad_())
  return (grad(live, wrt, { gradOutputs, createGraph: true, allowUnused: true }) as (Tensor | null)[]).filter((t) => t !== null)
}

/** Second derivatives against finite differences of the first. */
export const secondDerivatives: Law = {
  // Constant results have gradients of zeros that depend on nothing.
  applies: (s) => differentiable(s) && recordedGradients(s).some((t) => t.requiresGrad || list(t).some((v) => v !== 0)),
  broken: (s) => {
    if (!recordedGradients(s).some((t) => t.requiresGrad)) return 'the recorded gradient does not depend on the incoming one'
    const { x, wrt } = leaves(s)
    gradgradcheck(ofInputs(s, x), wrt)
    return null
  },
}

const dot = (a: readonly Tensor[], b: readonly Tensor[]): number => a.reduce((sum, t, i) => sum + t.mul(b[i]!).sum().item(), 0)

/** ⟨w, J·t⟩ = ⟨Jᵀ·w, t⟩, along all inputs together and along each alone. */
export const forwardMode: Law = {
  applies: (s) => !s.writes && differentiable(s),
  broken: (s) => {
    const x = s.tensors()
    const primals = s.wrt.map((i) => x[i]!)
    const f = ofInputs(s, x)
    const plain = f(...primals)
    const w = plain.map((y, k) => weight(y.shape, k))
    const back = func.vjp(f, ...primals)[1](w) as Tensor[]
    const directions = primals.length > 1 ? [-1, ...primals.keys()] : [-1]
    return first(
      ...directions.map((only) => () => {
        const along = only < 0 ? [...primals.keys()] : [only]
        const tangents = primals.map((p, i) => (along.includes(i) ? weight(p.shape, 3 + i) : p.zerosLike()))
        const g = (...given: Tensor[]): Tensor[] => f(...primals.map((p, i) => (along.includes(i) ? given[along.indexOf(i)]! : p)))
        const [y, dy] = func.jvp(
          g,
          along.map((i) => primals[i]!),
          along.map((i) => tangents[i]!),
        )
        const forward = dot(w, dy)
        const reverse = dot(back, tangents)
        const scale = Math.max(1, Math.abs(reverse))
        return first(
          () => differences('value in forward mode', y, plain),
          () =>
            Math.abs(forward - reverse) <= 1e-10 * scale
              ? null
              : `forward mode along ${only < 0 ? 'all' : only} gives ${forward}, reverse ${reverse}`,
        )
      }),
    )
  },
}

/** The elements in reverse order: other numbers of the same domain. */
const reversed = (t: Tensor): Tensor => t.reshape([-1]).flip(0).reshape(t.shape)

/** vmap gives what a loop over the examples gives, for values and gradients, whichever inputs have the batch, wherever it lies. */
export const batching: Law = {
  applies: (s) => !s.writes && s.tensors().length > 0,
  broken: (s) => {
    const x = s.tensors()
    const examples = [x, x.map(reversed)]
    const masks = x.length === 1 ? [[true]] : [x.map(() => true), ...x.map((_, i) => x.map((__, j) => i === j))]
    const at = [...s.wrt]
    const smooth = differentiable(s)
    return first(
      ...masks.flatMap((mask) =>
        [0, -1].map((where) => () => {
          const dims = mask.map((m) => (m ? where : null))
          // What draws is seeded at each call.
          const options = { inDims: dims, randomness: 'same' } as const
          const batch = x.map((t, i) =>
            mask[i]
              ? torch.stack(
                  examples.map((e) => e[i]!),
                  where,
                )
              : t,
          )
          const example = (b: number): Tensor[] => x.map((t, i) => (mask[i] ? examples[b]![i]! : t))
          const loop = (f: (...t: Tensor[]) => Tensor[]): Tensor[] => {
            const rows = [0, 1].map((b) => f(...example(b)))
            return rows[0]!.map((_, k) => torch.stack(rows.map((r) => r[k]!)))
          }
          const call = (...t: Tensor[]): Tensor[] => s.call(t)
          const bad = differences(`vmap(dims ${dims})`, func.vmap(call, options)(...batch), loop(call))
          if (bad !== null || !smooth) return bad
          const loss = (...t: Tensor[]): Tensor =>
            s
              .call(t)
              .filter((y) => y.dtype === 'float64')
              .map((y, k) => y.mul(weight(y.shape, k)).sum())
              .reduce((a, b) => a.add(b))
          const inner = (...t: Tensor[]): Tensor[] => func.grad(loss, at)(...t) as Tensor[]
          const outer = (...t: Tensor[]): Tensor[] =>
            func.grad(
              (...u: Tensor[]) =>
                func
                  .vmap(
                    loss,
                    options,
                  )(...u)
                  .sum(),
              at,
            )(...t) as Tensor[]
          const looped = (...t: Tensor[]): Tensor[] =>
            func.grad((...u: Tensor[]) => {
              const rows = [0, 1].map((b) => loss(...u.map((v, i) => (mask[i] ? v.select(where, b) : v))))
              return rows[0]!.add(rows[1]!)
            }, at)(...t) as Tensor[]
          return first(
            () => differences(`vmap(grad, dims ${dims})`, func.vmap(inner, options)(...batch), loop(inner)),
            () => differences(`grad(vmap, dims ${dims})`, outer(...batch), looped(...batch)),
          )
        }),
      ),
    )
  },
}

/** The same elements with transposed strides, inside a bigger tensor, or (where they don't change along dim 0) with stride 0. */
const layouts: Readonly<Record<string, (t: Tensor) => Tensor>> = {
  transposed: (t) => {
    const order = t.shape.map((_, d) => t.ndim - 1 - d)
    return t.ndim < 2 ? torch.stack([t, t], -1).select(-1, 1) : t.permute(order).contiguous().permute(order)
  },
  offset: (t) =>
    torch
      .cat([t.reshape([-1]).narrow(0, 0, 1), t.reshape([-1])])
      .narrow(0, 1, t.numel())
      .view(t.shape),
  expanded: (t) => (t.ndim === 0 ? t : t.narrow(0, 0, 1).expand(t.shape)),
}

/** Values and gradients don't depend on how the inputs lie in memory. */
export const layout: Law = {
  applies: (s) => s.tensors().length > 0,
  broken: (s) =>
    first(
      ...Object.entries(layouts).map(([name, place]) => () => {
        const moved = s.tensors().map(place)
        const plain = moved.map((t) => t.clone().contiguous())
        const run = (x: Tensor[]): Tensor[] => {
          const wrt = s.wrt.map((i) => x[i]!.detach().requiresGrad_())
          const all = x.map((t, i) => (s.wrt.includes(i) ? wrt[s.wrt.indexOf(i)]! : t))
          return [...s.call(all), ...(wrt.length === 0 ? [] : gradients(s, all, wrt))]
        }
        return differences(name, run(moved), run(plain))
      }),
    ),
}

/** A pass that is recorded and one by fused kernels agree within 2 ulp of the largest element. */
export const recordedPass: Law = {
  applies: differentiable,
  broken: (s) => {
    const { x, wrt } = leaves(s)
    return differences('recorded gradient', gradients(s, x, wrt, { createGraph: true }), gradients(s, x, wrt), 2 * Number.EPSILON)
  },
}

/** Results that an element does not reach give it a gradient of exactly 0, whatever theirs is. */
export const masks: Law = {
  applies: (s) => differentiable(s) && s.call(leaves(s).x).some((y) => y.requiresGrad && y.numel() > 0),
  broken: (s) => {
    const { x, wrt } = leaves(s)
    const live = s.call(x).filter((y) => y.requiresGrad)
    const pull = (of: number, at: number, value: number): number[][] => {
      const gradOutputs = live.map((y, k) => {
        const g = new Float64Array(y.numel())
        if (k === of) g[at] = value
        return torch.tensor(g, { dtype: 'float64' }).reshape(y.shape)
      })
      return grad(live, wrt, { gradOutputs, retainGraph: true, materializeGrads: true }).map(list)
    }
    return first(
      ...live.flatMap((y, of) =>
        Array.from({ length: Math.min(y.numel(), 6) }, (_, at) => () => {
          const slopes = pull(of, at, 1)
          return first(
            ...[0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN].map((value) => () => {
              const got = pull(of, at, value)
              for (const [i, row] of got.entries()) {
                const j = row.findIndex((v, k) => (value === 0 || slopes[i]![k] === 0) && v !== 0)
                if (j >= 0)
                  return `result ${of} element ${at} has gradient ${value}: input ${i} element ${j}, which it doesn't reach, gets ${row[j]}`
              }
              return null
            }),
          )
        }),
      ),
    )
  },
}

/** The in-place form leaves what the other form returns, in value and gradient, and counts as one change. */
export const inPlace: Law = {
  applies: (s) => s.inPlace !== undefined,
  broken: (s) => {
    const overwrite = s.inPlace!
    const x = s.tensors()
    const expected = s.call(x)[0]!
    const target = x[0]!
    const name = s.inPlaceName!
    const over = (t: Tensor): Tensor[] => [t, ...x.slice(1)]
    const refused = (t: Tensor, why: string): string | null => {
      const before = list(t)
      const version = t._version
      try {
        noGrad(() => overwrite(over(t)))
      } catch (e) {
        if (!(e instanceof torch.AutogradError)) return `${name} of ${why} throws ${String(e)}`
        if (list(t).some((v, i) => !Object.is(v, before[i])) || t._version !== version)
          return `${name} of ${why} throws after it has written`
        return null
      }
      return `${name} of ${why} is not refused`
    }
    if (expected.shape.join() !== target.shape.join()) return refused(target.clone(), 'a target that is too small')
    if (dtypeInfo(expected.dtype).category > dtypeInfo(target.dtype).category) {
      return refused(target.clone(), 'a target that cannot hold the result')
    }
    return first(
      () => {
        const t = target.clone()
        const returned = overwrite(over(t))
        return first(
          () => (returned === t ? null : `${name} doesn't return its tensor`),
          () => difference(name, t, expected.to(t.dtype)),
          () => (t._version === 1 ? null : `${name} counts ${t._version} changes`),
        )
      },
      () => {
        const base = torch.stack([target, target], -1)
        overwrite(over(base.select(-1, 1)))
        return first(
          () => difference(`${name} of a view`, base.select(-1, 1), expected.to(target.dtype)),
          () => difference(`${name} of a view: what lies beside it`, base.select(-1, 0), target),
        )
      },
      () =>
        target.ndim === 0 || target.shape[0] === 1 ? null : refused(target.narrow(0, 0, 1).expand(target.shape), 'an expanded tensor'),
      () => {
        if (target.dtype !== 'float64' || expected.dtype !== 'float64') return null
        const slopes = (change: boolean): Tensor[] => {
          const { x: y, wrt } = leaves(s)
          const out = change ? (overwrite([y[0]!.clone(), ...y.slice(1)]) as Tensor) : s.call(y)[0]!
          return out.requiresGrad ? grad(out, wrt, { gradOutputs: weight(out.shape, 0), materializeGrads: true }) : []
        }
        return differences(`gradient of ${name}`, slopes(true), slopes(false))
      },
      () => {
        if (!differentiable(s)) return null
        const leaf = target.clone().requiresGrad_()
        const before = list(leaf)
        try {
          overwrite(over(leaf))
        } catch (e) {
          return e instanceof torch.InPlaceError && list(leaf).every((v, i) => Object.is(v, before[i]))
            ? null
            : `${name} of a leaf throws ${String(e)}`
        }
        return `${name} of a leaf that requires gradients is not refused`
      },
    )
  },
}

/** Every number a call gives: results, then gradients. */
export function everything(s: Sample): Tensor[] {
  const { x, wrt } = leaves(s)
  return [...s.call(x), ...gradients(s, x, wrt)]
}

/** Every law by its name. */
export const laws: Readonly<Record<string, Law>> = {
  finiteDifferences,
  secondDerivatives,
  forwardMode,
  batching,
  layout,
  recordedPass,
  masks,
  inPlace,
}
