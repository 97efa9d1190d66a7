/** Every product of matrices that a BLAS can read goes to OpenBLAS, however small. */
import { createDefaultBackend } from '../../src/backend/default.ts'
import { blasBackend } from '../../src/blas/gemm.ts'
import { loadBlas } from '../../src/blas/library.ts'
import { useBackend } from '../../src/execute.ts'
import { linearMemory } from '../../src/memory/linear.ts'

useBackend(blasBackend(createDefaultBackend(), linearMemory(), loadBlas(process.env['OPENBLAS']), () => 1, 0))
