/** docs/ops.md is current. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { render } from './page.ts'

test('docs/ops.md is current', async () => {
  await expect(render()).toMatchFileSnapshot(fileURLToPath(new URL('../../docs/ops.md', import.meta.url)))
})
