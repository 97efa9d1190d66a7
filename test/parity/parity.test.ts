/** Our ops against PyTorch's own answers: values, types, names of nodes, gradients of both orders, errors; op by op. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { check, find, type Library, messageOf, operand } from './check.ts'
import { type Case, loadFixtures, loadPromotion } from './load.ts'

const library = torch as unknown as Library

/** What doesn't agree with PyTorch yet, by family and operation, with the first difference. An entry that starts to agree fails. */
const gaps = JSON.parse(readFileSync(new URL('./gaps.json', import.meta.url), 'utf8')) as Readonly<Record<string, string>>
const held = (name: string): typeof test | typeof test.fails =>
  name in gaps && process.env['PARITY_GAPS'] === undefined ? test.fails : test

const families = new Map<string, Map<string, Case[]>>()
for (const c of loadFixtures()) {
  const ops = families.get(c.family) ?? new Map<string, Case[]>()
  families.set(c.family, ops.set(c.op, [...(ops.get(c.op) ?? []), c]))
}

/** Fails with every difference, each under torch's call. */
function report(lines: readonly string[], cases: number): void {
  const shown = lines.slice(0, 40)
  if (lines.length > shown.length) shown.push(`… and ${lines.length - shown.length} more`)
  expect(lines.length, `differences in ${cases} calls:\n${shown.join('\n')}\n`).toBe(0)
}

for (const [family, ops] of families) {
  describe(`torch parity: ${family}`, () => {
    for (const [op, cases] of ops) {
      held(`${family}/${op}`)(op, () => {
        if (!cases[0]!.inplace) expect(find(library, op), 'an op of this name').toBeDefined()
        report(
          cases.flatMap((c) => check(library, c).map((line) => `${c.torch} ${c.tag ?? ''}\n    ${line}`)),
          cases.length,
        )
      })
    }
  })
}

describe('torch parity: types of results', () => {
  const { kinds, ops } = loadPromotion()
  for (const { op, result } of ops) {
    held(`types/${op}`)(op, () => {
      const [name, mode] = op.split(':') as [string, string?]
      const lines = kinds.left.flatMap((l, i) =>
        kinds.right.flatMap((r, j) => {
          const expected = result[i]![j]!
          if (expected === '') return []
          const got = outcome(name, mode, operand(library, l), operand(library, r))
          return got === expected ? [] : [`${l}, ${r}: ${got ?? 'an error'}, torch has ${expected ?? 'an error'}`]
        }),
      )
      report(lines, kinds.left.length * kinds.right.length)
    })
  }
})

// PARITY_MESSAGES=1 prints torch's message and ours, one above the other.
test.runIf(process.env['PARITY_MESSAGES'])('messages', () => {
  const pairs = loadFixtures().filter((c) => c.error !== undefined)
  process.stdout.write(pairs.map((c) => `${c.torch}\n  torch ${c.error!.message}\n  ours  ${messageOf(library, c)}\n`).join(''))
})

/** The dtype a call gives, or null if it throws. */
function outcome(op: string, mode: string | undefined, a: unknown, b: unknown): string | null {
  const options = mode === undefined ? [] : [{ roundingMode: mode }]
  const call = (f: unknown, ...args: readonly unknown[]): string => (f as (...args: readonly unknown[]) => { dtype: string })(...args).dtype
  try {
    if (op.endsWith('_')) {
      const f = (a as Record<string, unknown>)[op]
      return call((f as (...args: readonly unknown[]) => unknown).bind(a), b)
    }
    if (op === 'cat' || op === 'stack') return call(find(library, op), [a, b])
    if (op === 'where') return call(find(library, op), library.tensor([true], { dtype: 'bool' }), a, b)
    return call(find(library, op), a, b, ...options)
  } catch {
    return null
  }
}
