/** Convolutions against their definition, in every layout; derivatives under all transforms; errors. */
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { checkDerivatives, close, random } from './derivatives.ts'

type Tensor = torch.Tensor
interface Options {
  stride: [number, number]
  padding: [number, number]
  dilation: [number, number]
  groups: number
}
const plain: Options = { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 }

/** Each element as the sum that defines it. */
function defined(x: Tensor, w: Tensor, o: Options): Tensor {
  const [n, , h, wide] = x.shape as [number, number, number, number]
  const [out, cg, kh, kw] = w.shape as [number, number, number, number]
  const size = (length: number, k: number, d: 0 | 1): number =>
    Math.floor((length + 2 * o.padding[d] - o.dilation[d] * (k - 1) - 1) / o.stride[d]) + 1
  const [oh, ow] = [size(h, kh, 0), size(wide, kw, 1)]
  const xs = x.toTypedArray()
  const ws = w.toTypedArray()
  const ys: number[] = []
  for (let b = 0; b < n; b++)
    for (let f = 0; f < out; f++)
      for (let y = 0; y < oh; y++)
        for (let q = 0; q < ow; q++) {
          let sum = 0
          const group = Math.floor(f / (out / o.groups))
          for (let c = 0; c < cg; c++)
            for (let i = 0; i < kh; i++)
              for (let j = 0; j < kw; j++) {
                const row = y * o.stride[0] - o.padding[0] + i * o.dilation[0]
                const column = q * o.stride[1] - o.padding[1] + j * o.dilation[1]
                if (row < 0 || row >= h || column < 0 || column >= wide) continue
                sum += xs[((b * cg * o.groups + group * cg + c) * h + row) * wide + column]! * ws[((f * cg + c) * kh + i) * kw + j]!
              }
          ys.push(sum)
        }
  return torch.tensor(ys, { dtype: 'float64' }).reshape([n, out, oh, ow])
}

const cases: [string, number[], number[], Partial<Options>][] = [
  ['plain', [2, 3, 5, 6], [4, 3, 3, 2], {}],
  ['padding', [2, 2, 4, 5], [3, 2, 3, 3], { padding: [1, 2] }],
  ['stride', [2, 2, 7, 6], [3, 2, 2, 3], { stride: [3, 2] }],
  ['dilation', [1, 2, 7, 8], [3, 2, 3, 2], { dilation: [2, 3] }],
  ['everything, groups', [3, 4, 8, 7], [6, 2, 3, 2], { stride: [2, 1], padding: [2, 1], dilation: [1, 2], groups: 2 }],
  ['one channel per group', [2, 3, 5, 5], [6, 1, 3, 3], { groups: 3, padding: [1, 1] }],
  ['1×1', [2, 3, 4, 5], [2, 3, 1, 1], {}],
  ['1×1 in groups', [2, 4, 3, 3], [6, 2, 1, 1], { groups: 2 }],
  ['1×1 with a stride', [2, 3, 4, 5], [2, 3, 1, 1], { stride: [2, 2] }],
  ['a stride beyond the window', [2, 2, 9, 11], [3, 2, 2, 2], { stride: [3, 4], padding: [1, 1] }],
  ['padding beyond the image', [1, 1, 1, 1], [1, 1, 2, 2], { padding: [3, 3], stride: [2, 2] }],
]

describe('convolution', () => {
  for (const [name, xs, ws, given] of cases) {
    const options = { ...plain, ...given }
    test(`${name}: as defined, in every layout`, () => {
      const x = random(...xs)
      const w = random(...ws)
      const y = defined(x, w, options)
      close(torch.conv2d(x, w, options), y)
      const last = (t: Tensor): Tensor => t.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
      close(torch.conv2d(last(x), last(w), options), y)
      const bias = random(ws[0]!)
      close(torch.conv2d(x, w, bias, options), y.add(bias.reshape([-1, 1, 1])))
      close(torch.conv2d(x.to('float32'), w.to('float32'), options).to('float64'), y, 5)
      const foreign = random(...xs)
      const copy = foreign.clone()
      foreign.numpy()
      close(torch.conv2d(foreign, w, options), defined(copy, w, options))
    })

    test(`${name}: the transpose is the adjoint`, () => {
      const x = random(...xs)
      const w = random(...ws)
      const y = torch.conv2d(x, w, options)
      const g = random(...y.shape)
      const size = (d: 0 | 1): number => {
        const reached = (y.shape[2 + d]! - 1) * options.stride[d] - 2 * options.padding[d] + options.dilation[d] * (ws[2 + d]! - 1) + 1
        return xs[2 + d]! - reached
      }
      const back = torch.convTranspose2d(g, w, { ...options, outputPadding: [size(0), size(1)] })
      close(back.mul(x).sum(), y.mul(g).sum())
    })
  }

  test('what takes several blocks is the sum of its parts', () => {
    const grads = (x: Tensor, w: Tensor, g: Tensor): [Tensor, Tensor, Tensor] => {
      const [a, b] = [x.clone().requiresGrad_(), w.clone().requiresGrad_()]
      const y = torch.conv2d(a, b)
      y.backward(g)
      return [y.detach(), a.grad!, b.grad!]
    }
    const same = (a: Tensor, b: Tensor): void => expect(a.sub(b).abs().max().item()).toBeLessThan(1e-10)
    // Bands of one image; lines longer than a block of pixels.
    for (const [x, w] of [
      [random(1, 3, 200, 102), random(2, 3, 3, 3)],
      [random(1, 1, 5, 1500), random(2, 1, 3, 2)],
    ] as const) {
      const rows = x.shape[2]! - 2
      const half = rows >> 1
      const g = random(1, 2, rows, x.shape[3]! + 1 - w.shape[3]!)
      const [y, dx, dw] = grads(x, w, g)
      const upper = grads(x.narrow(2, 0, half + 2), w, g.narrow(2, 0, half))
      const lower = grads(x.narrow(2, half, rows - half + 2), w, g.narrow(2, half, rows - half))
      same(y, torch.cat([upper[0], lower[0]], 2))
      same(dw, upper[2].add(lower[2]))
      same(dx, torch.pad(upper[1], [0, 0, 0, rows - half]).add(torch.pad(lower[1], [0, 0, half, 0])))
    }
    // Many channels of the image, then of the map.
    const [x, w, g] = [random(1, 120, 4, 10), random(150, 120, 3, 3), random(1, 150, 2, 8)]
    const [y, dx, dw] = grads(x, w, g)
    const halves = [0, 60].map((c) => grads(x.narrow(1, c, 60), w.narrow(1, c, 60), g))
    same(y, halves[0]![0].add(halves[1]![0]))
    for (const [i, whole] of [dx, dw].entries()) same(whole, torch.cat([halves[0]![i + 1]!, halves[1]![i + 1]!], 1))
    const [first, second] = [0, 75].map((o) => grads(x, w.narrow(0, o, 75), g.narrow(1, o, 75))) as [(typeof halves)[0], (typeof halves)[0]]
    same(y, torch.cat([first[0], second[0]], 1))
    same(dx, first[1].add(second[1]))
    same(dw, torch.cat([first[2], second[2]], 0))
  })

  test('images that need several rounds', () => {
    const x = random(40, 4, 20, 20)
    const w = random(4, 4, 3, 3)
    const b = random(4)
    const leaf = x.clone().requiresGrad_()
    const weight = w.clone().requiresGrad_()
    const y = torch.conv2d(leaf, weight, b, { padding: 1 })
    const g = random(...y.shape)
    y.backward(g)
    const parts = [0, 13, 39].map((i) => {
      const xi = x.narrow(0, i, 1).clone().requiresGrad_()
      const yi = torch.conv2d(xi, w, b, { padding: 1 })
      yi.backward(g.narrow(0, i, 1))
      close(y.narrow(0, i, 1), yi)
      close(leaf.grad!.narrow(0, i, 1), xi.grad!)
      return xi
    })
    expect(parts.length).toBe(3)
    let sum = torch.zeros([4, 4, 3, 3], { dtype: 'float64' })
    for (let i = 0; i < 40; i++) {
      const wi = w.clone().requiresGrad_()
      torch.conv2d(x.narrow(0, i, 1), wi, { padding: 1 }).backward(g.narrow(0, i, 1))
      sum = sum.add(wi.grad!)
    }
    close(weight.grad!, sum)
  })

  test("'same' keeps the size, an odd zero goes to the far end", () => {
    const x = random(1, 2, 5, 6)
    for (const [kh, kw] of [
      [3, 3],
      [2, 4],
      [4, 3],
      [1, 2],
    ] as const) {
      const w = random(3, 2, kh, kw)
      const y = torch.conv2d(x, w, { padding: 'same', dilation: [1, 2] })
      expect(y.shape).toEqual([1, 3, 5, 6])
      const total = [kh - 1, 2 * (kw - 1)] as const
      const padded = torch.pad(x, [total[1] >> 1, total[1] - (total[1] >> 1), total[0] >> 1, total[0] - (total[0] >> 1)])
      close(y, torch.conv2d(padded, w, { dilation: [1, 2] }))
    }
    close(torch.conv2d(x, random(1, 2, 2, 2).mul(0), { padding: 'valid' }), torch.zeros([1, 1, 4, 5], { dtype: 'float64' }))
  })

  test('signals and single examples', () => {
    const x = random(2, 3, 8)
    const w = random(4, 3, 3)
    const y = torch.conv1d(x, w, { stride: 2, padding: 1 })
    close(y, torch.conv2d(x.unsqueeze(2), w.unsqueeze(2), { stride: [1, 2], padding: [0, 1] }).squeeze(2))
    close(torch.conv1d(x.select(0, 1), w, { stride: 2, padding: 1 }), y.select(0, 1))
    const t = random(3, 2, 4)
    close(
      torch.convTranspose1d(x, t, { stride: 3, outputPadding: 1 }),
      torch.convTranspose2d(x.unsqueeze(2), t.unsqueeze(2), { stride: [1, 3], outputPadding: [0, 1] }).squeeze(2),
    )
    expect(torch.conv1d(x.requiresGrad_(), w).gradFn!.name()).toBe('ConvolutionBackward0')
    expect(torch.convTranspose2d(random(1, 1, 2, 2).requiresGrad_(), random(1, 1, 2, 2)).gradFn!.name()).toBe('ConvolutionBackward0')
  })

  test('integers', () => {
    const x = torch.tensor(
      [
        [
          [
            [1, 2],
            [3, 4],
          ],
        ],
      ],
      { dtype: 'int32' },
    )
    expect(torch.conv2d(x, x).tolist()).toEqual([[[[30]]]])
  })

  test('no images, no outputs', () => {
    const x = random(0, 2, 3, 3).requiresGrad_()
    const w = random(1, 2, 2, 2).requiresGrad_()
    torch.conv2d(x, w).sum().backward()
    expect(x.grad!.shape).toEqual([0, 2, 3, 3])
    close(w.grad!, torch.zeros([1, 2, 2, 2], { dtype: 'float64' }))
  })
})

describe('derivatives of convolutions', () => {
  test('conv2d', () => checkDerivatives((x, w) => torch.conv2d(x, w, { padding: 1, stride: [2, 1] }), [2, 2, 3, 3], [2, 2, 2, 2]))
  test('conv2d with a bias', () => checkDerivatives((x, w, b) => torch.conv2d(x, w, b), [1, 1, 3, 3], [2, 1, 2, 2], [2]))
  test('conv2d in groups', () =>
    checkDerivatives((x, w) => torch.conv2d(x, w, { groups: 2, dilation: [2, 1] }), [1, 2, 3, 3], [4, 1, 2, 2]))
  test('conv2d 1×1', () => checkDerivatives((x, w, b) => torch.conv2d(x, w, b), [2, 2, 2, 2], [3, 2, 1, 1], [3]))
  test('conv2d of one image', () => checkDerivatives((x, w) => torch.conv2d(x, w), [1, 3, 3], [1, 1, 2, 2]))
  test('conv1d', () => checkDerivatives((x, w, b) => torch.conv1d(x, w, b, { padding: 1, stride: 2 }), [2, 2, 4], [2, 2, 2], [2]))
  test('convTranspose2d', () =>
    checkDerivatives(
      (x, w, b) => torch.convTranspose2d(x, w, b, { stride: 2, padding: 1, outputPadding: [1, 0] }),
      [1, 2, 2, 2],
      [2, 1, 2, 3],
      [1],
    ))
  test('convTranspose1d in groups', () => checkDerivatives((x, w) => torch.convTranspose1d(x, w, { groups: 2 }), [2, 2, 3], [2, 1, 2]))
})

test('errors of convolutions', () => {
  const c =
    (x: number[], w: number[], o: torch.ConvolutionOptions = {}) =>
    () =>
      torch.conv2d(random(...x), random(...w), o)
  expect(c([1, 2, 3, 3], [1, 1, 2, 2])).toThrow(
    /^Given groups=1, weight of size \[1, 1, 2, 2\], expected input\[1, 2, 3, 3\] to have 1 channels, but got 2/,
  )
  expect(c([1, 1, 2, 2], [1, 1, 3, 3])).toThrow(/^Calculated padded input size per channel: \(2 x 2\). Kernel size: \(3 x 3\)/)
  expect(c([3, 3], [1, 1, 2, 2])).toThrow(/^Expected 3D \(unbatched\) or 4D \(batched\) input to conv2d, but got input of size: \[3, 3\]/)
  expect(c([1, 1, 3, 3], [1, 1, 2, 2], { stride: 0 })).toThrow(/^non-positive stride is not supported/)
  expect(c([1, 1, 3, 3], [1, 1, 2, 2], { padding: -1 })).toThrow(/^negative padding is not supported/)
  expect(c([1, 1, 3, 3], [1, 1, 2, 2], { stride: [1, 1, 1] })).toThrow(torch.ArgumentError)
  expect(c([1, 1, 3, 3], [1, 1, 2, 2], { stride: 1.5 })).toThrow(torch.ArgumentError)
  expect(c([1, 1, 3, 3], [1, 1, 2, 2], { groups: 0 })).toThrow(/^non-positive groups is not supported/)
  expect(c([1, 2, 3, 3], [3, 1, 2, 2], { groups: 2 })).toThrow(
    /^Given groups=2, expected weight to be at least 2 at dimension 0 and divisible by 2/,
  )
  expect(c([1, 1, 3, 3], [1, 1, 2, 2], { padding: 'same', stride: 2 })).toThrow(/^padding='same' is not supported for strided convolutions/)
  expect(c([1, 1, 3, 3], [2, 1, 2, 2], { bias: random(3) })).toThrow(
    /expected bias to be 1-dimensional with 2 elements, but got bias of size \[3\]/,
  )
  expect(() => torch.conv2d(random(1, 1, 3, 3), torch.ones([1, 1, 2, 2]))).toThrow(/^expected scalar type float64 but found float32/)
  expect(() => torch.convTranspose2d(random(1, 2, 2, 2), random(1, 1, 2, 2))).toThrow(/^Given transposed=1, weight of size/)
  expect(() => torch.convTranspose2d(random(1, 1, 2, 2), random(1, 1, 2, 2), { outputPadding: 1 })).toThrow(
    /^output padding must be smaller/,
  )
  expect(() => torch.convTranspose2d(random(1, 1, 1, 1), random(1, 1, 2, 2), { padding: 1 })).toThrow(/Output size is too small/)
})
