/** The picture of the first example's graph: written also where no folder is yet. */
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { draw } from '../../examples/drawing.ts'

test('makes the folder it writes into', async () => {
  const folder = join(mkdtempSync(join(tmpdir(), 'drawing-')), 'out')
  await draw(folder)
  expect(existsSync(join(folder, 'graph.svg'))).toBe(true)
})
