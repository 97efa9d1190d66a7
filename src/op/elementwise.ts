/**
 * Elementwise operations: a record states the value as a scalar expression and one derivative rule per input; kernels,
 * saves, reverse mode of every order, forward mode, batching and in-place forms are derived here.
 */

import { type Level, lower, topLevel, wrap } from '../autograd/levels.ts'
import { modes, raiseTrouble } from '../autograd/modes.ts'
import { type Node, SavedTensor } from '../autograd/node.ts'
import { attach, bump, checkInPlace, edgeOf, needs, rebase } from '../autograd/record.ts'
import { type Arith, type ComputeType, computeType, input, type Operand, Program, type Scalar, scalar } from '../backend/scalar.ts'
import { type DTypeInfo, defaultInfo, dtypes, promoteScalar, promoteTensors, scalarCategory } from '../dtype.ts'
import { ArgumentError, ShapeError, show } from '../errors.ts'
import { cloneContiguous, type Kernel, kernel, run, run1, run2, runInto, type Scalars } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { broadcast, sameShape } from '../shape.ts'
import { refuse, TensorCore } from '../tensor.ts'
import { type Refusal, refuseMixed, refuseResult, refuseType, refuseZero, underived } from './operands.ts'
import { refuseOverlap } from './overlap.ts'
import { ElementwiseNode, Y } from './recorded.ts'
import { collectInputs, countScalars, renumber } from './trace.ts'

/**
 * What a rule may read: the inputs a, b, c, the output y, and the scalars s. An input that was given as a JS number is
 * that number (or its placeholder), so use it as an argument, not as a receiver, unless the rule is its own.
 */
export interface Slots<V> {
  readonly a: V
  readonly b: V
  readonly c: V
  readonly y: V
  readonly s: readonly Operand<V>[]
}

/** The gradient of one input from the gradient `g` of the output; linear in `g`, so also the tangent rule. */
export type Rule = <V extends Arith<V>>(g: V, v: Slots<V>) => V

/** How the dtype of the result follows from the inputs: promoted; promoted and at least an integer, a float; bool. */
type ResultType = 'promote' | 'integer' | 'float' | 'bool'

/** The declaration of an elementwise operation. */
export interface ElementwiseRecord {
  /** torch's node name: `MulBackward0`; or by which inputs are JS numbers (bit i for input i). */
  readonly node?: string | ((numbers: number) => string)
  readonly value: (...x: Scalar[]) => Scalar
  /** One rule per input, null for an input without gradient; absent: not differentiable. */
  readonly vjp?: readonly (Rule | null)[]
  readonly result?: ResultType
  /** How many run-time scalars follow the inputs. */
  readonly scalars?: number
  /** Operands it has no meaning for. */
  readonly refuses?: Refusal
  /** The inputs' names, if they must all have one dtype. */
  readonly same?: readonly string[]
  /** The input that integers are divided by. */
  readonly divisor?: number
  /** torch's names of the inputs, then of the scalars. Default: those of `same`, or self, other, … */
  readonly names?: readonly string[]
  /** In place of `vjp`: calls are recorded, and refused when a pass arrives at them. */
  readonly underived?: true
  /** Numbers of the call that the operation itself stands for, by name: the exponent of a square. */
  readonly fixed?: Readonly<Record<string, number>>
}

/** A tensor or a JS number where a tensor may stand. */
export type TensorOrNumber = Tensor | number | boolean

const SLOTS = 4
const NAMES = [['self'], ['self', 'other'], ['self', 'tensor1', 'tensor2']]

/** One rule, traced: which slots it reads, and its expression over g and those. */
export interface Plan {
  readonly identity: boolean
  readonly uses: readonly number[]
  readonly mask: number
  readonly expression: Scalar
  readonly kernels: Map<number, Kernel>
  /** The one that ran last, and its key. */
  key: number
  last: Kernel | null
}

export class ElementwiseOp {
  readonly name: string
  readonly arity: number
  readonly record: ElementwiseRecord
  readonly differentiable: boolean
  private readonly forwards = new Map<number, Kernel>()
  private readonly plans: (Plan | undefined)[] = []
  private readonly saveMasks: (number | undefined)[] = []
  private slotOrder: readonly number[] | null = null

  constructor(name: string, arity: number, record: ElementwiseRecord) {
    this.name = name
    this.arity = arity
    const refuse = (): never => {
      throw underived(name)
    }
    this.record = record.underived ? { ...record, vjp: new Array<Rule>(arity).fill(refuse) } : record
    this.differentiable = this.record.vjp !== undefined
  }

  /** `scalarMask`: bit i set if input i is a JS number. Inputs come first among the scalars, in order. */
  private kernelFor(
    result: DTypeInfo,
    compute: ComputeType,
    scalarMask: number,
    a: DTypeInfo | null,
    b: DTypeInfo | null,
    c: DTypeInfo | null,
  ): Kernel {
    const computeCode = compute === 'int32' ? 0 : compute === 'float32' ? 1 : 2
    const key = ((((scalarMask * 8 + (a?.code ?? 7)) * 8 + (b?.code ?? 7)) * 8 + (c?.code ?? 7)) * 8 + result.code) * 4 + computeCode
    let hit = this.forwards.get(key)
    if (hit === undefined) {
      const all = [a, b, c].slice(0, this.arity)
      const ins: DTypeInfo[] = []
      let s = 0
      const values = all.map((dt, i) => {
        if (scalarMask & (1 << i)) return scalar(s++)
        ins.push(dt!)
        return input(ins.length - 1)
      })
      for (let i = 0; i < (this.record.scalars ?? 0); i++) values.push(scalar(s++))
      const program = new Program(
        [this.record.value(...values)],
        [result.name],
        ins.map((d) => d.name),
        s,
        compute,
      )
      this.forwards.set(key, (hit = kernel(program)))
    }
    return hit
  }

  private resultOf(promoted: DTypeInfo): DTypeInfo {
    const kind = this.record.result
    if (kind === 'bool') return dtypes.bool
    if (kind === 'integer' && promoted.category === 0) return dtypes.int32
    return kind === 'float' && promoted.category !== 2 ? defaultInfo() : promoted
  }

  /** Refuses operands by the lowest category among them and by what they promote to. */
  private allow(promoted: DTypeInfo, lowest: number): void {
    const { refuses } = this.record
    if (refuses !== undefined && (refuses.each ? lowest : promoted.category) < refuses.below) {
      throw refuseType(this.name, refuses, promoted)
    }
  }

  /** Does this operation divide integers of the promoted type? Then zeros are looked for at every call. */
  private divides(promoted: DTypeInfo): boolean {
    return this.record.divisor !== undefined && promoted.category !== 2
  }

  private computeOf(promoted: DTypeInfo, result: DTypeInfo): ComputeType {
    return computeType(this.record.result === 'bool' ? promoted.name : result.name)
  }

  /** Is the kernel for operands of this dtype the same whatever they hold and whatever the default dtype is? */
  private lasting(dt: DTypeInfo): boolean {
    return dt.category === 2 || (this.record.result !== 'float' && this.record.divisor === undefined)
  }

  private unaryKernels: (Kernel | undefined)[] = []

  /** One input. */
  call1(a: TensorCore, s: Scalars): TensorCore {
    if (!(a instanceof TensorCore)) throw refuse(this.name, a, 'argument 0')
    if (modes.trouble !== null) raiseTrouble()
    if (a.wrap !== null) return this.atLevel([a], s)
    const k = this.unaryKernels[a.dt.code] ?? this.unaryKernel(a.dt)
    const y = modes.selection === null ? run1(k, a, s, a.storage.owner) : this.select(k, [a], s)
    if (modes.grad && this.differentiable && (a.rg || a.viewMeta !== null)) this.track(y, a, null, null, s, 0, null)
    return y
  }

  private unaryKernel(dt: DTypeInfo): Kernel {
    this.allow(dt, dt.category)
    const result = this.resultOf(dt)
    const k = this.kernelFor(result, this.computeOf(dt, result), 0, dt, null, null)
    if (this.lasting(dt)) this.unaryKernels[dt.code] = k
    return k
  }

  private binaryKernels: (Kernel | undefined)[] = []

  /** Two inputs, either of which may be a JS number. */
  call2(a: TensorCore | number | boolean, b: TensorCore | number | boolean, s: Scalars): TensorCore {
    if (modes.trouble !== null) raiseTrouble()
    if (a instanceof TensorCore && b instanceof TensorCore) {
      if (a.wrap !== null || b.wrap !== null) return this.atLevel([a, b], s)
      const same = a.dt === b.dt ? this.binaryKernels[a.dt.code] : undefined
      const k = same ?? this.binaryKernel(a, b)
      const y = modes.selection === null ? run2(k, a, b, s, a.storage.owner ?? b.storage.owner) : this.select(k, [a, b], s)
      if (modes.grad && this.differentiable && (a.rg || b.rg || a.viewMeta !== null || b.viewMeta !== null))
        this.track(y, a, b, null, s, 0, null)
      return y
    }
    return this.callScalar(a, b, s)
  }

  private binaryKernel(a: TensorCore, b: TensorCore): Kernel {
    if (!sameShape(a.layout.shape, b.layout.shape)) broadcast(a.layout.shape, b.layout.shape, this.name)
    const promoted = promoteTensors(a.dt, a.layout.rank, b.dt, b.layout.rank)
    this.allow(promoted, Math.min(a.dt.category, b.dt.category))
    if (this.divides(promoted)) refuseZero(this.name, this.record.divisor === 0 ? a : b, promoted)
    const result = this.resultOf(promoted)
    const k = this.kernelFor(result, this.computeOf(promoted, result), 0, a.dt, b.dt, null)
    k.op = k.op === undefined || k.op === this.name ? this.name : null
    if (a.dt === b.dt && this.lasting(a.dt)) this.binaryKernels[a.dt.code] = k
    return k
  }

  private callScalar(a: TensorCore | number | boolean, b: TensorCore | number | boolean, s: Scalars): TensorCore {
    const first = a instanceof TensorCore
    const t = first ? a : b
    const v = first ? b : a
    if (!(t instanceof TensorCore)) throw refuse(this.name, t, 'argument 0')
    if (typeof v !== 'number' && typeof v !== 'boolean') throw refuse(this.name, v, first ? 'argument 1' : 'argument 0')
    if (t.wrap !== null) return this.atLevel([a, b], s)
    const mask = first ? 2 : 1
    const known = typeof v === 'number' && t.dt.category === 2 ? this.scalarKernels[t.dt.code * 2 + mask] : undefined
    const k = known ?? this.scalarKernel(a, b, t, v, mask)
    const all = s === null ? [Number(v)] : [Number(v), ...s]
    const y = modes.selection === null ? run1(k, t, all, t.storage.owner) : this.select(k, [t], all)
    if (modes.grad && this.differentiable && (t.rg || t.viewMeta !== null))
      this.track(y, first ? t : null, first ? null : t, null, all, mask, null)
    return y
  }

  /** By dtype and place of the number: of floats, whose dtype no number changes. */
  private scalarKernels: (Kernel | undefined)[] = []

  private scalarKernel(
    a: TensorCore | number | boolean,
    b: TensorCore | number | boolean,
    t: TensorCore,
    v: number | boolean,
    mask: number,
  ): Kernel {
    const promoted = promoteScalar(t.dt, v)
    this.allow(promoted, typeof v === 'boolean' ? 0 : t.dt.category)
    if (this.divides(promoted)) refuseZero(this.name, this.record.divisor === 0 ? a : b, promoted)
    const result = this.resultOf(promoted)
    const k = this.kernelFor(result, this.computeOf(promoted, result), mask, mask === 2 ? t.dt : null, mask === 2 ? null : t.dt, null)
    if (typeof v === 'number' && t.dt.category === 2) this.scalarKernels[t.dt.code * 2 + mask] = k
    return k
  }

  /** Three inputs, any of which may be a JS number as long as one is a tensor. */
  call3(a: TensorCore | number | boolean, b: TensorCore | number | boolean, c: TensorCore | number | boolean, s: Scalars): TensorCore {
    if (modes.trouble !== null) raiseTrouble()
    const args = [a, b, c]
    const numbers: number[] = []
    const tensors: TensorCore[] = []
    let mask = 0
    args.forEach((x, i) => {
      if (x instanceof TensorCore) tensors.push(x)
      else if (typeof x === 'number' || typeof x === 'boolean') {
        mask |= 1 << i
        numbers.push(Number(x))
      } else throw refuse(this.name, x, `argument ${i}`)
    })
    if (tensors.length === 0) throw refuse(this.name, a, 'argument 0')
    if (tensors.some((t) => t.wrap !== null)) return this.atLevel(args, s)
    let shape = tensors[0]!.layout.shape
    for (const t of tensors) shape = broadcast(shape, t.layout.shape, this.name)
    const promoted = this.promoteAll(args)
    this.allow(promoted, promoted.category)
    if (this.record.same !== undefined) refuseMixed(this.name, this.record.same, args)
    const result = this.resultOf(promoted)
    const dt = args.map((x) => (x instanceof TensorCore ? x.dt : null))
    const k = this.kernelFor(result, this.computeOf(promoted, result), mask, dt[0]!, dt[1]!, dt[2]!)
    const all = numbers.length === 0 ? s : [...numbers, ...(s ?? [])]
    const owner = tensors.find((t) => t.storage.owner !== null)?.storage.owner ?? null
    const y = modes.selection === null ? run(k, tensors, all, owner) : this.select(k, tensors, all)
    if (modes.grad && this.differentiable) {
      const at = (i: number): TensorCore | null => (args[i] instanceof TensorCore ? (args[i] as TensorCore) : null)
      this.track(y, at(0), at(1), at(2), all, mask, null)
    }
    return y
  }

  /** The value of a call inside a selective checkpoint. */
  private select(k: Kernel, args: readonly TensorCore[], s: Scalars): TensorCore {
    return modes.selection!.compute(this.name, args, () => run(k, args, s, null))
  }

  /** Promotion over any number of operands; masks (bool inputs that select) don't take part if `from` skips them. */
  private promoteAll(args: readonly (TensorCore | number | boolean)[]): DTypeInfo {
    const operands = this.name === 'where' ? args.slice(1) : args
    let dt: DTypeInfo | null = null
    let dims = 0
    for (const x of operands) {
      if (!(x instanceof TensorCore)) continue
      dt = dt === null ? x.dt : promoteTensors(dt, dims, x.dt, x.layout.rank)
      dims = Math.max(dims, x.layout.rank)
    }
    for (const x of operands) {
      if (x instanceof TensorCore) continue
      if (dt === null) dt = typeof x === 'boolean' ? dtypes.bool : defaultInfo()
      else dt = promoteScalar(dt, x)
    }
    return dt!
  }

  /** Records a call, if an input needs gradients. `level` null: the plain tape. */
  private track(
    y: TensorCore,
    a: TensorCore | null,
    b: TensorCore | null,
    c: TensorCore | null,
    s: Scalars,
    scalarMask: number,
    level: Level | null,
  ): void {
    if (y.dt.category !== 2) return
    const ea = a === null ? null : edgeOf(a, level)
    const eb = b === null ? null : edgeOf(b, level)
    const ec = c === null ? null : edgeOf(c, level)
    const wants = (ea === null ? 0 : 1) | (eb === null ? 0 : 2) | (ec === null ? 0 : 4)
    if (wants === 0) return
    attach(y, this.nodeFor(y, a, b, c, ea, eb, ec, s, scalarMask, wants, level))
  }

  private nodeFor(
    y: TensorCore,
    a: TensorCore | null,
    b: TensorCore | null,
    c: TensorCore | null,
    ea: Node | null,
    eb: Node | null,
    ec: Node | null,
    s: Scalars,
    scalarMask: number,
    wants: number,
    level: Level | null,
  ): ElementwiseNode {
    const edges = this.arity === 1 ? [ea] : this.arity === 2 ? [ea, eb] : [ea, eb, ec]
    const na = ea === null ? 0 : a!.outputNr
    const nb = eb === null ? 0 : b!.outputNr
    const nc = ec === null ? 0 : c!.outputNr
    const node = new ElementwiseNode(this, edges, (na | nb | nc) === 0 ? null : [na, nb, nc], y, s, scalarMask)
    const saves = this.saveMask(wants, scalarMask)
    if (level !== null) {
      if (saves & 1) node.a = SavedTensor.below(lower(a!, level))
      if (saves & 2) node.b = SavedTensor.below(lower(b!, level))
      if (saves & 4) node.c = SavedTensor.below(lower(c!, level))
      if (saves & 8) node.y = SavedTensor.below(lower(y, level))
    } else if (modes.hooks !== null) {
      for (const slot of this.order) {
        if (saves & (1 << slot)) node.keep(slot, slot === Y ? SavedTensor.output(y, node) : SavedTensor.input([a, b, c][slot]!))
      }
    } else {
      if (saves & 1) node.a = SavedTensor.input(a!)
      if (saves & 2) node.b = SavedTensor.input(b!)
      if (saves & 4) node.c = SavedTensor.input(c!)
      if (saves & 8) node.y = SavedTensor.output(y, node)
    }
    if (modes.hooks !== null) node.notePacked()
    return node
  }

  /** torch's name of an input, or of the output (slot 3). */
  nameOf(slot: number): string {
    return slot === Y ? 'result' : (this.record.names ?? this.record.same ?? NAMES[this.arity - 1]!)[slot]!
  }

  /** The numbers of a call by name: inputs that were numbers, then the scalars that have names. */
  numbersOf(s: Scalars, scalarMask: number): Record<string, number> {
    const inputs = Array.from({ length: this.arity }, (_, i) => i).filter((i) => scalarMask & (1 << i))
    const names = [...inputs.map((i) => this.nameOf(i)), ...(this.record.names ?? []).slice(this.arity)]
    return { ...this.record.fixed, ...Object.fromEntries((s ?? []).flatMap((x, k) => (k < names.length ? [[names[k]!, x]] : []))) }
  }

  /** The order in which saved tensors are packed and unpacked, as torch's: inputs by name, then the output. */
  get order(): readonly number[] {
    this.slotOrder ??= Array.from({ length: this.arity }, (_, i) => i)
      .sort((i, j) => (this.nameOf(i) < this.nameOf(j) ? -1 : 1))
      .concat(Y)
    return this.slotOrder
  }

  /** What must be saved when the inputs in `wants` need gradients. */
  saveMask(wants: number, scalarMask: number): number {
    const key = wants * 8 + scalarMask
    let mask = this.saveMasks[key]
    if (mask === undefined) {
      mask = 0
      for (let i = 0; i < this.arity; i++) if (wants & (1 << i)) mask |= this.plan(i, scalarMask).mask
      this.saveMasks[key] = mask
    }
    return mask
  }

  /** The rule of input i, traced on placeholders. */
  plan(i: number, scalarMask: number): Plan {
    const key = i * 8 + scalarMask
    return (this.plans[key] ??= this.trace(i, scalarMask))
  }

  private trace(i: number, scalarMask: number): Plan {
    const rule = this.record.vjp?.[i]
    if (rule === null || rule === undefined) throw new ArgumentError(`${this.name} has no gradient for input ${i}`, { op: this.name })
    const g = input(0)
    let s = 0
    const operands = Array.from({ length: SLOTS - 1 }, (_, k) => (k < this.arity && scalarMask & (1 << k) ? scalar(s++) : input(1 + k)))
    const params = Array.from({ length: this.record.scalars ?? 0 }, () => scalar(s++))
    const slots = { a: operands[0]!, b: operands[1]!, c: operands[2]!, y: input(1 + Y), s: params }
    // What has no derivative reads nothing; its kernel will be refused.
    const traced = this.record.underived ? g.neg() : rule<Scalar>(g, slots)
    const seen = new Set<number>()
    collectInputs(traced, seen)
    const uses = [...seen].filter((k) => k > 0).sort((x, y) => x - y)
    const place = new Map(uses.map((k, n) => [k, n + 1] as const))
    return {
      identity: traced === g,
      uses: uses.map((k) => k - 1),
      mask: uses.reduce((m, k) => m | (1 << (k - 1)), 0),
      expression: renumber(traced, place, new Map()),
      kernels: new Map(),
      key: -1,
      last: null,
    }
  }

  /** The fused gradient kernel of a plan for these dtypes, whose codes make up `key`. */
  backward(plan: Plan, key: number, types: readonly DTypeInfo[], out: DTypeInfo): Kernel {
    let hit = plan.kernels.get(key)
    if (hit === undefined) {
      if (this.record.underived) throw underived(this.name)
      const wide = types.some((t) => t.name === 'float64') || out.name === 'float64'
      const compute = wide ? 'float64' : 'float32'
      const s = (this.record.scalars ?? 0) + 3
      hit = kernel(
        new Program(
          [plan.expression],
          [out.name],
          types.map((t) => t.name),
          countScalars(plan.expression, s),
          compute,
        ),
      )
      plan.kernels.set(key, hit)
    }
    plan.key = key
    plan.last = hit
    return hit
  }

  /** An operand as rules on tensors see it: in the result's type, as the fused kernels compute. Masks stay masks. */
  converted(x: TensorCore, slot: number, dt: DTypeInfo): TensorCore {
    return x.dt === dt || this.record.vjp![slot] === null ? x : (x as Tensor).to(dt.name)
  }

  // --- transforms -------------------------------------------------------------------------------------------------------

  private again(args: readonly unknown[], s: Scalars): TensorCore {
    const x = args as (TensorCore | number)[]
    return this.arity === 1
      ? this.call1(x[0] as TensorCore, s)
      : this.arity === 2
        ? this.call2(x[0]!, x[1]!, s)
        : this.call3(x[0]!, x[1]!, x[2]!, s)
  }

  private atLevel(args: readonly (TensorCore | number | boolean)[], s: Scalars): TensorCore {
    const level = topLevel(args)!
    if (level.kind === 'batch') return this.batched(args, s, level)
    const inner = lower(args, level)
    const value = this.again(inner, s)
    let scalarMask = 0
    const numbers: number[] = []
    args.forEach((x, i) => {
      if (x instanceof TensorCore) return
      scalarMask |= 1 << i
      numbers.push(Number(x))
    })
    const all = numbers.length === 0 ? s : [...numbers, ...(s ?? [])]
    if (level.kind === 'reverse') {
      const y = wrap(level, value)
      const at = (i: number): TensorCore | null => (args[i] instanceof TensorCore ? (args[i] as TensorCore) : null)
      if (modes.grad && this.differentiable) this.track(y, at(0), at(1), at(2), all, scalarMask, level)
      return y
    }
    let tangent: Tensor | null = null
    if (this.differentiable && value.dt.category === 2) {
      args.forEach((x, i) => {
        if (!(x instanceof TensorCore) || x.wrap === null || x.wrap.level !== level || x.wrap.tangent === null) return
        const rule = this.record.vjp![i]
        if (rule === null || rule === undefined) return
        let t = x.wrap.tangent as Tensor
        if (!sameShape(t.layout.shape, value.layout.shape)) t = t.expand(value.layout.shape)
        if (t.dt !== value.dt) t = t.to(value.dt.name)
        const v = inner.map((o, k) => (o instanceof TensorCore ? this.converted(o, k, value.dt) : o)) as unknown as Tensor[]
        const term = rule<Tensor>(t, { a: v[0]!, b: v[1]!, c: v[2]!, y: value as Tensor, s: s ?? [] })
        tangent = tangent === null ? term : tangent.add(term)
      })
    }
    return wrap(level, value, tangent)
  }

  private batched(args: readonly (TensorCore | number | boolean)[], s: Scalars, level: Level): TensorCore {
    const rank = Math.max(...args.map((x) => (x instanceof TensorCore ? x.layout.rank : 0)))
    const inner = args.map((x) => {
      if (!(x instanceof TensorCore) || x.wrap === null || x.wrap.level !== level) return x
      let v = x.wrap.value as Tensor
      if (x.wrap.dim !== 0) v = v.movedim(x.wrap.dim, 0)
      // The batch dim stays in front of the dims that broadcasting would add.
      for (let k = x.layout.rank; k < rank; k++) v = v.unsqueeze(1)
      return v
    })
    return wrap(level, this.again(inner, s), null, 0)
  }

  // --- in place ---------------------------------------------------------------------------------------------------------

  /** Overwrites `a` with the result. */
  inPlace(a: TensorCore, rest: readonly (TensorCore | number | boolean)[], s: Scalars): TensorCore {
    const name = `${this.name}_`
    if (!(a instanceof TensorCore)) throw refuse(name, a, 'argument 0')
    if (modes.trouble !== null) raiseTrouble()
    if (topLevel([a, ...rest]) !== null)
      throw new ArgumentError(`${name}: in-place operations on tensors inside a transform are not supported; use ${this.name}`, {
        op: name,
      })
    const args: (TensorCore | number | boolean)[] = [a, ...rest]
    let scalarMask = 0
    const numbers: number[] = []
    const tensors: TensorCore[] = []
    args.forEach((x, i) => {
      if (x instanceof TensorCore) tensors.push(x)
      else if (typeof x === 'number' || typeof x === 'boolean') {
        scalarMask |= 1 << i
        numbers.push(Number(x))
      } else throw refuse(name, x, `argument ${i}`)
    })
    let shape = a.layout.shape
    for (const t of tensors) shape = broadcast(shape, t.layout.shape, name)
    if (!sameShape(shape, a.layout.shape)) {
      throw new ShapeError(`output with shape ${show(a.layout.shape)} doesn't match the broadcast shape ${show(shape)} (${name})`, {
        op: name,
        shapes: [a.layout.shape, shape],
      })
    }
    const promoted = this.promoteAll(args)
    this.allow(promoted, Math.min(...args.map((x) => (x instanceof TensorCore ? x.dt.category : scalarCategory(x)))))
    if (this.record.same !== undefined) refuseMixed(name, this.record.same, args)
    if (this.divides(promoted)) refuseZero(name, args[this.record.divisor!]!, promoted)
    const result = this.resultOf(promoted)
    if (result.category > a.dt.category) throw refuseResult(this.name, result, a.dt)
    const recording = modes.grad && this.differentiable && a.dt.category === 2 && tensors.some((t) => needs(t, null))
    checkInPlace(name, a, recording)
    refuseOverlap(name, a, tensors.slice(1))
    const all = numbers.length === 0 ? s : [...numbers, ...(s ?? [])]
    const dt = args.map((x) => (x instanceof TensorCore ? x.dt : null))
    const k = this.kernelFor(a.dt, this.computeOf(promoted, result), scalarMask, dt[0]!, dt[1] ?? null, dt[2] ?? null)
    if (!recording) {
      overwrite(name, k, a, tensors, all)
      bump(a, name)
      return a
    }
    const at = (i: number): TensorCore | null => (args[i] instanceof TensorCore ? (args[i] as TensorCore) : null)
    const edges = [edgeOf(a, null), at(1) === null ? null : edgeOf(at(1)!, null), at(2) === null ? null : edgeOf(at(2)!, null)] as const
    const wants = edges.reduce((m, e, i) => m | (e === null ? 0 : 1 << i), 0)
    // A rule that reads the overwritten operand gets a copy, with the operand's old history.
    const before = this.saveMask(wants, scalarMask) & 1 ? copyOf(a) : a
    overwrite(name, k, a, tensors, all)
    bump(a, name)
    const sameTensor = (t: TensorCore | null): TensorCore | null => (t === a ? before : t)
    const node = this.nodeFor(a, before, sameTensor(at(1)), sameTensor(at(2)), edges[0], edges[1], edges[2], all, scalarMask, wants, null)
    rebase(a, node)
    return a
  }
}

function overwrite(name: string, k: Kernel, a: TensorCore, tensors: readonly TensorCore[], s: Scalars): void {
  if (modes.profile === null) runInto(k, [a], tensors, s)
  else {
    modes.profile.op(name, tensors, () => {
      runInto(k, [a], tensors, s)
      return a
    })
  }
}

function copyOf(a: TensorCore): TensorCore {
  const copy = cloneContiguous(a, null)
  copy.node = a.node
  copy.outputNr = a.outputNr
  copy.rg = a.rg
  return copy
}
