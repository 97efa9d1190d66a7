/** Every product of matrices that a BLAS can read goes to OpenBLAS, however small. */
import { provideBackend, setBackend } from '../../src/backend/choose.ts'
import { createDefaultBackend } from '../../src/backend/default.ts'
import { blasBackend } from '../../src/blas/gemm.ts'
import { loadBlas } from '../../src/blas/library.ts'
import { linearMemory } from '../../src/memory/linear.ts'

const library = loadBlas(process.env['OPENBLAS'])
provideBackend('blas', () => blasBackend(createDefaultBackend(), linearMemory(), library, () => 1, 0))
setBackend('blas')
