/** The package as published: built, packed, unpacked into an empty project, then compiled against and run there. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = new URL('../../', import.meta.url).pathname
const { dependencies, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>
  exports: Record<string, unknown>
}
const entries = Object.keys(exports)
  .filter((key) => key !== './package.json')
  .map((key) => `gradtape${key.slice(1)}`)

let project = ''
/** Runs in the project; what the command printed is part of the error. */
function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: project, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: status ${status}\n${stdout}${stderr}`)
  return stdout
}

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'gradtape-'))
  // npm pack builds first.
  execFileSync('npm', ['pack', '--pack-destination', project], { cwd: root, stdio: 'pipe' })
  run('sh', ['-c', 'tar xzf gradtape-*.tgz'])
  mkdirSync(join(project, 'node_modules/@types'), { recursive: true })
  run('mv', ['package', 'node_modules/gradtape'])
  for (const name of Object.keys(dependencies)) {
    mkdirSync(join(project, 'node_modules', name, '..'), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name))
  }
  writeFileSync(join(project, 'package.json'), '{ "type": "module", "private": true }')
}, 300_000)

afterAll(() => rmSync(project, { recursive: true, force: true }))

test('every entry imports, and does nothing on import', () => {
  writeFileSync(
    join(project, 'entries.mjs'),
    `for (const name of ${JSON.stringify(entries)}) if (Object.keys(await import(name)).length === 0) throw new Error(name + ' exports nothing')`,
  )
  expect(run('node', ['entries.mjs'])).toBe('')
})

test('a gradient', () => {
  writeFileSync(
    join(project, 'gradient.mjs'),
    `import { tensor } from 'gradtape'
const x = tensor(10, { requiresGrad: true, dtype: 'float64' })
x.pow(2).add(20).backward()
console.log(String(x.grad))`,
  )
  expect(run('node', ['gradient.mjs']).trim()).toBe('tensor(20., dtype=float64)')
})

test('the declarations compile in a strict project, as Node and as bundlers resolve', () => {
  writeFileSync(
    join(project, 'types.ts'),
    entries.map((name, i) => `import * as m${i} from '${name}'\nexport const n${i}: object = m${i}`).join('\n') +
      "\nimport { tensor } from 'gradtape'\nexport const item: number = tensor([1, 2]).sum().item()\n",
  )
  for (const moduleResolution of ['nodenext', 'bundler']) {
    const module = moduleResolution === 'bundler' ? 'esnext' : 'nodenext'
    const compilerOptions = {
      module,
      moduleResolution,
      target: 'es2023',
      lib: ['es2023', 'esnext.disposable', 'dom'],
      strict: true,
      noEmit: true,
      types: [],
    }
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['types.ts'] }))
    run('node', [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'])
  }
})
