/** Poolings against their definition, derivatives under all transforms, errors. */
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { checkDerivatives, close, random } from './derivatives.ts'

type Tensor = torch.Tensor

/** What `of` makes of the elements of each window, which is given as ranges of rows and columns. */
function defined(x: Tensor, rows: readonly number[][], columns: readonly number[][], of: (v: number[]) => number): Tensor {
  const [n, c, , w] = x.shape as [number, number, number, number]
  const plane = x.shape[2]! * w
  const values = x.toTypedArray()
  const out: number[] = []
  for (let p = 0; p < n * c; p++)
    for (const ys of rows) for (const xs of columns) out.push(of(ys.flatMap((y) => xs.map((q) => values[p * plane + y * w + q]!))))
  return torch.tensor(out, { dtype: 'float64' }).reshape([n, c, rows.length, columns.length])
}

/** The positions of each window along one dim. */
function windows(size: number, k: number, stride: number, padding: number, dilation: number, ceil: boolean): number[][] {
  const all: number[][] = []
  for (let start = -padding; ceil ? start < size : start + dilation * (k - 1) < size + padding; start += stride) {
    if (ceil && start + dilation * (k - 1) >= size + padding + stride) break
    all.push(Array.from({ length: k }, (_, i) => start + i * dilation).filter((v) => v >= 0 && v < size))
  }
  return all
}

const mean = (v: number[]): number => v.reduce((a, b) => a + b, 0) / v.length

describe('pooling', () => {
  const options = [
    { k: 2, stride: 2, padding: 0, dilation: 1, ceilMode: false },
    { k: 3, stride: 1, padding: 1, dilation: 1, ceilMode: false },
    { k: 3, stride: 2, padding: 1, dilation: 1, ceilMode: true },
    { k: 2, stride: 3, padding: 0, dilation: 1, ceilMode: true },
    { k: 2, stride: 1, padding: 0, dilation: 3, ceilMode: false },
    { k: 4, stride: 3, padding: 2, dilation: 1, ceilMode: true },
  ]
  for (const { k, ...o } of options) {
    test(`maximum ${JSON.stringify({ k, ...o })}`, () => {
      const x = random(2, 2, 7, 6)
      const rows = windows(7, k, o.stride, o.padding, o.dilation, o.ceilMode)
      const columns = windows(6, k, o.stride, o.padding, o.dilation, o.ceilMode)
      const y = defined(x, rows, columns, (v) => Math.max(...v))
      close(torch.maxPool2d(x, k, o), y)
      close(torch.maxPool2d(x.permute([3, 2, 1, 0]).contiguous().permute([3, 2, 1, 0]), k, o), y)
      const { values, indices } = torch.maxPool2dWithIndices(x, k, o)
      expect(indices.dtype).toBe('int32')
      close(x.flatten(2).gather(-1, indices.flatten(2)).reshape(values.shape), y)
    })
    if (o.dilation > 1) continue
    test(`average ${JSON.stringify({ k, ...o })}`, () => {
      const x = random(2, 2, 7, 6)
      const { dilation: _, ...a } = o
      const rows = windows(7, k, o.stride, o.padding, 1, o.ceilMode)
      const columns = windows(6, k, o.stride, o.padding, 1, o.ceilMode)
      close(torch.avgPool2d(x, k, { ...a, countIncludePad: false }), defined(x, rows, columns, mean))
      if (o.ceilMode) return
      const zeros = torch.pad(x, [o.padding, o.padding, o.padding, o.padding])
      close(torch.avgPool2d(x, k, a), torch.avgPool2d(zeros, k, { stride: o.stride }))
    })
  }

  test('adaptive averages cover everything, with windows of nearly equal size', () => {
    const x = random(2, 1, 7, 5)
    const parts = (from: number, to: number): number[][] =>
      Array.from({ length: to }, (_, i) => {
        const start = Math.floor((i * from) / to)
        return Array.from({ length: Math.ceil(((i + 1) * from) / to) - start }, (_, j) => start + j)
      })
    for (const [h, w] of [
      [3, 2],
      [7, 1],
      [1, 5],
      [10, 4],
    ] as const)
      close(torch.adaptiveAvgPool2d(x, [h, w]), defined(x, parts(7, h), parts(5, w), mean))
    close(torch.adaptiveAvgPool2d(x, 1), x.mean({ dim: [2, 3], keepdim: true }))
    expect(torch.adaptiveAvgPool2d(x, [null, 2]).shape).toEqual([2, 1, 7, 2])
    expect(torch.adaptiveAvgPool2d(x.requiresGrad_(), 2).gradFn!.name()).toBe('AdaptiveAvgPool2DBackward0')
  })

  test('signals', () => {
    const x = random(2, 3, 7)
    close(
      torch.maxPool1d(x, 3, { stride: 2, padding: 1 }),
      torch.maxPool2d(x.unsqueeze(2), [1, 3], { stride: [1, 2], padding: [0, 1] }).squeeze(2),
    )
    close(
      torch.avgPool1d(x, 3, { stride: 2, padding: 1 }),
      torch.avgPool2d(x.unsqueeze(2), [1, 3], { stride: [1, 2], padding: [0, 1] }).squeeze(2),
    )
    close(torch.maxPool1d(x.select(0, 0), 2), torch.maxPool1d(x, 2).select(0, 0))
  })

  test('the gradient of overlapping windows adds up at the first of equal elements', () => {
    const x = torch.ones([1, 3, 3], { dtype: 'float64' }).requiresGrad_()
    torch.maxPool2d(x, 2, { stride: 1 }).sum().backward()
    expect(x.grad!.tolist()).toEqual([
      [
        [1, 1, 0],
        [1, 1, 0],
        [0, 0, 0],
      ],
    ])
  })
})

describe('derivatives of poolings', () => {
  test('maxPool2d', () => checkDerivatives((x) => torch.maxPool2d(x, 2, { stride: 1 }), [1, 2, 3, 3]))
  test('maxPool2d with padding', () => checkDerivatives((x) => torch.maxPool2d(x, 3, { stride: 2, padding: 1 }), [2, 4, 4]))
  test('maxPool1d', () => checkDerivatives((x) => torch.maxPool1d(x, 2), [2, 1, 4]))
  test('avgPool2d', () => checkDerivatives((x) => torch.avgPool2d(x, 2, { stride: 1, padding: 1, countIncludePad: false }), [1, 2, 3, 3]))
  test('avgPool1d', () => checkDerivatives((x) => torch.avgPool1d(x, 2), [2, 1, 4]))
  test('adaptiveAvgPool2d', () => checkDerivatives((x) => torch.adaptiveAvgPool2d(x, [2, 3]), [1, 2, 3, 4]))
})

test('errors of poolings', () => {
  expect(() => torch.maxPool2d(random(1, 1, 2, 2), 3)).toThrow(
    /^Given input size: \(1x2x2\). Calculated output size: \(1x0x0\). Output size is too small/,
  )
  expect(() => torch.avgPool2d(random(1, 1, 4, 4), 2, { padding: 2 })).toThrow(
    /^pad should be at most half of effective kernel size, but got pad=2, kernel_size=2/,
  )
  expect(() => torch.maxPool2d(random(4, 4), 2)).toThrow(/^non-empty 3D or 4D \(batch mode\) tensor expected for input/)
  expect(() => torch.maxPool2d(random(1, 4, 4), 0)).toThrow(/^non-positive kernel size is not supported/)
  expect(() => torch.maxPool2d(random(1, 1, 1), 2, { padding: 1, dilation: 2, stride: 2 })).toThrow(/holds no element/)
  expect(() => torch.avgPool2d(torch.ones([1, 2, 2], { dtype: 'int32' }), 2)).toThrow(torch.DTypeError)
  expect(() => torch.adaptiveAvgPool2d(random(2, 2), 1)).toThrow(torch.ShapeError)
})
