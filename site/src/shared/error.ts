import type { Fault } from './messages'

/** Thrown by calls of the core, and where a user's place does not do; kind 'cancelled' means that stop was called. */
export class CoreError extends Error {
  constructor(
    readonly kind: Fault['kind'] | 'cancelled',
    message: string,
    readonly fault?: Fault,
  ) {
    super(message)
  }

  get code() {
    return this.fault?.code ?? ''
  }
}

/** The error of what went wrong in a worker. */
export const errorOf = (f: Fault) => new CoreError(f.kind, f.message, f)
