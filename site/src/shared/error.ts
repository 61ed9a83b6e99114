import type { Fault } from './messages'
import { words } from './words'

/**
 * What goes wrong in a call. kind is 'format' (the bytes of a file are wrong), 'unsupported' (Nibble does not do that),
 * 'machine' (no room, no permission, no network), 'internal' (a fault of Nibble) or 'cancelled'. fault has the file,
 * the tensor and a code with arguments, where there are any.
 */
export class NibbleError extends Error {
  constructor(
    readonly kind: Fault['kind'],
    message: string,
    readonly fault?: Fault,
  ) {
    super(message)
    this.name = 'NibbleError'
  }

  get code() {
    return this.fault?.code ?? ''
  }
}

/** The error of what went wrong in a worker. */
export const errorOf = (f: Fault) => new NibbleError(f.kind, f.kind === 'cancelled' ? words.cancelled : f.message, f)
