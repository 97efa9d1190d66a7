/** Custom Functions do what PyTorch does, case by case, as record_function.py recorded it. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { cases } from './function.cases.ts'
import { transforms } from './function.transforms.ts'

const recorded: Record<string, unknown> = JSON.parse(readFileSync(new URL('function.json', import.meta.url), 'utf8'))
const all = { ...cases, ...transforms }

/** Where gradtape answers otherwise, and why. A case that starts to agree must be taken out. */
const DIFFERS: Readonly<Record<string, string>> = {
  dirty_view_made_without_grad: 'the text names the view that was made under noGrad, where PyTorch takes it for a leaf',
  func_vmap_rule: "every example draws random numbers of its own: randomness is 'different'",
}

/** The words of a text in one spelling: names of nodes end without Backward, names are lower case. */
function words(text: string): string[] {
  return text
    .replaceAll(/\b([A-Z]\w*?)Backward\d?\b/g, '$1')
    .replaceAll('_', '')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((w) => w !== '')
}

/** `ours` in a form to compare with `theirs`: numbers rounded, texts as far as the other's first sentences go. */
function comparable(ours: unknown, theirs: unknown): unknown {
  if (typeof ours === 'number') return Number(ours.toPrecision(9))
  if (typeof ours === 'string' && typeof theirs === 'string' && theirs.includes(' '))
    return words(ours)
      .slice(0, Math.min(words(theirs).length, 20))
      .join(' ')
  if (Array.isArray(ours)) return ours.map((x, i) => comparable(x, Array.isArray(theirs) ? theirs[i] : undefined))
  if (typeof ours === 'object' && ours !== null)
    return Object.fromEntries(
      Object.entries(ours).map(([k, x]) => [k, comparable(x, (theirs as Record<string, unknown> | undefined)?.[k])]),
    )
  return ours
}

describe('as recorded from PyTorch', () => {
  test('every recorded case is run', () => {
    expect(Object.keys(all)).toEqual(Object.keys(recorded))
  })
  for (const [name, run] of Object.entries(all)) {
    const differs = DIFFERS[name]
    test(differs === undefined ? name : `${name} (differs: ${differs})`, () => {
      const theirs = recorded[name]
      const ours = comparable(run(), theirs)
      if (differs === undefined) expect(ours).toEqual(comparable(theirs, theirs))
      else expect(ours).not.toEqual(comparable(theirs, theirs))
    })
  }
})
