// The core's codes in a language's own words.

import type { FaultCode, Reason, ReasonArg, ReasonCode } from '../library/nibble'

/** A sentence, or half of one, of arguments. */
type Sentence = (...args: string[]) => string

export type Reasons = Record<ReasonCode, Sentence>

/** Of each code that is one. */
export type Faults = Record<Exclude<FaultCode, ''>, Sentence>

/** Says a reason; reasons among its arguments are said first. */
export function say(reasons: Reasons, [code, ...args]: Reason): string {
  return reasons[code](...args.map(a => sayArg(reasons, a)))
}

export const sayArg = (reasons: Reasons, a: ReasonArg): string => (typeof a === 'string' ? a : say(reasons, a))
