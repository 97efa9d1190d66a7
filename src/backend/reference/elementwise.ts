/** Runs elementwise programs: an expression becomes a list of loops over small registers, one loop per node. */
import { type DType, dtypes, type TypedArray } from '../../dtype.ts'
import type { FlatKernel, LinearMemory, StridedKernel } from '../backend.ts'
import type { ComputeType, Program, Scalar } from '../scalar.ts'
import { binaryMeaning, unaryMeaning } from './interpret.ts'
import { bytesOf, truncate, viewOf } from './views.ts'

/** How many elements pass through an expression together. */
const TILE = 512

/** Values of one node for one tile, in the compute type: keeping a value here is what rounds it. */
type Register = Float32Array | Float64Array | Int32Array

interface Plan {
  /** By input and by run-time scalar; undefined where the expression doesn't use it. */
  readonly inputs: readonly (Register | undefined)[]
  readonly scalars: readonly (Register | undefined)[]
  readonly outputs: readonly Register[]
  /** Each computes the first `n` values of one node, operands before users. */
  readonly steps: readonly ((n: number) => void)[]
}

function register(compute: ComputeType): Register {
  return compute === 'float32' ? new Float32Array(TILE) : compute === 'float64' ? new Float64Array(TILE) : new Int32Array(TILE)
}

function compile(program: Program): Plan {
  const { compute } = program
  const inputs = new Array<Register | undefined>(program.inTypes.length).fill(undefined)
  const scalars = new Array<Register | undefined>(program.scalars).fill(undefined)
  const steps: ((n: number) => void)[] = []
  const registers = new Map<Scalar, Register>()

  const visit = (node: Scalar): Register => {
    const known = registers.get(node)
    if (known !== undefined) return known
    const [a, b, c] = node.args.map(visit)
    // A mask is stored as 1 or 0 already.
    const out = node.op === 'number' ? a! : register(compute)
    registers.set(node, out)
    if (node.op === 'input') inputs[node.value] = out
    else if (node.op === 'scalar') scalars[node.value] = out
    else if (node.op === 'const') out.fill(compute === 'int32' ? truncate(node.value) : node.value)
    else if (node.op === 'where') {
      steps.push((n) => {
        for (let i = 0; i < n; i++) out[i] = a![i] === 0 ? c![i]! : b![i]!
      })
    } else if (b !== undefined) {
      const f = binaryMeaning(node.op, compute)
      steps.push((n) => {
        for (let i = 0; i < n; i++) out[i] = f(a![i]!, b[i]!)
      })
    } else if (node.op !== 'number') {
      const f = unaryMeaning(node.op, compute)
      steps.push((n) => {
        for (let i = 0; i < n; i++) out[i] = f(a![i]!)
      })
    }
    return out
  }
  const outputs = program.outputs.map(visit)
  return { inputs, scalars, outputs, steps }
}

/** Lists where the elements of one operand lie, in row-major order of the loop, some at a time. */
class Walker {
  readonly #sizes: readonly number[]
  readonly #strides: readonly number[]
  readonly #index: number[]
  #at: number

  /** Base and strides in elements. */
  constructor(sizes: readonly number[], base: number, strides: readonly number[]) {
    const single = sizes.length === 0
    this.#sizes = single ? [1] : sizes
    this.#strides = single ? [0] : strides
    this.#index = this.#sizes.map(() => 0)
    this.#at = base
  }

  next(positions: Float64Array, n: number): void {
    const sizes = this.#sizes
    const strides = this.#strides
    const index = this.#index
    const last = sizes.length - 1
    const stride = strides[last]!
    let at = this.#at
    for (let i = 0; i < n; ) {
      const end = Math.min(n, i + sizes[last]! - index[last]!)
      index[last]! += end - i
      for (; i < end; i++, at += stride) positions[i] = at
      for (let d = last; index[d] === sizes[d]; d--) {
        index[d] = 0
        at -= strides[d]! * sizes[d]!
        if (d === 0) break
        index[d - 1]!++
        at += strides[d - 1]!
      }
    }
    this.#at = at
  }
}

function load(to: Register, view: TypedArray, dtype: DType, compute: ComputeType, at: Float64Array, n: number): void {
  if (compute === 'int32' && dtypes[dtype].floating) for (let i = 0; i < n; i++) to[i] = truncate(view[at[i]!]!)
  else for (let i = 0; i < n; i++) to[i] = view[at[i]!]!
}

/** A value is true unless it is zero, NaN included. Small integers wrap when stored. */
function store(from: Register, view: TypedArray, dtype: DType, compute: ComputeType, at: Float64Array, n: number): void {
  if (dtype === 'bool') for (let i = 0; i < n; i++) view[at[i]!] = from[i] === 0 ? 0 : 1
  else if (compute !== 'int32' && !dtypes[dtype].floating) for (let i = 0; i < n; i++) view[at[i]!] = truncate(from[i]!)
  else for (let i = 0; i < n; i++) view[at[i]!] = from[i]!
}

/** Byte addresses and byte strides of the operands, outputs first. */
function run(
  memory: LinearMemory,
  program: Program,
  plan: Plan,
  sizes: readonly number[],
  bases: readonly number[],
  strides: readonly (readonly number[])[],
  scalars: readonly number[],
): void {
  const { compute } = program
  const types = [...program.outTypes, ...program.inTypes]
  const walkers = types.map((dtype, k) => {
    const bytes = bytesOf(dtype)
    return new Walker(
      sizes,
      bases[k]! / bytes,
      strides[k]!.map((s) => s / bytes),
    )
  })
  plan.scalars.forEach((to, i) => {
    to?.fill(compute === 'int32' ? truncate(scalars[i]!) : scalars[i]!)
  })
  const outs = program.outTypes.length
  const total = sizes.reduce((x, y) => x * y, 1)
  const at = new Float64Array(TILE)
  for (let start = 0; start < total; start += TILE) {
    const n = Math.min(TILE, total - start)
    plan.inputs.forEach((to, i) => {
      if (to === undefined) return
      walkers[outs + i]!.next(at, n)
      load(to, viewOf(memory, program.inTypes[i]!), program.inTypes[i]!, compute, at, n)
    })
    for (const step of plan.steps) step(n)
    plan.outputs.forEach((from, i) => {
      walkers[i]!.next(at, n)
      store(from, viewOf(memory, program.outTypes[i]!), program.outTypes[i]!, compute, at, n)
    })
  }
}

export interface Elementwise {
  flat(program: Program, fixed: number): FlatKernel
  strided(program: Program): StridedKernel
}

export function elementwise(memory: LinearMemory): Elementwise {
  const plans = new WeakMap<Program, Plan>()
  const planOf = (program: Program): Plan => {
    let plan = plans.get(program)
    if (plan === undefined) plans.set(program, (plan = compile(program)))
    return plan
  }
  return {
    flat(program, fixed) {
      const plan = planOf(program)
      const outs = program.outTypes.length
      const strides = [...program.outTypes, ...program.inTypes].map((dtype, k) => {
        const repeated = k >= outs && ((fixed >>> (k - outs)) & 1) === 1
        return [repeated ? 0 : bytesOf(dtype)]
      })
      return (n, ...operands) => run(memory, program, plan, [n], operands, strides, operands.slice(strides.length))
    },
    strided(program) {
      const plan = planOf(program)
      const operands = program.outTypes.length + program.inTypes.length
      return (descriptor, ...scalars) => {
        const words = memory.i32
        let at = descriptor / 4
        const rank = words[at++]!
        const sizes = [...words.subarray(at, at + rank)]
        at += rank
        const bases: number[] = []
        const strides: number[][] = []
        for (let k = 0; k < operands; k++) {
          bases.push(words[at]! >>> 0)
          strides.push([...words.subarray(at + 1, at + 1 + rank)])
          at += 1 + rank
        }
        run(memory, program, plan, sizes, bases, strides, scalars)
      }
    },
  }
}
