/** Nothing public is left out: every operation has a call, a doc comment, and every gap names a call that exists. */
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { find, type Library } from '../parity/check.ts'
import { gaps } from './check.ts'
import { docOf } from './docs.ts'
import { laws } from './laws.ts'
import { inPlaceNames, methodOf, operations, samples } from './samples.ts'

describe('every public operation', () => {
  test.each([...operations.keys()])('%s has a call to check', (op) => {
    expect(samples.get(op)!.length).toBeGreaterThan(0)
  })

  test.each([...operations.keys()])('%s has a doc comment that says what it is', (op) => {
    expect(docOf(op)?.doc.length ?? 0).toBeGreaterThan(10)
  })

  test('is reached from the package', () => {
    const missing = [...operations.keys()].filter(
      (op) => find(torch as unknown as Library, op) === undefined && methodOf(torch.Tensor.prototype, op) === undefined,
    )
    expect(missing).toEqual([])
  })
})

test('every in-place method has a call to check', () => {
  const checked = new Set([...samples.values()].flat().flatMap((s) => (s.writes ? [s.op] : [s.inPlaceName])))
  expect(inPlaceNames.filter((name) => !checked.has(name))).toEqual([])
})

test('every gap is about a call that exists, and that its law applies to', () => {
  const calls = [...samples.values()].flat()
  const stale = Object.entries(gaps).flatMap(([name, labels]) => {
    const law = laws[name]!
    return Object.keys(labels).filter((label) => !calls.some((s) => s.label === label && law.applies(s)))
  })
  expect(stale).toEqual([])
})
