/**
 * Losses of elements: one expression, its mean, sum or each by itself, as one node. The fold is one pass over the inputs, and so
 * is each gradient.
 */
import type { FloatType } from '../backend/backend.ts'
import { fold } from '../backend/jobs/fold.ts'
import { type Arith, input, type Operand, Program, type Scalar, scalar } from '../backend/scalar.ts'
import { type DType, type DTypeInfo, promoteTensors } from '../dtype.ts'
import { DTypeError } from '../errors.ts'
import { backend, type Kernel, kernel, reduce, run } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import type { Owner } from '../memory/storage.ts'
import { broadcast, numel, type Shape, sameShape } from '../shape.ts'
import { address, empty, type TensorCore } from '../tensor.ts'
import { followed } from './follow.ts'
import { type Context, type GeneralOp, general, inFront, type VjpRule, vjp } from './general.ts'
import { collectInputs, renumber } from './trace.ts'

/** How a loss over elements becomes the result. */
export type Reduction = 'mean' | 'sum' | 'none'

/** The gradient of one input from that of the term, linear in `g`; `x` are the inputs, `s` the run-time scalars. */
export type TermRule = <V extends Arith<V>>(g: V, x: readonly V[], s: readonly Operand<V>[]) => V

export interface FoldedRecord {
  /** torch's node name. */
  readonly node: string
  /** How many inputs, broadcast together. */
  readonly inputs: number
  readonly scalars?: number
  value(x: readonly Scalar[], s: readonly Scalar[]): Scalar
  /** One rule per input; null: no gradient. */
  readonly vjp: readonly (TermRule | null)[]
  /** Rules for tensors whose own derivatives torch states by other formulas; absent or null: those of `vjp`. */
  readonly again?: readonly (((g: Tensor, x: readonly Tensor[]) => Tensor) | null)[]
  /** Looks at the inputs before anything is computed; throws what it doesn't like. */
  check?(x: readonly TensorCore[]): void
}

interface Folding {
  readonly reduction: Reduction
  readonly s: readonly number[]
  /** How many terms. */
  readonly count: number
}

/** One fused kernel: of the value, or of a rule over g, the inputs in `uses` and 1/count as the last scalar. */
interface Fused {
  readonly uses: readonly number[]
  readonly expression: Scalar
  readonly kernels: (Kernel | undefined)[]
}

const inputs = (n: number, from = 0): Scalar[] => Array.from({ length: n }, (_, i) => input(i + from))
const scalars = (n: number): Scalar[] => Array.from({ length: n }, (_, i) => scalar(i))

export class FoldedOp {
  readonly name: string
  readonly record: FoldedRecord
  private readonly op: GeneralOp<Folding>
  private term: Fused | null = null
  private readonly slopes: (Fused | undefined)[] = []

  constructor(name: string, record: FoldedRecord) {
    this.name = name
    this.record = record
    this.op = general(name, {
      node: record.node,
      forward: (x, p, owner) => this.forward(x, p, owner),
      vjp: (i) => this.rule(i),
      batch: (b) => {
        const rank = b.x[0]!.ndim - (b.dims[0] === -1 ? 0 : 1)
        if (b.x.some((x, i) => x.ndim - (b.dims[i] === -1 ? 0 : 1) !== rank)) return undefined
        const each = this.op.one(
          b.x.map((_, i) => inFront(b, i)),
          { ...b.p, reduction: 'none', count: b.p.count * b.size },
        )
        if (b.p.reduction === 'none') return each
        const flat = each.reshape([b.size, b.p.count])
        return b.p.reduction === 'mean' ? flat.mean(1) : flat.sum(1)
      },
    })
  }

  /** The loss of these inputs, which are brought to one float dtype. */
  call(x: readonly Tensor[], reduction: Reduction, s: readonly number[] = []): Tensor {
    let dt: DTypeInfo = x[0]!.dt
    let shape: Shape = x[0]!.layout.shape
    for (let i = 1; i < x.length; i++) {
      const t = x[i]!
      if (t.dt !== dt) dt = promoteTensors(dt, shape.length, t.dt, t.layout.rank)
      if (!sameShape(shape, t.layout.shape)) shape = broadcast(shape, t.layout.shape, this.name)
    }
    if (dt.category !== 2) {
      throw new DTypeError(`"${this.name}" not implemented for '${dt.name}'; convert first, e.g. input.to('float32')`, {
        op: this.name,
        dtypes: [dt.name],
      })
    }
    const same = x.every((t) => t.dt === dt) ? x : x.map((t) => t.to(dt.name))
    return this.op.one(same, { reduction, s, count: numel(shape) })
  }

  private forward(x: readonly TensorCore[], p: Folding, owner: Owner | null): TensorCore {
    this.record.check?.(x)
    const { inputs: count, scalars: more = 0 } = this.record
    const dt = x[0]!.dt
    this.term ??= { uses: [], expression: this.record.value(inputs(count), scalars(more)), kernels: [] }
    const k = fused(this.term, dt, count, more)
    if (p.reduction === 'none') return run(k, x, p.s, owner)
    const divisor = p.reduction === 'mean' ? p.count : 1
    const shape = x[0]!.layout.shape
    if (x.every((t) => t.layout.contiguous && t.storage.ptr >= 0 && sameShape(t.layout.shape, shape))) {
      const out = empty(Layout.of([]), dt, owner)
      backend().job(fold, dt.name as FloatType)(k.program, 0)(p.count, out.storage.ptr, ...x.map(address), ...p.s, divisor)
      return out
    }
    const each = run(k, x, p.s, owner)
    const sum = reduce(
      'sum',
      each,
      each.layout.shape.map((_, d) => d),
      false,
      owner,
    )
    return run(scaledKernel(dt), [sum], [divisor], owner)
  }

  private rule(i: number): VjpRule<Folding> | null {
    const rule = this.record.vjp[i]
    if (rule === null || rule === undefined) return null
    const f = this.slope(i, rule)
    return vjp(f.uses, (g, c) => this.gradient(i, g, c, rule, f))
  }

  /** Traced once: g is input 0, input i of the operation input 1 + i. */
  private slope(i: number, rule: TermRule): Fused {
    const hit = this.slopes[i]
    if (hit !== undefined) return hit
    const more = this.record.scalars ?? 0
    const traced = rule<Scalar>(input(0).mul(scalar(more)), inputs(this.record.inputs, 1), scalars(more))
    const seen = new Set<number>()
    collectInputs(traced, seen)
    const uses = [...seen].filter((k) => k > 0).sort((a, b) => a - b)
    const expression = renumber(traced, new Map(uses.map((k, n) => [k, n + 1] as const)), new Map())
    return (this.slopes[i] = { uses: uses.map((k) => k - 1), expression, kernels: [] })
  }

  private gradient(i: number, g: Tensor, c: Context<Folding>, rule: TermRule, f: Fused): Tensor {
    const { reduction, s, count } = c.p
    const scale = reduction === 'mean' ? 1 / count : 1
    const x: Tensor[] = []
    let follow = followed(g)
    for (const k of f.uses) {
      x[k] = c.in(k)
      follow ||= followed(x[k]!)
    }
    if (follow) {
      const each = reduction === 'mean' ? g.mul(scale) : g
      return this.record.again?.[i]?.(each, x) ?? rule<Tensor>(each, x, s)
    }
    const more = this.record.scalars ?? 0
    return run(fused(f, g.dt, 1 + f.uses.length, more + 1), [g, ...f.uses.map((k) => x[k]!)], [...s, scale], g.storage.owner) as Tensor
  }
}

function fused(f: Fused, dt: DTypeInfo, count: number, scalarCount: number): Kernel {
  return (f.kernels[dt.code] ??= kernel(
    new Program([f.expression], [dt.name], new Array<DType>(count).fill(dt.name), scalarCount, dt.name as 'float32'),
  ))
}

const scaledKernel = (dt: DTypeInfo): Kernel =>
  kernel(new Program([input(0).div(scalar(0))], [dt.name], [dt.name], 1, dt.name as 'float32'))

/** Declares a loss of elements. */
// @__NO_SIDE_EFFECTS__
export function folded(name: string, record: FoldedRecord): FoldedOp {
  return new FoldedOp(name, record)
}
