/** `gradtape/testing`: checks for functions and operations of your own. */
export { type GradcheckOptions, type GradgradcheckOptions, gradcheck, gradgradcheck } from './gradcheck.ts'
export { type Checked, GradcheckError } from './jacobians.ts'
