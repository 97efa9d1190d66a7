/** Calls of operations that PyTorch was not asked about in these forms, as tensors and a call on them. */
import * as torch from '../../src/index.ts'
import { Generator } from '../../src/random.ts'
import type { Sample, Tensor } from './samples.ts'

const F = torch.nn.functional
const { linalg } = torch

/** Numbers between −1.5 and 1.5, all different and none near a whole number, the same in every run. */
export function values(shape: readonly number[], seed = 0): Tensor {
  const n = shape.reduce((a, b) => a * b, 1)
  const data = Float64Array.from({ length: n }, (_, i) => ((((i + 1) * 61 + seed * 37) % 97) / 97) * 3 - 1.5)
  return torch.tensor(data, { dtype: 'float64' }).reshape(shape)
}

const integers = (...v: number[]): Tensor => torch.tensor(v, { dtype: 'int32' })

type Entry = Pick<Sample, 'tensors' | 'wrt' | 'call'> & Partial<Sample>

function on(shapes: readonly (readonly number[])[], call: (...x: Tensor[]) => Tensor | Tensor[], more: Partial<Sample> = {}): Entry {
  return {
    tensors: () => shapes.map((s, i) => values(s, i)),
    wrt: shapes.map((_, i) => i),
    call: (x) => {
      const y = call(...x)
      return Array.isArray(y) ? y : [y]
    },
    ...more,
  }
}

/** A method of two tensors, with its in-place form. */
function method(name: 'clampMax' | 'clampMin' | 'fmax' | 'fmin'): readonly Entry[] {
  const shapes = [
    [2, 3],
    [2, 3],
  ]
  const inPlace = `${name}_` as const
  return [on(shapes, (x, y) => x[name](y), { inPlaceName: inPlace, inPlace: ([x, y]) => x![inPlace](y!) })]
}

/** A draw with a generator of its own: the same in every call. */
const seeded = (): { generator: Generator } => ({ generator: new Generator(7) })
const written = (change: (x: Tensor) => unknown): ((x: Tensor) => Tensor) => {
  return (x) => {
    const y = x.clone()
    change(y)
    return y
  }
}
/** A large diagonal that makes matrices regular, with singular values apart. */
const large = torch.diag(torch.tensor([6, 8, 11], { dtype: 'float64' }))
const regular = (x: Tensor): Tensor => x.add(large.to(x.dtype))

export const table: Readonly<Record<string, readonly Entry[]>> = {
  adaptiveAvgPool2d: [on([[1, 2, 3, 4]], (x) => F.adaptiveAvgPool2d(x, [2, 3]))],
  // Strides count in the storage, so x must lie in it row by row.
  asStrided_: [on([[2, 3]], (x) => x.contiguous().add(0).asStrided_([2, 2], [1, 2], 1), { writes: true })],
  foreach: [
    on(
      [
        [2, 3],
        [2, 3],
      ],
      (x, y) => torch.foreach(torch.addcmul, [x, y], y, x, { value: 0.5 }),
    ),
  ],
  foreach_: [on([[2, 3], [3]], (x, y) => [...torch.foreach_(torch.sub, [x.clone(), y.clone()], [y, 2], { alpha: 0.5 })], { writes: true })],
  squeeze_: [
    on(
      [[2, 1]],
      written((x) => x.squeeze_()),
      { writes: true },
    ),
  ],
  t_: [
    on(
      [[2, 3]],
      written((x) => x.t_()),
      { writes: true },
    ),
  ],
  transpose_: [
    on(
      [[2, 3, 2]],
      written((x) => x.transpose_(0, 2)),
      { writes: true },
    ),
  ],
  unsqueeze_: [
    on(
      [[2, 3]],
      written((x) => x.unsqueeze_(1)),
      { writes: true },
    ),
  ],
  asStridedScatter: [on([[6], [2, 2]], (x, src) => x.asStridedScatter(src, [2, 2], [3, 1], 1))],
  avgPool1d: [on([[1, 2, 6]], (x) => F.avgPool1d(x, 2, { stride: 2, padding: 1 }))],
  bernoulli: [on([[2, 3]], (x) => x.bernoulli(seeded()), { tensors: () => [values([2, 3]).sigmoid()] })],
  bernoulli_: [
    on(
      [[2, 3]],
      written((x) => x.bernoulli_(0.3, seeded())),
      { writes: true },
    ),
  ],
  catWith: [
    on(
      [
        [2, 3],
        [1, 3],
      ],
      (x, y) => x.catWith([y], 0),
    ),
  ],
  clampMax: method('clampMax'),
  clampMin: method('clampMin'),
  clone: [on([[2, 3]], (x) => x.clone())],
  contiguous: [on([[2, 3]], (x) => x.t().contiguous())],
  convTranspose1d: [on([[1, 2, 3], [2, 2, 2], [2]], (x, w, b) => F.convTranspose1d(x, w, b, { stride: 2 }))],
  convTranspose2d: [
    on(
      [
        [1, 2, 2, 2],
        [2, 1, 2, 2],
      ],
      (x, w) => F.convTranspose2d(x, w),
    ),
    on([[1, 2, 2, 2], [2, 1, 2, 2], [2]], (x, w, b) => F.convTranspose2d(x, w, b, { stride: 2, padding: 1, groups: 2, outputPadding: 1 })),
  ],
  digamma: [on([[2, 3]], (x) => torch.digamma(x.square().add(0.5)))],
  dropout: [on([[2, 3]], (x) => F.dropout(x, { p: 0.4, ...seeded() }))],
  dropout1d: [on([[2, 3, 4]], (x) => F.dropout1d(x, { p: 0.4, ...seeded() }))],
  dropout2d: [on([[2, 3, 2, 2]], (x) => F.dropout2d(x, { p: 0.4, ...seeded() }))],
  alphaDropout: [on([[2, 3]], (x) => F.alphaDropout(x, { p: 0.4, ...seeded() }))],
  expandAs: [on([[3], [2, 3]], (x, y) => x.expandAs(y.detach()))],
  fmax: method('fmax'),
  fmin: method('fmin'),
  get: [
    on([[2, 3, 2]], (x) => x.get(1, torch.range(0, 3, 2))),
    on([[2, 3, 2]], (x) => x.get('...', null, -1)),
    on([[3, 2]], (x) => x.get([2, 0, 2])),
    { tensors: () => [values([3, 2]), integers(1, -1)], wrt: [0], call: ([x, i]) => [x!.get(i!)] },
  ],
  gumbelSoftmax: [on([[2, 3]], (x) => F.gumbelSoftmax(x, { tau: 0.7, ...seeded() }))],
  multinomial: [on([[2, 3]], (x) => torch.multinomial(x.square(), 2, seeded()))],
  oneHot: [{ tensors: () => [integers(2, 0, 1)], wrt: [], call: ([x]) => [F.oneHot(x!, 4)] }],
  // The signs of the vectors are arbitrary: what doesn't depend on them is checked.
  'linalg.cholesky': [on([[3, 3]], (x) => linalg.cholesky(regular(x.add(x.t()))))],
  'linalg.eigvalsh': [on([[2, 3, 3]], (x) => linalg.eigvalsh(regular(x.add(x.transpose(1, 2)))))],
  'linalg.eigh': [
    on(
      [[3, 3]],
      (x) => {
        const { eigenvalues, eigenvectors } = linalg.eigh(x.add(x.t()))
        return eigenvectors.mul(eigenvalues.sin()).matmul(eigenvectors.t())
      },
      { alone: ([x]) => linalg.eigh(x!) },
    ),
    on(
      [[2, 2, 2]],
      (x) => {
        const { eigenvalues, eigenvectors } = linalg.eigh(x.add(x.transpose(1, 2)), { uplo: 'U' })
        return [eigenvalues, eigenvectors.square()]
      },
      { alone: ([x]) => linalg.eigh(x!) },
    ),
  ],
  'linalg.lobpcg': [
    on(
      [[2, 3, 3]],
      (x) => {
        const [values, vectors] = linalg.lobpcg(regular(x.add(x.transpose(1, 2))), { tol: 1e-14 })
        return [values, vectors.square()]
      },
      { alone: ([x]) => linalg.lobpcg(x!) },
    ),
    on(
      [
        [3, 3],
        [3, 3],
      ],
      (x, y) => {
        const B = y.matmul(y.t()).add(torch.eye(3, { dtype: x.dtype }))
        const [values, vectors] = linalg.lobpcg(x.add(x.t()), { B, largest: false, tol: 1e-14 })
        return vectors.mul(values).matmul(vectors.t())
      },
      { alone: ([x, y]) => linalg.lobpcg(x!, { B: y! }) },
    ),
  ],
  'linalg.svd': [
    on(
      [[3, 2]],
      (x) => {
        const { U, S, Vh } = linalg.svd(x, { fullMatrices: false })
        return [S, U.mul(S.sin()).matmul(Vh)]
      },
      { alone: ([x]) => linalg.svd(x!) },
    ),
    on(
      [[2, 3]],
      (x) => {
        const { U, S, Vh } = linalg.svd(x)
        return U.mul(S.exp()).matmul(Vh.narrow(0, 0, 2))
      },
      { alone: ([x]) => linalg.svd(x!) },
    ),
    on(
      [[2, 3, 3]],
      (x) => {
        const { U, S, Vh } = linalg.svd(regular(x))
        return [U.square().mul(S.unsqueeze(-2)), Vh.square()]
      },
      { alone: ([x]) => linalg.svd(x!) },
    ),
  ],
  'linalg.logdet': [on([[3, 3]], (x) => linalg.logdet(regular(x)), { alone: ([x]) => linalg.logdet(x!) })],
  hardsigmoid: [on([[2, 3]], (x) => torch.hardsigmoid(x.mul(3)))],
  maxPool1d: [on([[1, 2, 6]], (x) => F.maxPool1d(x, 2, { stride: 2 }))],
  maxPool2dWithIndices: [
    on([[1, 1, 4, 4]], (x) => {
      const { values: y, indices } = F.maxPool2dWithIndices(x, 2, { stride: 1 })
      return [y, indices]
    }),
  ],
  normal_: [
    on(
      [[2, 3]],
      written((x) => x.normal_(1, 2, seeded())),
      { writes: true },
    ),
  ],
  onesLike: [on([[2, 3]], (x) => x.onesLike())],
  polygamma: [on([[2, 3]], (x) => torch.polygamma(1, x.square().add(0.5)))],
  scaledDotProductAttention: [
    on(
      [
        [2, 3, 2],
        [2, 3, 2],
        [2, 3, 2],
      ],
      (q, k, v) => F.scaledDotProductAttention(q, k, v),
    ),
    on(
      [
        [3, 2],
        [3, 2],
        [3, 2],
      ],
      (q, k, v) => F.scaledDotProductAttention(q, k, v, { isCausal: true, scale: 0.5 }),
    ),
  ],
  set: [
    on([[3, 2], [2]], (x, v) => x.clone().set([1], v), { writes: true }),
    on(
      [
        [3, 2],
        [2, 2],
      ],
      (x, v) => x.clone().set([[2, 0]], v),
      { writes: true },
    ),
  ],
  sumToSize: [on([[2, 3]], (x) => x.sumToSize([1, 3]))],
  to: [on([[2, 3]], (x) => x.to('float32').to('float64')), on([[2, 3]], (x) => x.to('int32'))],
  uniform_: [
    on(
      [[2, 3]],
      written((x) => x.uniform_(-1, 1, seeded())),
      { writes: true },
    ),
  ],
  viewAs: [
    on(
      [
        [2, 3],
        [3, 2],
      ],
      (x, y) => x.viewAs(y.detach()),
    ),
  ],
  zerosLike: [on([[2, 3]], (x) => x.zerosLike())],
}
