// Where a caller wants a result: what the worker writes itself, and what is relayed to the caller.

import { NibbleError } from '../shared/error'
import type { RelayStep } from '../shared/messages'
import type { Place } from '../shared/place'
import type { Report } from '../shared/protocol'
import { words } from '../shared/words'

/** What takes the bytes of one file, such as a WritableStream's writer. */
export interface Writable {
  write(bytes: Uint8Array): unknown
  close(): unknown
  abort?(reason?: unknown): unknown
}

/**
 * Where a result goes:
 *
 * - 'private': one of the browser's private files, until the next conversion; a sharded model is one zip. The answer
 *   has a blob of it, to download.
 * - a file handle: the worker writes to it, and the browser puts it in place when it is whole.
 * - a directory handle: the worker makes the file in it, or a new folder of the output's name. What is there is
 *   refused.
 * - create: called for each file with its name and size, in order; the bytes come to what it gives.
 */
export type Target = 'private' | FileSystemFileHandle | FileSystemDirectoryHandle | Creator

/** Makes a place for one file. */
export interface Creator {
  create(
    name: string,
    bytes: number,
  ): Writable | WritableStream<Uint8Array> | Promise<Writable | WritableStream<Uint8Array>>
}

/** The place of a target, for a plan's output. */
export async function placeOf(target: Target, { folder, output: { name } }: Report): Promise<Place> {
  if (target === 'private') return { kind: 'private' }
  if ('create' in target) return { kind: 'relay' }
  if (target.kind === 'file') return { kind: 'file', handle: target }
  if (folder) return { kind: 'folder', handle: target, name }
  const there = await target.getFileHandle(name).catch(() => undefined)
  if (there) throw new NibbleError('machine', words.existsFile(name))
  return { kind: 'file', handle: await target.getFileHandle(name, { create: true }) }
}

/** Takes the steps of a relay to what a creator gives. */
export function relayTo({ create }: Creator): (step: RelayStep) => Promise<void> {
  let file: Writable | undefined
  return async step => {
    switch (step.step) {
      case 'create': {
        const made = await create(step.name, step.bytes)
        file = 'getWriter' in made ? made.getWriter() : made
        return
      }
      case 'write':
        await file?.write(step.bytes)
        return
      case 'close':
        await file?.close()
        file = undefined
        return
      case 'abort':
        await file?.abort?.()
        file = undefined
    }
  }
}
