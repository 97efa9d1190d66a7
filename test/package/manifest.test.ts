/** package.json against the tree: entries, dependencies, scripts, and a lock file that names no server. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = new URL('../../', import.meta.url).pathname
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const manifest = JSON.parse(read('package.json')) as {
  sideEffects: boolean
  exports: Record<string, string | { types: string; default: string }>
  dependencies: Record<string, string>
  scripts: Record<string, string>
  files: string[]
}

test('every public subpath has its source, and every face is public', () => {
  const subpaths = Object.keys(manifest.exports)
    .filter((key) => key !== '.' && key !== './package.json')
    .map((key) => key.slice(2))
  const faces = readdirSync(join(root, 'src')).filter((name) => name !== 'ops' && existsSync(join(root, 'src', name, 'index.ts')))
  expect(subpaths.sort()).toEqual(faces.sort())
})

test.each(['README.md', 'README.zh-CN.md'])('%s names every entry', (file) => {
  const text = read(file)
  const entries = Object.keys(manifest.exports).filter((key) => key !== './package.json')
  expect(entries.filter((key) => !text.includes(`\`gradtape${key.slice(1)}\``))).toEqual([])
})

test('every export is the built file of its name, types first', () => {
  for (const [key, entry] of Object.entries(manifest.exports)) {
    if (typeof entry === 'string') continue
    const name = key === '.' ? 'index' : key.slice(2)
    expect(Object.entries(entry)).toEqual([
      ['types', `./dist/${name}.d.ts`],
      ['default', `./dist/${name}.js`],
    ])
  }
})

test('bundlers may drop what is unused', () => {
  expect(manifest.sideEffects).toBe(false)
})

test('every runtime dependency is used', () => {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => read(join('src', path)))
    .join('\n')
  expect(Object.keys(manifest.dependencies).filter((name) => !sources.includes(`'${name.replace('@types/', '')}'`))).toEqual([])
})

test('the scripts that the documentation names exist', () => {
  expect(Object.keys(manifest.scripts)).toEqual(
    expect.arrayContaining(['start', 'test', 'test:heavy', 'bench', 'build', 'check', 'lint', 'knip']),
  )
})

test('the lock file names no server, and needs no install script', () => {
  const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, { resolved?: string; hasInstallScript?: boolean }> }
  const packages = Object.entries(lock.packages)
  expect(packages.filter(([, p]) => p.resolved !== undefined)).toEqual([])
  // esbuild and koffi bring their programs as packages of their own; their scripts only check. fsevents is for macOS and optional.
  const scripted = packages.filter(([, p]) => p.hasInstallScript === true).map(([path]) => path.replace(/.*node_modules\//, ''))
  expect(new Set(scripted)).toEqual(new Set(scripted.filter((name) => ['esbuild', 'koffi', 'fsevents'].includes(name))))
})

test('the lock file knows the binaries of every platform, or npm ci refuses it', () => {
  const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, { integrity?: string; optionalDependencies?: object }> }
  const paths = Object.keys(lock.packages)
  const known = new Set(paths.map((path) => path.replace(/.*node_modules\//, '')))
  const wanted = Object.values(lock.packages).flatMap((p) => Object.keys(p.optionalDependencies ?? {}))
  expect(wanted.filter((name) => !known.has(name))).toEqual([])
  expect(paths.filter((path) => path !== '' && lock.packages[path]!.integrity === undefined)).toEqual([])
})

test('the published files are there', () => {
  expect(manifest.files.filter((file) => file !== 'dist' && !existsSync(join(root, file)))).toEqual([])
})
