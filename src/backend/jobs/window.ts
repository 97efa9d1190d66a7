/** Jobs over windows of images. */
import type { Job, MaxPoolKernel, WindowKernel } from '../backend.ts'
import { fold2dKernel, maxPool2dKernel, unfold2dKernel } from '../reference/window.ts'
import { compileFold, compileMaxPool, compileUnfold } from '../wasm/window.ts'

export const maxPool2d: Job<MaxPoolKernel> = { reference: maxPool2dKernel, wasm: compileMaxPool }
export const unfold2d: Job<WindowKernel> = { reference: unfold2dKernel, wasm: compileUnfold }
export const fold2d: Job<WindowKernel> = { reference: fold2dKernel, wasm: compileFold }
