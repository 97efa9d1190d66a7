/** Distances between vectors by their p-norms. */
import { noGrad } from '../autograd/modes.ts'
import { dtypes } from '../dtype.ts'
import { ArgumentError, DTypeError, ShapeError, show, within } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type Context, type GeneralOp, general, inFront, OUT, vjp } from '../op/general.ts'
import { checkKind, checkOptions, type Known } from '../options.ts'
import { broadcast } from '../shape.ts'
import { empty, expectTensor, type TensorCore, writeAll } from '../tensor.ts'
import { zero } from './rules.ts'

interface Order {
  readonly p: number
}
const ORDER: Known<Order> = { p: 'number' }

/** g·∂‖d‖ₚ/∂d with the norm y; both stand over d. 0 where the norm is 0. */
function pulled(g: Tensor, d: Tensor, y: Tensor, p: number): Tensor {
  if (p === 0) return zero(g).add(d.zerosLike())
  const some = y.ne(0)
  if (p === 1) return d.sign().mul(g)
  if (p === 2) return d.div(y).where(some, 0).mul(g)
  if (p === Number.POSITIVE_INFINITY) return d.sign().mul(g).where(d.abs().eq(y), 0)
  const ratio = d.sign().mul(d.abs().pow(p - 1))
  return ratio
    .div(y.pow(p - 1))
    .where(some.logicalAnd(d.ne(0)), 0)
    .mul(g)
}

const between = (a: Tensor, b: Tensor): Tensor => a.unsqueeze(-2).sub(b.unsqueeze(-3))

/** The gradient of the distances, for every pair and coordinate. */
function spread(g: Tensor, c: Context<Order>): Tensor {
  return c.shared(() => pulled(g.unsqueeze(-1), between(c.in(0), c.in(1)), c.out().unsqueeze(-1), c.p.p))
}

const cdistOp: GeneralOp<Order> = /* @__PURE__ */ general('cdist', {
  node: 'CdistBackward0',
  names: ['x1', 'x2'],
  forward: ([a, b], { p }) => noGrad((): TensorCore => between(a as Tensor, b as Tensor).norm(p, -1)),
  vjp: [vjp([0, 1, OUT], (g, c) => spread(g, c).sum(-2)), vjp([0, 1, OUT], (g, c) => spread(g, c).sum(-3).neg())],
  batch: (b) =>
    cdistOp.one(
      [inFront(b, 0), inFront(b, 1)].map((x) => (x.shape[0] === b.size ? x : x.expand([b.size, ...x.shape.slice(1)]))),
      b.p,
    ),
})

function check(op: string, x: Tensor, p: number, rank: number): void {
  expectTensor(op, x, 'an argument')
  if (!x.dt.floating) throw new DTypeError(`${op} only supports floating-point dtypes, got ${x.dtype}`, { op, dtypes: [x.dtype] })
  if (!(p >= 0)) throw new ArgumentError(`${op} only supports non-negative p values, got ${p}`, { op })
  if (x.layout.rank < rank)
    throw new ShapeError(`${op} only supports at least ${rank}D tensors, got: ${x.layout.rank}D`, { op, shapes: [x.shape] })
}

/**
 * The distances of all pairs of rows: a (…, m, d) and b (…, n, d) give (…, m, n); batch dims broadcast. The gradient at
 * distance 0 is 0. Errors: ShapeError, DTypeError, ArgumentError for a negative p.
 * @example
 * cdist(tensor([[0, 0]]), tensor([[3, 4], [0, 1]])).tolist() // [[5, 1]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.cdist.html
 */
export function cdist(a: Tensor, b: Tensor, options: { readonly p?: number } = {}): Tensor {
  checkOptions('cdist', options, ORDER)
  const { p = 2 } = options
  check('cdist', a, p, 2)
  check('cdist', b, p, 2)
  if (a.shape.at(-1) !== b.shape.at(-1)) {
    throw new ShapeError(`cdist: X1 and X2 must have the same number of columns. X1: ${show(a.shape)} X2: ${show(b.shape)}`, {
      op: 'cdist',
      shapes: [a.shape, b.shape],
    })
  }
  const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2), 'cdist')
  return cdistOp.one([a.expand([...batch, ...a.shape.slice(-2)]), b.expand([...batch, ...b.shape.slice(-2)])], { p })
}

/** Positions of the first and of the second row of each pair i < j. */
function pairs(n: number): readonly [Tensor, Tensor] {
  const list = Array.from({ length: n }, (_, i) => Array.from({ length: n - i - 1 }, (__, k) => [i, i + k + 1] as const)).flat()
  const make = (side: 0 | 1): Tensor => {
    const t = empty(Layout.of([list.length]), dtypes.int32, null)
    writeAll(
      t,
      list.map((pair) => pair[side]),
    )
    return t as Tensor
  }
  return [make(0), make(1)]
}

const pdistOp: GeneralOp<Order> = /* @__PURE__ */ general('pdist', {
  node: 'PdistBackward0',
  forward: ([x], { p }) =>
    noGrad((): TensorCore => {
      const [i, j] = pairs(x!.layout.shape[0]!)
      return (x as Tensor)
        .indexSelect(0, i)
        .sub((x as Tensor).indexSelect(0, j))
        .norm(p, -1)
    }),
  vjp: [
    vjp([0, OUT], (g, c) => {
      const x = c.in(0)
      const [i, j] = pairs(x.shape[0]!)
      const part = pulled(g.unsqueeze(-1), x.indexSelect(0, i).sub(x.indexSelect(0, j)), c.out().unsqueeze(-1), c.p.p)
      const rows = (at: Tensor): Tensor => at.unsqueeze(-1).expand(part.shape)
      const zeros = g.sum().zerosLike().expand(x.shape)
      return zeros.scatterAdd(0, rows(i), part).sub(zeros.scatterAdd(0, rows(j), part))
    }),
  ],
})

/**
 * The distances of all pairs of different rows of a matrix, as a vector: (0, 1), (0, 2), …, (1, 2), …. Errors: as `cdist`.
 * @example
 * pdist(tensor([[0, 0], [3, 4], [0, 1]])) // tensor([5.0000, 1.0000, 4.2426])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pdist.html
 */
export function pdist(x: Tensor, options: { readonly p?: number } = {}): Tensor {
  checkOptions('pdist', options, ORDER)
  const { p = 2 } = options
  check('pdist', x, p, 2)
  if (x.layout.rank !== 2)
    throw new ShapeError(`pdist only supports 2D tensors, got: ${x.layout.rank}D`, { op: 'pdist', shapes: [x.shape] })
  return pdistOp.one([x], { p })
}

const distOp: GeneralOp<Order> = /* @__PURE__ */ general('dist', {
  node: 'DistBackward0',
  forward: ([a, b], { p }) => noGrad((): TensorCore => (a as Tensor).sub(b as Tensor).norm(p)),
  vjp: [
    vjp([0, 1, OUT], (g, c) => pulled(g, c.in(0).sub(c.in(1)), c.out(), c.p.p)),
    vjp([0, 1, OUT], (g, c) => pulled(g, c.in(1).sub(c.in(0)), c.out(), c.p.p)),
  ],
})

/**
 * The p-norm of a − b (broadcast).
 * @example
 * dist(tensor([0, 0]), tensor([3, 4])).item() // 5
 * @see https://docs.pytorch.org/docs/stable/generated/torch.dist.html
 */
export function dist(a: Tensor, b: Tensor, p = 2): Tensor {
  expectTensor('dist', a, 'argument 0')
  expectTensor('dist', b, 'argument 1')
  checkKind('dist', 'p', p, 'number')
  const shape = broadcast(a.shape, b.shape, 'dist')
  return within('dist', () => distOp.one([a.expand(shape), b.expand(shape)], { p }))
}
