/** The checklist tells the truth: its tests exist, its exceptions are few, its page is current. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checklist, count, read, render, root } from './checklist.ts'

test('every test it names exists', () => {
  const files = new Map<string, string>()
  const source = (file: string): string => {
    if (!files.has(file)) files.set(file, readFileSync(join(root, file), 'utf8'))
    return files.get(file)!
  }
  const absent: string[] = []
  for (const group of Object.values(checklist)) {
    for (const entry of Object.values(group)) {
      const { file, title } = read(entry)
      if (file === undefined) continue
      const word = title!.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
      if (!new RegExp(`(^\\s+|['"\`])${word}(['"\`]|\\(|:|,)`, 'm').test(source(file))) absent.push(entry)
    }
  }
  expect(absent).toEqual([])
})

test('what is set aside has a reason', () => {
  for (const group of Object.values(checklist)) {
    for (const [name, entry] of Object.entries(group)) {
      const { state, why } = read(entry)
      if (state === 'later') expect(why, name).toMatch(/^(forward mode through autograd\.forwardAd|complex dtypes|sparse gradients)$/)
      if (state === 'not applicable') expect(why!.length, name).toBeGreaterThan(10)
    }
  }
})

test('docs/contract.md is current', async () => {
  await expect(render()).toMatchFileSnapshot(join(root, 'docs/contract.md'))
  expect(count().covered).toBeGreaterThan(0)
})
