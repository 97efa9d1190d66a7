/** What elementwise operations refuse: dtypes without a meaning, operands that must agree, integers divided by zero. */
import type { DTypeInfo } from '../dtype.ts'
import { ArgumentError, DTypeError, UnsupportedError } from '../errors.ts'
import { reduce } from '../execute.ts'
import { dataView, TensorCore } from '../tensor.ts'

/** The dtypes an operation has no meaning for. */
export interface Refusal {
  /** 1: bool is refused; 2: integers too. */
  readonly below: 1 | 2
  /** Each operand counts by itself, not only what they promote to. */
  readonly each?: true
  /** torch's words, from torch's name of the (promoted) type: `Int`. */
  says(type: string): string
}

/** torch's usual words where a kernel was never written for a dtype. */
// @__NO_SIDE_EFFECTS__
export function noKernel(kernel: string, below: 1 | 2): Refusal {
  return { below, says: (type) => `"${kernel}" not implemented for '${type}'` }
}

/** `Int` for int32: the name in torch's texts. */
const typeName = (dt: DTypeInfo): string => dt.torchType.slice('torch.'.length, -'Tensor'.length)

/** The error of a refusal: torch's words, the operation and the dtype, and what to do. */
export function refuseType(op: string, refusal: Refusal, dt: DTypeInfo): DTypeError {
  const to = refusal.below === 2 ? 'float32' : 'int32'
  return new DTypeError(
    `${refusal.says(typeName(dt))} (${op} of ${refusal.each ? 'a bool' : dt.name} operand); convert it first, e.g. x.to('${to}')`,
    {
      op,
      dtypes: [dt.name],
    },
  )
}

type Operand = TensorCore | number | boolean

/** Tensors that must have one dtype; `names` are torch's words for the operands. */
export function refuseMixed(op: string, names: readonly string[], args: readonly Operand[]): void {
  const first = args.find((x) => x instanceof TensorCore) as TensorCore
  args.forEach((x, i) => {
    if (!(x instanceof TensorCore) || x.dt === first.dt) return
    throw new DTypeError(
      `expected dtype ${typeName(first.dt).toLowerCase()} for \`${names[i]}\` but got dtype ${typeName(x.dt).toLowerCase()} (${op} of ${first.dt.name} and ${x.dt.name}); convert one of them with to(…)`,
      { op, dtypes: [first.dt.name, x.dt.name] },
    )
  })
}

/** A divisor of integers with a zero in it. */
export function refuseZero(op: string, divisor: Operand, dt: DTypeInfo): void {
  if (divisor instanceof TensorCore) {
    if (divisor.layout.numel === 0) return
    const all = reduce(
      'all',
      divisor,
      divisor.layout.shape.map((_, d) => d),
      false,
      null,
    )
    if (dataView(all)[all.layout.offset] !== 0) return
  } else if (Number(divisor) !== 0) return
  throw new ArgumentError(
    `ZeroDivisionError: ${op} of ${dt.name} operands by zero; divide floats if infinities will do, e.g. x.to('float32')`,
    {
      op,
      dtypes: [dt.name],
    },
  )
}

/** A result that the overwritten tensor can't hold. */
export function refuseResult(op: string, result: DTypeInfo, to: DTypeInfo): DTypeError {
  return new DTypeError(
    `result type ${typeName(result)} can't be cast to the desired output type ${typeName(to)} (${op}_ on ${to.name}); use ${op}, which gives ${result.name}`,
    { op: `${op}_`, dtypes: [result.name, to.name] },
  )
}

/** The refusal of an operation whose derivative nobody has written, when a pass arrives at it. */
export function underived(op: string): UnsupportedError {
  return new UnsupportedError(
    `the derivative for '${op}' is not implemented: a gradient has to pass through it. If it should stop there, give ${op} detached tensors (x.detach()); if not, give it a derivative with autograd.Function`,
    { op },
  )
}
