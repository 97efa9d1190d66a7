/** Printing: the strings torch itself printed, recorded by test/print/generate.py, and our print options. */
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { type DType, setDefaultDtype } from '../src/dtype.ts'
import { formatTensor, formatValues, getPrintOptions, type PrintSuffix, setPrintOptions } from '../src/print.ts'

interface Recorded {
  name: string
  dtype: DType
  shape: number[]
  suffix: PrintSuffix
  /** JSON has no nan, inf or -0: they stand as strings. Regular data stands as its rule. */
  values: (number | string)[] | { start: number; step: number; n: number }
  text: string
}

const special = new Map([
  ['nan', Number.NaN],
  ['inf', Number.POSITIVE_INFINITY],
  ['-inf', Number.NEGATIVE_INFINITY],
  ['-0', -0],
])

function numbers(values: Recorded['values']): number[] {
  if (!Array.isArray(values)) return Array.from({ length: values.n }, (_, i) => values.start + values.step * i)
  return values.map((v) => (typeof v === 'number' ? v : special.get(v)!))
}

const file = process.env['PRINT_CASES'] ?? new URL('print/recorded.json', import.meta.url)
const recorded = JSON.parse(readFileSync(file, 'utf8')) as Recorded[]

afterEach(() => {
  setPrintOptions()
  setDefaultDtype('float32')
})

describe('as torch prints', () => {
  test.each(recorded)('$name', ({ values, shape, dtype, suffix, text }) => {
    expect(formatTensor(numbers(values), shape, dtype, suffix)).toBe(text)
  })
})

describe('our own', () => {
  test('a typed array prints as a list does', () => {
    expect(formatTensor(Float32Array.of(1, 2), [2], 'float32')).toBe('tensor([1., 2.])')
    expect(formatTensor(Uint8Array.of(1, 0), [2], 'bool')).toBe('tensor([ true, false])')
  })
  test('float32 is named where it is not the default', () => {
    setDefaultDtype('float64')
    expect(formatTensor([1], [1], 'float32')).toBe('tensor([1.], dtype=float32)')
    expect(formatTensor([1], [1], 'float64')).toBe('tensor([1.])')
  })
  test('another name, and a tangent', () => {
    expect(formatTensor([1], [], 'float32', { name: 'Parameter', requiresGrad: true, tangent: 'tensor(2.)' })).toBe(
      'Parameter(1., requiresGrad=true, tangent=tensor(2.))',
    )
  })
  test('values alone', () => {
    expect(formatValues([1, 2, 3, 4], [2, 2], 'int32')).toBe('[[1, 2],\n [3, 4]]')
    expect(formatValues([], [0], 'int32')).toBe('[]')
  })
})

describe('options', () => {
  test('precision', () => {
    setPrintOptions({ precision: 2 })
    expect(formatTensor([1.12345, 0.125, 0.375], [3], 'float32')).toBe('tensor([1.12, 0.12, 0.38])')
    setPrintOptions({ precision: 0 })
    expect(formatTensor([0.5, 1.5, 2.5], [3], 'float32')).toBe('tensor([0, 2, 2])')
  })
  test('sciMode', () => {
    setPrintOptions({ sciMode: true })
    expect(formatTensor([1, 2], [2], 'float32')).toBe('tensor([1.0000e+00, 2.0000e+00])')
    setPrintOptions({ sciMode: false })
    expect(formatTensor([1e22, 1], [2], 'float64')).toBe('tensor([10000000000000000000000.,                       1.], dtype=float64)')
  })
  test('threshold and edgeitems', () => {
    setPrintOptions({ threshold: 5, edgeitems: 2 })
    expect(formatTensor([0, 1, 2, 3, 4, 5, 6], [7], 'int32')).toBe('tensor([0, 1,  ..., 5, 6])')
  })
  test('linewidth', () => {
    setPrintOptions({ linewidth: 20 })
    expect(formatTensor([0, 1, 2, 3, 4, 5], [6], 'int32')).toBe('tensor([0, 1, 2, 3,\n        4, 5])')
  })
  test('are kept, reset and checked', () => {
    setPrintOptions({ precision: 6 })
    setPrintOptions({ edgeitems: 1 })
    expect(getPrintOptions()).toMatchObject({ precision: 6, edgeitems: 1 })
    setPrintOptions()
    expect(getPrintOptions()).toMatchObject({ precision: 4, edgeitems: 3 })
    expect(() => setPrintOptions({ precision: -1 })).toThrow('precision')
    expect(() => setPrintOptions({ edgeitems: 0 })).toThrow('edgeitems')
    expect(() => setPrintOptions({ linewidth: 0 })).toThrow('linewidth')
  })
})
