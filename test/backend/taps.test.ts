/** Convolutions of the WASM backend against the reference's. */
import { expect, test } from 'vitest'
import { conv2d, manualSeed, randn, setBackend, type Tensor } from '../../src/index.ts'

/** Shapes of images and weights, all sizes of tiles and remainders among them. */
const cases: readonly [number[], number[], Parameters<typeof conv2d>[3]][] = [
  [[2, 3, 5, 6], [1, 3, 3, 2], {}],
  [[2, 2, 4, 5], [2, 2, 3, 3], { padding: [1, 2] }],
  [[2, 2, 9, 13], [3, 2, 2, 3], { stride: [3, 2] }],
  [[1, 2, 7, 9], [4, 2, 3, 2], { dilation: [2, 3] }],
  [[3, 4, 8, 7], [10, 2, 3, 2], { stride: [2, 1], padding: [2, 1], dilation: [1, 2], groups: 2 }],
  [[2, 3, 5, 5], [6, 1, 3, 3], { groups: 3, padding: 1 }],
  [[2, 2, 9, 11], [13, 2, 2, 2], { stride: [3, 4], padding: 1 }],
  [[2, 50, 6, 8], [7, 50, 3, 3], { padding: 1 }],
]

test.each(['float32', 'float64'] as const)('%s', (dtype) => {
  manualSeed(0)
  const before = setBackend('reference')
  try {
    for (const [xs, ws, options] of cases) {
      const leaves = [xs, ws, [ws[0]!]].map((shape) => randn(shape, { dtype, requiresGrad: true }))
      const run = (): Tensor[] => {
        for (const leaf of leaves) leaf.grad = null
        const y = conv2d(leaves[0]!, leaves[1]!, leaves[2]!, options)
        y.square().sum().backward()
        return [y.detach(), ...leaves.map((leaf) => leaf.grad!.clone())]
      }
      const expected = run()
      for (const name of ['wasm', 'wasm-strict'] as const) {
        setBackend(name)
        run().forEach((got, i) => {
          const error = got.sub(expected[i]!).abs().max().item() / expected[i]!.abs().max().item()
          expect(error, `${name}: ${xs} by ${ws}, result ${i}`).toBeLessThan(dtype === 'float32' ? 2e-6 : 1e-14)
        })
      }
      setBackend('reference')
    }
  } finally {
    setBackend(before)
  }
})
