/** What is measured: every row has a kind that each peer implements, and its sizes. */

export type Kind =
  | 'chain'
  | 'chainBackward'
  | 'chainNoGrad'
  | 'mlp'
  | 'mlpAdam'
  | 'cnn'
  | 'transformer'
  | 'curveFit'
  | 'hessian'
  | 'add'
  | 'exp'
  | 'tanh'
  | 'gelu'
  | 'sum'
  | 'sumRows'
  | 'softmax'
  | 'softmaxBackward'
  | 'layerNorm'
  | 'layerNormBackward'
  | 'crossEntropyBackward'
  | 'matmul'
  | 'matmul64'
  | 'conv2d'
  | 'conv2dBackward'
  | 'cold'
  | 'memory'

export interface Row {
  readonly name: string
  readonly kind: Kind
  readonly sizes: readonly number[]
  /** Work per call, for rates: flops of a matmul, elements of an elementwise row, operations of a chain. */
  readonly work: number
  /** Ours gives back what a call made as the call ends, by scope(), as the peers do (PyTorch counts, the others are told to). */
  readonly scoped?: boolean
  /** Ours multiplies matrices by OpenBLAS (`gradtape/blas`), where that is installed. */
  readonly blas?: boolean
  readonly unit: 'ns/op' | 'µs' | 'ms' | 'ns/element' | 'GFLOP/s' | 'MB'
}

const power = (e: number): number => 2 ** e

const chains = [1, 16, 256].flatMap((n): Row[] => {
  const row = (kind: Kind, what: string): Row => ({
    name: `chain of 100 ops, ${n} element${n === 1 ? '' : 's'}, ${what}`,
    kind,
    sizes: [n],
    work: 100,
    unit: 'ns/op',
  })
  return [row('chain', 'forward'), row('chainBackward', 'forward + backward'), row('chainNoGrad', 'without recording')]
})

const step = (name: string, kind: Kind, sizes: readonly number[]): Row => ({ name, kind, sizes, work: 1, unit: 'µs' })

const elementwise = [4, 8, 12, 16, 20, 22, 24].flatMap((e) => {
  const kinds: readonly Kind[] = e === 4 || e === 24 ? ['add', 'sum'] : ['add', 'exp', 'tanh', 'gelu', 'sum']
  return kinds.map((kind): Row => ({ name: `${kind}, 2^${e} elements`, kind, sizes: [power(e)], work: power(e), unit: 'ns/element' }))
})

const scoped = (row: Row): Row => ({ ...row, name: `${row.name}, in scope()`, scoped: true })

const byBlas = (row: Row): Row => ({ ...row, name: `${row.name}, gradtape/blas`, blas: true })

const rowwise = [
  [64, 64],
  [1024, 64],
  [256, 1024],
  [4096, 1024],
].flatMap(([n, m]) =>
  (['softmax', 'softmaxBackward', 'layerNorm', 'layerNormBackward', 'crossEntropyBackward', 'sumRows'] as const).map(
    (kind): Row => ({
      name: `${kind.replace('Backward', ' forward + backward')}, ${n} × ${m}`,
      kind,
      sizes: [n!, m!],
      work: n! * m!,
      unit: 'ns/element',
    }),
  ),
)

const product = (kind: 'matmul' | 'matmul64', m: number, k: number, n: number): Row => ({
  name: `${kind === 'matmul64' ? 'float64 ' : ''}matmul ${m === k && k === n ? `${n} × ${n}` : `${m} × ${k} · ${k} × ${n}`}`,
  kind,
  sizes: [m, k, n],
  work: 2 * m * k * n,
  unit: 'GFLOP/s',
})

/** Images, channels, height = width, maps, kernel, stride, padding. */
const convolutions = [
  [1, 3, 224, 64, 7, 2, 3],
  [1, 64, 56, 64, 3, 1, 1],
  [8, 64, 56, 64, 3, 1, 1],
  [8, 64, 56, 128, 3, 2, 1],
  [8, 128, 28, 128, 3, 1, 1],
].flatMap((s): Row[] => {
  const [n, c, size, o, k, stride, padding] = s as [number, number, number, number, number, number, number]
  const out = Math.floor((size + 2 * padding - k) / stride) + 1
  const flops = 2 * n * o * out * out * c * k * k
  const name = `conv2d ${n} × ${c} × ${size} × ${size} → ${o}, ${k} × ${k}/${stride}`
  return [
    { name, kind: 'conv2d', sizes: s, work: flops, unit: 'GFLOP/s' },
    { name: `${name}, forward + backward`, kind: 'conv2dBackward', sizes: s, work: 3 * flops, unit: 'GFLOP/s' },
  ]
})

const MLPS = [
  [1, 2, 16, 1],
  [64, 32, 64, 1],
  [64, 784, 128, 10],
  [256, 784, 512, 10],
]

const networks = [
  step('CNN training step (LeNet-5, batch 32)', 'cnn', [32]),
  step('transformer training step (2 layers, 16 × 64 tokens × 64, 4 heads), Adam', 'transformer', [16, 64, 64, 4, 2]),
]

export const rows: readonly Row[] = [
  ...chains,
  ...MLPS.map((sizes) => step(`MLP training step (${sizes.join(', ')})`, 'mlp', sizes)),
  scoped(step('MLP training step (256, 784, 512, 10)', 'mlp', MLPS[3]!)),
  ...MLPS.slice(2).map((sizes) => byBlas(step(`MLP training step (${sizes.join(', ')})`, 'mlp', sizes))),
  ...MLPS.map((sizes) => step(`MLP training step (${sizes.join(', ')}), Adam`, 'mlpAdam', sizes)),
  ...networks,
  ...networks.map(scoped),
  ...networks.map(byBlas),
  step('curve fit, 200 parameters, 256 points, float64, Adam', 'curveFit', [200, 256]),
  step('Hessian of a function of 50 variables, float64', 'hessian', [50]),
  ...elementwise,
  ...elementwise.filter((row) => row.kind !== 'sum' && [power(16), power(20), power(22)].includes(row.sizes[0]!)).map(scoped),
  ...rowwise,
  ...rowwise.filter((row) => row.sizes[0] === 4096 && row.kind !== 'sumRows').map(scoped),
  ...[16, 32, 64, 128, 256, 512, 1024, 2048].map((n) => product('matmul', n, n, n)),
  product('matmul', 1, 1024, 1024),
  product('matmul', 1024, 1024, 8),
  product('matmul', 64, 784, 128),
  product('matmul', 784, 64, 128),
  ...[256, 512, 1024].map((n) => product('matmul64', n, n, n)),
  ...[512, 1024].flatMap((n) => [byBlas(product('matmul', n, n, n)), byBlas(product('matmul64', n, n, n))]),
  ...convolutions,
]
