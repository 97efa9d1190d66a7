/** Products with something added: β·x + α·(a·b) of vectors and batches; `addmm` is a method. */
import { noGrad } from '../autograd/modes.ts'
import { DTypeError, ShapeError, show, within } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { type GeneralOp, general, vjp } from '../op/general.ts'
import { checkOptions } from '../options.ts'
import { expectTensor, type TensorCore } from '../tensor.ts'
import type { AddmmOptions } from './matmul.ts'

type Factors = Required<AddmmOptions>

/** How a product is made, and the gradients of its factors. */
interface Product {
  readonly of: (a: Tensor, b: Tensor) => Tensor
  readonly left: (g: Tensor, b: Tensor) => Tensor
  readonly right: (g: Tensor, a: Tensor) => Tensor
}

const times = (x: Tensor, factor: number): Tensor => (factor === 1 ? x : x.mul(factor))

// @__NO_SIDE_EFFECTS__
function affine(name: string, node: string, names: readonly string[], product: Product): GeneralOp<Factors> {
  return general(name, {
    node,
    names: ['self', ...names],
    forward: ([x, a, b], { beta, alpha }) =>
      noGrad((): TensorCore => {
        const y = times(product.of(a as Tensor, b as Tensor), alpha)
        return beta === 0 ? y : y.add(times(x as Tensor, beta))
      }),
    vjp: [
      vjp([], (g, c) => times(g, c.p.beta)),
      vjp([2], (g, c) => times(product.left(g, c.in(2)), c.p.alpha)),
      vjp([1], (g, c) => times(product.right(g, c.in(1)), c.p.alpha)),
    ],
  })
}

const mT = (x: Tensor): Tensor => x.transpose(-2, -1)

const addmvOp: GeneralOp<Factors> = /* @__PURE__ */ affine('addmv', 'AddmvBackward0', ['mat', 'vec'], {
  of: (a, v) => a.mv(v),
  left: (g, v) => g.outer(v),
  right: (g, a) => a.t().mv(g),
})
const addrOp: GeneralOp<Factors> = /* @__PURE__ */ affine('addr', 'AddrBackward0', ['vec1', 'vec2'], {
  of: (u, v) => u.outer(v),
  left: (g, v) => g.mv(v),
  right: (g, u) => g.t().mv(u),
})
const baddbmmOp: GeneralOp<Factors> = /* @__PURE__ */ affine('baddbmm', 'BaddbmmBackward0', ['batch1', 'batch2'], {
  of: (a, b) => a.bmm(b),
  left: (g, b) => g.bmm(mT(b)),
  right: (g, a) => mT(a).bmm(g),
})
const addbmmOp: GeneralOp<Factors> = /* @__PURE__ */ affine('addbmm', 'AddbmmBackward0', ['batch1', 'batch2'], {
  of: (a, b) => a.bmm(b).sum(0),
  left: (g, b) => g.expand([b.shape[0]!, ...g.shape]).bmm(mT(b)),
  right: (g, a) => mT(a).bmm(g.expand([a.shape[0]!, ...g.shape])),
})

function run(
  name: string,
  op: GeneralOp<Factors>,
  x: Tensor,
  [a, b]: readonly [Tensor, Tensor],
  ranks: readonly [number, number],
  shapeOf: (a: readonly number[], b: readonly number[]) => readonly number[] | null,
  options: AddmmOptions,
): Tensor {
  ;[x, a, b].forEach((t, i) => {
    expectTensor(name, t, `argument ${i}`)
  })
  checkOptions(name, options, { beta: 'number', alpha: 'number' })
  const { beta = 1, alpha = 1 } = options
  if (a.dt !== x.dt || b.dt !== x.dt) {
    throw new DTypeError(`${name}: self and the factors must have the same dtype, but got ${x.dtype}, ${a.dtype} and ${b.dtype}`, {
      op: name,
      dtypes: [x.dtype, a.dtype, b.dtype],
    })
  }
  const shape = a.layout.rank === ranks[0] && b.layout.rank === ranks[1] ? shapeOf(a.shape, b.shape) : null
  if (shape === null) {
    throw new ShapeError(
      `${name}: size mismatch, expected a ${ranks[0]}-D and a ${ranks[1]}-D tensor whose sizes fit, got ${show(a.shape)} and ${show(b.shape)}`,
      {
        op: name,
        shapes: [x.shape, a.shape, b.shape],
      },
    )
  }
  return op.one([show(x.shape) === show(shape) ? x : within(name, () => x.expand(shape)), a, b], { beta, alpha })
}

/**
 * β·x + α·(a·v) for a matrix a [m, k] and a vector v [k]. Errors: ShapeError, DTypeError.
 * @example
 * addmv(tensor([1, 1]), tensor([[1, 2], [3, 4]]), tensor([1, 0])).tolist() // [2, 4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.addmv.html
 */
export function addmv(x: Tensor, a: Tensor, v: Tensor, options: AddmmOptions = {}): Tensor {
  return run('addmv', addmvOp, x, [a, v], [2, 1], ([m, k], [n]) => (k === n ? [m!] : null), options)
}

/**
 * β·x + α·(u·vᵀ) for vectors u [m] and v [n]. Errors: ShapeError, DTypeError.
 * @example
 * addr(zeros([2, 2]), tensor([1, 2]), tensor([3, 4])).tolist() // [[3, 4], [6, 8]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.addr.html
 */
export function addr(x: Tensor, u: Tensor, v: Tensor, options: AddmmOptions = {}): Tensor {
  return run('addr', addrOp, x, [u, v], [1, 1], ([m], [n]) => [m!, n!], options)
}

/**
 * β·x + α·(a·b) for batches a [s, m, k] and b [s, k, n]. Errors: ShapeError, DTypeError.
 * @example
 * baddbmm(ones([1, 1, 1]), ones([1, 1, 3]), ones([1, 3, 1]), { alpha: 2 }).tolist() // [[[7]]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.baddbmm.html
 */
export function baddbmm(x: Tensor, a: Tensor, b: Tensor, options: AddmmOptions = {}): Tensor {
  return run('baddbmm', baddbmmOp, x, [a, b], [3, 3], ([s, m, k], [t, l, n]) => (s === t && k === l ? [s!, m!, n!] : null), options)
}

/**
 * β·x + α·Σ(a·b) over batches a [s, m, k] and b [s, k, n]. Errors: ShapeError, DTypeError.
 * @example
 * addbmm(zeros([1, 1]), ones([2, 1, 3]), ones([2, 3, 1])).tolist() // [[6]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.addbmm.html
 */
export function addbmm(x: Tensor, a: Tensor, b: Tensor, options: AddmmOptions = {}): Tensor {
  return run('addbmm', addbmmOp, x, [a, b], [3, 3], ([s, m, k], [t, l, n]) => (s === t && k === l ? [m!, n!] : null), options)
}
