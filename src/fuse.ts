/** `fuse`: an elementwise function of the user's becomes one operation, with one kernel and all derivatives. */
import { type Arith, constant, input, Scalar } from './backend/scalar.ts'
import { ArgumentError, UnsupportedError } from './errors.ts'
import type { Tensor } from './fluent.ts'
import { ElementwiseOp, type Rule, type Slots } from './op/elementwise.ts'
import type { HasOp } from './op/kinds.ts'
import * as ops from './ops/methods.ts'

/** A function of scalar expressions. */
export type Expression = (...x: Scalar[]) => Scalar
/** A fused function of as many operands: tensors, or numbers after the first. */
export type Fused<F extends Expression> = ((
  x: Tensor,
  ...rest: Parameters<F>['length'] extends 1
    ? []
    : Parameters<F>['length'] extends 2
      ? [Tensor | number]
      : [Tensor | number, Tensor | number]
) => Tensor) &
  HasOp

/**
 * One operation from an elementwise expression: a single pass over memory forward, one fused kernel per input backward,
 * and gradients of every order, tangents and batches as for built-in operations. The function gets placeholders with the
 * tensors' elementwise methods, is called once, and must not branch on values (use `where`).
 * Errors: ArgumentError for a function of no or more than 3 arguments, or one that returns something else.
 * @example
 * const swish = fuse((x) => x.mul(x.neg().exp().add(1).reciprocal()))
 * swish(tensor([0, 1])) // tensor([0.0000, 0.7311])
 */
export function fuse<F extends Expression>(fn: F, name: string = fn.name || 'fused'): Fused<F> {
  const arity = fn.length
  if (arity < 1 || arity > 3) throw new ArgumentError(`fuse: expected a function of 1 to 3 arguments, got one of ${arity}`, { op: 'fuse' })
  const traced = fn(...Array.from({ length: arity }, (_, i) => input(i)))
  if (!(traced instanceof Scalar)) throw new ArgumentError('fuse: the function must return an expression of its arguments', { op: 'fuse' })
  // Placeholders of the derivative: input 0 … arity − 1 are the operands, the one after them is the incoming gradient.
  const g = input(arity)
  const gradients = reverse(traced, g)
  const rules = Array.from({ length: arity }, (_, i): Rule | null => {
    const gradient = gradients.get(input(i))
    return gradient === undefined
      ? null
      : <V extends Arith<V>>(incoming: V, v: Slots<V>): V =>
          evaluate(gradient, [v.a, v.b, v.c].slice(0, arity).concat([incoming]), incoming)
  })
  const op = new ElementwiseOp(name, arity, {
    node: `${name[0]!.toUpperCase()}${name.slice(1)}Backward`,
    result: 'float',
    value: (...x) => evaluate(traced, x.slice(0, arity), x[0]!),
    vjp: rules,
  })
  const call =
    arity === 1
      ? (x: Tensor) => op.call1(x, null)
      : arity === 2
        ? (x: Tensor, y: Tensor) => op.call2(x, y, null)
        : (x: Tensor, y: Tensor, z: Tensor) => op.call3(x, y, z, null)
  return Object.assign(call, { op }) as unknown as Fused<F>
}

/** The record behind a node of an expression: the operation of the same name. */
function recordOf(op: string): ElementwiseOp {
  const found = (ops as unknown as Record<string, Partial<HasOp> | undefined>)[op]?.op
  if (found === undefined) throw new UnsupportedError(`fuse: ${op} has no derivative`, { op: 'fuse' })
  return found
}

/** The gradient expression of each node, from the gradient `g` of the root: the operations' own rules, applied backwards. */
function reverse(root: Scalar, g: Scalar): Map<Scalar, Scalar> {
  const order: Scalar[] = []
  const seen = new Set<Scalar>()
  const visit = (e: Scalar): void => {
    if (seen.has(e) || e.mask) return
    seen.add(e)
    e.args.forEach(visit)
    order.push(e)
  }
  visit(root)
  const gradients = new Map<Scalar, Scalar>([[root, g]])
  const add = (e: Scalar, term: Scalar): void => {
    if (e.mask || e.op === 'const') return
    const old = gradients.get(e)
    gradients.set(e, old === undefined ? term : old.add(term))
  }
  for (const e of order.toReversed()) {
    const incoming = gradients.get(e)
    if (incoming === undefined || e.args.length === 0 || e.op === 'number') continue
    if (e.op === 'where') {
      const [mask, yes, no] = e.args as [Scalar, Scalar, Scalar]
      add(yes, incoming.where(mask, 0))
      add(no, constant(0).where(mask, incoming))
      continue
    }
    const rules = recordOf(e.op).record.vjp ?? []
    e.args.forEach((x, i) => {
      const rule = rules[i]
      if (rule !== null && rule !== undefined) add(x, rule<Scalar>(incoming, { a: e.args[0]!, b: e.args[1]!, c: e.args[2]!, y: e, s: [] }))
    })
  }
  return gradients
}

const METHODS: Readonly<Record<string, keyof Arith<Scalar>>> = { and: 'logicalAnd', or: 'logicalOr', xor: 'logicalXor', not: 'logicalNot' }

/** An expression computed on values: tensors, or other expressions. `like` lends its kind to constants. */
function evaluate<V extends Arith<V>>(root: Scalar, inputs: readonly V[], like: V): V {
  const done = new Map<Scalar, V | number>()
  const value = (e: Scalar): V | number => {
    let v = done.get(e)
    if (v === undefined) done.set(e, (v = compute(e)))
    return v
  }
  const object = (e: Scalar): V => {
    const v = value(e)
    return typeof v === 'number' ? like.where(like.ne(like).logicalAnd(like.eq(like)), v) : v
  }
  const compute = (e: Scalar): V | number => {
    if (e.op === 'input') return inputs[e.value]!
    if (e.op === 'const') return e.value
    if (e.op === 'number') return object(e.args[0]!).mul(1)
    if (e.op === 'where') return object(e.args[1]!).where(object(e.args[0]!), value(e.args[2]!))
    const receiver = object(e.args[0]!) as unknown as Record<string, (other?: V | number) => V>
    return receiver[METHODS[e.op] ?? e.op]!(e.args.length > 1 ? value(e.args[1]!) : undefined)
  }
  return object(root)
}
