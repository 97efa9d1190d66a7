/** What is measured: every row has a kind that each peer implements, and its sizes. */

export interface Row {
  readonly name: string
  readonly kind: 'chain' | 'chainBackward' | 'mlp' | 'add' | 'exp' | 'matmul'
  readonly sizes: readonly number[]
  /** Work per call, for rates: flops of a matmul, elements of an elementwise row, operations of a chain. */
  readonly work: number
  readonly unit: string
}

const power = (e: number): number => 2 ** e

export const rows: readonly Row[] = [
  { name: 'chain of 100 ops, 1 element, forward', kind: 'chain', sizes: [1], work: 100, unit: 'ns/op' },
  { name: 'chain of 100 ops, 1 element, forward + backward', kind: 'chainBackward', sizes: [1], work: 100, unit: 'ns/op' },
  ...[
    [1, 2, 16, 1],
    [64, 32, 64, 1],
    [64, 784, 128, 10],
    [256, 784, 512, 10],
  ].map((sizes): Row => ({ name: `MLP training step (${sizes.join(', ')})`, kind: 'mlp', sizes, work: 1, unit: 'µs' })),
  ...[8, 12, 16, 20, 22].flatMap((e): Row[] => [
    { name: `add, 2^${e} elements`, kind: 'add', sizes: [power(e)], work: power(e), unit: 'ns/element' },
    { name: `exp, 2^${e} elements`, kind: 'exp', sizes: [power(e)], work: power(e), unit: 'ns/element' },
  ]),
  ...[64, 128, 256, 512, 1024].map(
    (n): Row => ({ name: `matmul ${n} × ${n}`, kind: 'matmul', sizes: [n], work: 2 * n ** 3, unit: 'GFLOP/s' }),
  ),
]
