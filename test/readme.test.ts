/** The examples of the READMEs and guides run, and print what their comments say. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = new URL('../', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'readme-'))

for (const file of ['README.md', 'README.zh-CN.md', 'docs/extending.md', 'docs/profiling.md']) {
  describe(file, () => {
    const blocks = [...readFileSync(join(root, file), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map((m) => m[1]!)
    blocks.forEach((source, i) => {
      test(`example ${i + 1}`, { timeout: 30_000 }, () => {
        const path = join(folder, `${file.replace('/', '-')}-${i}.mts`)
        writeFileSync(
          path,
          source.replaceAll(/'gradtape(\/\w+)?'/g, (_, face = '') => `'${root}src${face}/index.ts'`),
        )
        const made = spawnSync(process.execPath, ['--import', 'tsx', path], { cwd: root, encoding: 'utf8' })
        expect(made.stderr).toBe('')
        const squeeze = (text: string): string => text.replaceAll(/[\s[\](),]/g, '')
        const expected = source
          .split('\n')
          .filter((l) => l.includes('console.log('))
          .map((l) => squeeze(l.split(' // ')[1] ?? ''))
        const printed = made.stdout.trim().split('\n').map(squeeze)
        // A line in a loop prints several times.
        expect([...new Set(printed)]).toEqual([...new Set(expected)].filter((e) => e !== ''))
      })
    })
  })
}
