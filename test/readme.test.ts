/** The examples of the READMEs and guides run, and print what their comments say. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { beforeAll, describe, expect, test } from 'vitest'

const root = new URL('../', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'readme-'))

interface Example {
  readonly file: string
  readonly source: string
}

const examples = ['README.md', 'README.zh-CN.md', 'docs/extending.md', 'docs/hooks.md', 'docs/profiling.md'].flatMap((file): Example[] =>
  [...readFileSync(join(root, file), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map((m) => ({ file, source: m[1]! })),
)

/** What each example wrote to stdout, and to stderr. */
const written: string[][] = []

/** One process for all of them, with one copy of the library: starting both takes longer than any example. */
beforeAll(async () => {
  examples.forEach(({ source }, i) => {
    const here = source.replaceAll(/'gradtape(\/\w+)?'/g, (_, face = '') => `'${root}src${face}/index.ts'`)
    writeFileSync(join(folder, `${i}.mts`), here)
  })
  await build({
    entryPoints: examples.map((_, i) => join(folder, `${i}.mts`)),
    outdir: join(folder, 'out'),
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['koffi'],
    logLevel: 'silent',
  })
  const run = join(folder, 'out', 'run.mjs')
  writeFileSync(
    run,
    `for (let i = 0; i < ${examples.length}; i++) {
      try { await import('./' + i + '.mjs') } catch (e) { console.error(e) }
      process.stdout.write('\\0')
      process.stderr.write('\\0')
    }`,
  )
  const { stdout, stderr } = spawnSync(process.execPath, [run], { cwd: root, encoding: 'utf8' })
  const [out, err] = [stdout.split('\0'), stderr.split('\0')]
  examples.forEach((_, i) => {
    written.push([out[i] ?? '', err[i] ?? 'did not run'])
  })
})

const squeeze = (text: string): string => text.replaceAll(/[\s[\](),]/g, '')

for (const file of new Set(examples.map((e) => e.file))) {
  describe(file, () => {
    const own = examples.filter((e) => e.file === file)
    own.forEach((example, i) => {
      test(`example ${i + 1}`, () => {
        const [stdout, stderr] = written[examples.indexOf(example)]!
        expect(stderr).toBe('')
        const expected = example.source
          .split('\n')
          .filter((l) => l.includes('console.log('))
          .map((l) => squeeze(l.split(' // ')[1] ?? ''))
        const printed = stdout!.trim().split('\n').map(squeeze)
        // A line in a loop prints several times.
        expect([...new Set(printed)]).toEqual([...new Set(expected)].filter((e) => e !== ''))
      })
    })
  })
}
