/** `gradtape/testing`: checks for functions and operations of your own. */
export { type Checked, GradcheckError, type GradcheckOptions, gradcheck, gradgradcheck } from './gradcheck.ts'
