import type { Failure } from './protocol'

/** Thrown by calls of the core, and where a user's place does not do; kind 'cancelled' means that stop was called. */
export class CoreError extends Error {
  constructor(readonly kind: Failure['kind'] | 'cancelled', message: string, readonly code = '') { super(message) }
}
