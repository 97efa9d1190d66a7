/** Running sums and products along a dim. */
import { dtypes } from '../dtype.ts'
import { backend, contiguous } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import type { Owner } from '../memory/storage.ts'
import { type Batched, type GeneralOp, general, OUT, vjp } from '../op/general.ts'
import { numel, wrapDim } from '../shape.ts'
import { address, empty, expectTensor, type TensorCore } from '../tensor.ts'

interface Along {
  dim: number
}

function scan(op: 'sum' | 'prod', x: TensorCore, dim: number, owner: Owner | null): TensorCore {
  const { shape } = x.layout
  const out = empty(Layout.of(shape), x.dt.category === 2 ? x.dt : dtypes.int32, owner)
  const source = contiguous(x, owner)
  if (out.layout.numel === 0) return out
  const fn = backend().scan(op, x.dt.name)
  fn(numel(shape.slice(0, dim)), shape[dim] ?? 1, numel(shape.slice(dim + 1)), address(source), out.storage.ptr)
  return out
}

/** `run` along a dim of every example of a batch, which is moved to dim 0. Examples without dims are vectors of one element. */
function eachExample(b: Batched<Along>, run: (x: Tensor, dim: number) => Tensor): Tensor {
  const x = b.dims[0] === 0 ? b.x[0]! : b.x[0]!.movedim(b.dims[0]!, 0)
  return x.layout.rank === 1 ? run(x.unsqueeze(1), 1).squeeze(1) : run(x, b.p.dim + 1)
}

const cumsumOp: GeneralOp<Along> = /* @__PURE__ */ general('cumsum', {
  node: 'CumsumBackward0',
  forward: (x, { dim }, owner) => scan('sum', x[0]!, dim, owner),
  // Element i counts in every later sum: the running sum from the back.
  vjp: [vjp([], (g, { p }) => (g.layout.rank === 0 ? g : g.flip([p.dim]).cumsum(p.dim).flip([p.dim])))],
  jvp: 'linear',
  batch: (b) => eachExample(b, cumsum),
})

/**
 * Running sums along `dim`.
 * @example
 * tensor([1, 2, 3]).cumsum(0).tolist() // [1, 3, 6]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.cumsum.html
 */
export function cumsum(x: Tensor, dim: number): Tensor {
  expectTensor('cumsum', x, 'argument 0')
  return cumsumOp.one([x], { dim: wrapDim(dim, x.layout.rank, 'cumsum') })
}

const cumprodOp: GeneralOp<Along> = /* @__PURE__ */ general('cumprod', {
  node: 'CumprodBackward0',
  forward: (x, { dim }, owner) => scan('prod', x[0]!, dim, owner),
  vjp: [vjp([0, OUT], (g, c) => cumprodVjp(g, c.in(0), c.out(), c.p.dim))],
  batch: (b) => eachExample(b, cumprod),
})

/**
 * Σⱼ≥ᵢ gⱼ yⱼ / xᵢ where no element is zero; otherwise each xᵢ's factor is left out of the products one position at a time,
 * which is exact with zeros and differentiable again.
 */
function cumprodVjp(g: Tensor, x: Tensor, y: Tensor, dim: number): Tensor {
  if (x.layout.rank === 0 || x.layout.numel === 0) return g
  if (x.wrap === null && !x.eq(0).any().item() && !x.requiresGrad) {
    const w = g.mul(y)
    return w.flip([dim]).cumsum(dim).flip([dim]).div(x)
  }
  const n = x.shape[dim]!
  const parts: Tensor[] = []
  for (let i = 0; i < n; i++) {
    const before = i === 0 ? x.narrow(dim, 0, 1).onesLike() : x.narrow(dim, 0, i).prod({ dim, keepdim: true })
    const rest = n - i - 1
    const after =
      rest === 0
        ? x.narrow(dim, 0, 1).onesLike()
        : x
            .narrow(dim, 0, 1)
            .onesLike()
            .catWith([x.narrow(dim, i + 1, rest)], dim)
            .cumprod(dim)
    parts.push(
      g
        .narrow(dim, i, n - i)
        .mul(before.mul(after))
        .sum({ dim, keepdim: true }),
    )
  }
  return parts[0]!.catWith(parts.slice(1), dim)
}

/**
 * Running products along `dim`.
 * @example
 * tensor([1, 2, 3]).cumprod(0).tolist() // [1, 2, 6]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.cumprod.html
 */
export function cumprod(x: Tensor, dim: number): Tensor {
  expectTensor('cumprod', x, 'argument 0')
  return cumprodOp.one([x], { dim: wrapDim(dim, x.layout.rank, 'cumprod') })
}
