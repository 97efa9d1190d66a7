/** Properties of gradients beyond their values: linear in the incoming gradient, batched as one by one, right where none comes. */
import type { FunctionCtx } from '../autograd/context.ts'
import { Function } from '../autograd/function.ts'
import { grad } from '../autograd/grad.ts'
import { ArgumentError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { vmap } from '../func/vmap.ts'
import type { Generator } from '../random.ts'
import { sameShape } from '../shape.ts'
import { warn } from '../warnings.ts'
import { type Checked, differentiable, GradcheckError, like, near, numbers, results, tangents } from './jacobians.ts'

type MaybeGrads = (Tensor | null)[]

/** A zero gradient must give zeros, in the inputs' dtypes and shapes. */
export function checkLinear(outputs: readonly Tensor[], wrt: readonly Tensor[]): void {
  if (outputs.length === 0) return
  const gradOutputs = outputs.map((y) => y.detach().zerosLike())
  const made = grad(outputs, wrt, { gradOutputs, retainGraph: true, allowUnused: true }) as MaybeGrads
  made.forEach((g, i) => {
    if (g === null) return
    if (!isZero(g)) throw new GradcheckError('backward not multiplied by grad_output')
    if (g.dtype !== wrt[i]!.dtype) throw new GradcheckError('grad is incorrect type')
    if (!sameShape(g.shape, wrt[i]!.shape)) throw new GradcheckError('grad is incorrect size')
  })
}

const isZero = (t: Tensor): boolean => numbers(t).every((x) => x === 0)

/** Passes its input through, and no gradient back. */
class UndefinedGrad extends Function {
  static forward(_ctx: FunctionCtx, x: Tensor): Tensor {
    return x.viewAs(x)
  }
  static backward(): null {
    return null
  }
}

const UNDEFINED_GRADS =
  'A backward that reads its gradients must expect null with setMaterializeGrads(false), and give null or zeros where all of them are; checkUndefinedGrad: false switches this check off.'

function warnOfUndefined(): void {
  warn(
    'Backwards compatibility: New undefined gradient support checking feature is enabled by default, but it may break existing callers of this function. ' +
      'If this is true for you, you can call this function with "checkUndefinedGrad: false" to disable the feature',
  )
}

/** Where no gradient comes from an output (all of them, then one at a time), none or zeros must come out. */
export function checkUndefined(f: Checked, inputs: readonly Tensor[], count: number): void {
  const wrt = differentiable(inputs)
  const outputs = (): Tensor[] => results(f, inputs).filter((y) => y.requiresGrad)
  const lost = (y: Tensor): Tensor => UndefinedGrad.apply(y)
  check(outputs().map(lost))
  for (let k = 0; count > 1 && k < count; k++) check(outputs().map((y, i) => (i === k ? lost(y) : y)))

  function check(ys: readonly Tensor[]): void {
    if (ys.length === 0) return
    let made: MaybeGrads
    try {
      made = grad(ys, wrt, { gradOutputs: ys.map((y) => y.detach().zerosLike()), allowUnused: true }) as MaybeGrads
    } catch (cause) {
      warnOfUndefined()
      throw new GradcheckError(`Expected backward function to handle undefined output grads. ${UNDEFINED_GRADS}`, { cause })
    }
    if (made.every((g) => g === null || isZero(g))) return
    warnOfUndefined()
    throw new GradcheckError(
      `Expected all input grads to be undefined or zero when all output grads are undefined or zero. ${UNDEFINED_GRADS}`,
    )
  }
}

/** An input without a tangent is one with a zero tangent. */
export function checkUndefinedTangents(f: Checked, inputs: readonly Tensor[], generator: Generator): void {
  const given = inputs.map((x) => (x.requiresGrad ? like(x, unitVector(x.numel(), generator)) : null))
  inputs.forEach((x, i) => {
    if (!x.requiresGrad) return
    const zero = tangents(f, inputs, given.with(i, x.detach().zerosLike()))
    const none = tangents(f, inputs, given.with(i, null))
    zero.forEach((t, o) => {
      if (allNear(t, none[o]!)) return
      throw new GradcheckError(
        `Mismatch in tangent values for output with index: ${o} when input: ${i} has an undefined tangent value. Got: ${t} but expected: ${none[o]}`,
      )
    })
  })
}

/** Random numbers in [0, 1), divided by their norm. */
export function unitVector(n: number, generator: Generator): Float64Array {
  const v = new Float64Array(n)
  generator.uniform(v)
  const norm = Math.hypot(...v)
  return norm === 0 ? v : v.map((x) => x / norm)
}

function randomLike(t: Tensor, generator: Generator): Tensor {
  const v = new Float64Array(t.numel())
  generator.normal(v)
  return like(t, v)
}

/** With the tolerances of `allclose`. */
function allNear(a: Tensor, b: Tensor): boolean {
  const [x, y] = [numbers(a), numbers(b)]
  return x.length === y.length && x.every((v, i) => near(v, y[i]!, 1e-8, 1e-5))
}

/** Batched results against those one by one. */
function compareBatches(batch: MaybeGrads, single: readonly MaybeGrads[], describe: (i: number) => string, option: string): void {
  batch.forEach((g, i) => {
    single.forEach((one, k) => {
      const expected = one[i] ?? null
      const got = g === null ? null : g.select(0, k)
      if (got === null ? expected === null || isZero(expected) : expected === null ? isZero(got) : allNear(got, expected)) return
      throw new GradcheckError(`${describe(i)}:\n\n${failedBatch(option)}\n\nGot:\n${got ?? 'none'}\n\nExpected:\n${expected ?? 'none'}\n`)
    })
  })
}

const failedBatch = (option: string): string =>
  `gradcheck or gradgradcheck failed while testing batched gradient computation${option === 'checkBatchedForwardGrad' ? ' with forward-mode AD' : ''}. ` +
  `The rules don't give under vmap what they give one by one: they read values, or draw random numbers. ${option}: false switches this check off.`

function batched<R>(run: () => R, option: string): R {
  try {
    return run()
  } catch (cause) {
    throw new GradcheckError(
      `While computing batched gradients, got: ${cause instanceof Error ? cause.message : String(cause)}\n\n${failedBatch(option)}`,
      { cause },
    )
  }
}

/** Two backward passes at once. */
export function checkBatched(output: Tensor, index: number, wrt: readonly Tensor[], generator: Generator): void {
  const vs = [randomLike(output, generator), randomLike(output, generator)]
  const pass = { retainGraph: true, allowUnused: true } as const
  const single = vs.map((v) => grad(output, wrt, { ...pass, gradOutputs: v }) as MaybeGrads)
  const stacked = stack(vs)
  const batch = batched(() => grad(output, wrt, { ...pass, gradOutputs: stacked, isGradsBatched: true }) as MaybeGrads, 'checkBatchedGrad')
  compareBatches(batch, single, (i) => `For output ${index} and input ${i}`, 'checkBatchedGrad')
}

const stack = ([a, b]: readonly Tensor[]): Tensor => a!.unsqueeze(0).catWith([b!.unsqueeze(0)], 0)

/** Two forward passes at once. */
export function checkBatchedForward(f: Checked, inputs: readonly Tensor[], generator: Generator): void {
  inputs.forEach((x, at) => {
    if (!x.requiresGrad) return
    const along = (t: Tensor): Tensor[] =>
      tangents(
        f,
        inputs,
        inputs.map((_, i) => (i === at ? t : null)),
      )
    const ts = [randomLike(x, generator), randomLike(x, generator)]
    const single = ts.map(along)
    const batch = batched(() => vmap(along)(stack(ts)), 'checkBatchedForwardGrad')
    compareBatches(batch, single, (o) => `For output ${o} and input ${at}`, 'checkBatchedForwardGrad')
  })
}

/** Refuses inputs that can't be perturbed one element at a time, and warns of those too coarse for it. */
export function checkInputs(inputs: readonly Tensor[]): void {
  let found = false
  inputs.forEach((x, i) => {
    if (!x.requiresGrad) return
    found = true
    if (x.dtype !== 'float64') {
      warn(
        `Input #${i} requires gradient and is not a double precision floating point or complex. This check will likely fail if all the inputs are not of double precision floating point or complex. `,
      )
    }
    if (x.layout.strides.every((s, d) => s > 0 || x.shape[d]! <= 1)) return
    throw new ArgumentError(
      `The ${i}th input has a dimension with stride 0. gradcheck only supports inputs that are non-overlapping to be able to compute the numerical gradients correctly. ` +
        `You should call .contiguous on the input before passing it to gradcheck. (shape ${show(x.shape)}, strides ${show(x.layout.strides)})`,
      { shapes: [x.shape] },
    )
  })
  if (!found) {
    throw new ArgumentError('gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True.')
  }
}
