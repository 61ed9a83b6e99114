// A sink in the caller's realm: each step goes there, and is waited for. Bytes are moved, not copied.

import type { Fault, RelayStep } from '../shared/messages'
import type { Sink } from './sink'

/** The step that is waited for: one at a time. */
let waiting: { resolve(): void; reject(f: Fault): void } | undefined

/** A step was taken, or failed. */
export function relayed(failure: Fault | undefined) {
  const step = waiting
  waiting = undefined
  if (failure) step?.reject(failure)
  else step?.resolve()
}

/** Sends every step of a conversion with send. */
export function relay(send: (step: RelayStep, transfer: Transferable[]) => void): Sink {
  const names: string[] = []
  const step = (s: RelayStep, transfer: Transferable[] = []) =>
    new Promise<void>((resolve, reject: (f: Fault) => void) => {
      waiting = { resolve, reject }
      send(s, transfer)
    })
  return {
    create(name, bytes) {
      names.push(name)
      return step({ step: 'create', name, bytes })
    },
    write(b) {
      const copy = b.slice() // b will be something else
      return step({ step: 'write', bytes: copy }, [copy.buffer])
    },
    close: () => step({ step: 'close' }),
    finish: async () => names.map(name => ({ name })),
    discard: () => step({ step: 'abort' }).catch(() => undefined),
  }
}
