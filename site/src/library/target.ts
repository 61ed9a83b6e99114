// Where a caller wants a result: what the worker writes itself, and what is relayed to the caller.

import { NibbleError } from '../shared/error'
import type { RelayStep } from '../shared/messages'
import { namesIn, type Place } from '../shared/place'
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
 * - a directory handle: the worker makes the file in it, or a folder of the output's name. What is there is refused.
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

/** Whether a target is a creator. */
const isCreator = (target: Target): target is Creator =>
  typeof target === 'object' && target !== null && 'create' in target

/** Whether a target is one file, so that a folder goes there as a zip. */
export const isOneFile = (target: Target) =>
  target === 'private' || (typeof target === 'object' && 'kind' in target && target.kind === 'file')

/** The place of a target, for an output that has a name and may be a folder. file names a private one. */
export async function placeOf(target: Target, folder: boolean, name: string, file: string): Promise<Place> {
  if (target === 'private') return { kind: 'private', name: file }
  if (isCreator(target)) return { kind: 'relay' }
  if (target?.kind === 'file') return { kind: 'file', handle: target }
  if (target?.kind !== 'directory') throw new NibbleError('unsupported', words.noTarget)
  try {
    if (folder) return await folderIn(target, name)
    if (await there(() => target.getFileHandle(name))) throw new NibbleError('machine', words.existsFile(name))
    return { kind: 'file', handle: await target.getFileHandle(name, { create: true }), parent: target }
  } catch (err) {
    throw err instanceof NibbleError
      ? err
      : new NibbleError('machine', err instanceof Error ? err.message : String(err))
  }
}

/** A folder for the result: a new one, or one that is empty. Any other is somebody's. */
async function folderIn(parent: FileSystemDirectoryHandle, name: string): Promise<Place> {
  const old = await there(() => parent.getDirectoryHandle(name))
  if (!old) return { kind: 'folder', handle: await parent.getDirectoryHandle(name, { create: true }), name, parent }
  if ((await namesIn(old)).length > 0) throw new NibbleError('machine', words.exists(name))
  return { kind: 'folder', handle: old, name }
}

/** What is there, undefined where nothing is. */
async function there<T>(get: () => Promise<T>): Promise<T | undefined> {
  try {
    return await get()
  } catch (err) {
    if (err instanceof DOMException && err.name === 'NotFoundError') return undefined
    throw err
  }
}

/** Takes the steps of a conversion to what a creator gives; undefined for other targets. */
export function relayTo(target: Target): Relay | undefined {
  return isCreator(target) ? new Relay(target) : undefined
}

/** A result on its way to a creator's files. */
export class Relay {
  /** Why a step failed, as the creator or its writable said it. */
  failed: { why: unknown } | undefined
  private file: Writable | undefined
  private ended: { why: unknown } | undefined

  constructor(private readonly target: Creator) {}

  /** Takes one step, and resolves when it was taken. */
  async take(step: RelayStep) {
    try {
      await this.pass(step)
    } catch (err) {
      this.failed ??= { why: err }
      throw err
    }
  }

  private async pass(step: RelayStep) {
    switch (step.step) {
      case 'create': {
        const made = await this.target.create(step.name, step.bytes)
        if (!made || !('getWriter' in made || 'write' in made)) throw new NibbleError('unsupported', words.noWritable)
        this.file = 'getWriter' in made ? made.getWriter() : made
        if (this.ended) this.end(this.ended.why) // it came too late
        return
      }
      case 'write':
        await this.file?.write(step.bytes)
        return
      case 'close':
        await this.file?.close()
        this.file = undefined
        return
      case 'abort':
        this.end(this.failed?.why)
    }
  }

  /** Aborts the file that is not whole. Nobody waits for that: a stream aborts when the write that hangs is done. */
  end(why: unknown) {
    this.ended ??= { why }
    const { file } = this
    this.file = undefined
    void (async () => file?.abort?.(why))().catch(() => undefined)
  }
}
