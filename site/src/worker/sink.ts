// What a conversion writes to, in the worker: a chosen file or folder, a file of the
// origin-private file system, so that a result never lies in memory, or, where there is
// no such thing, pieces of a Blob up to a limit. relay.ts has the caller's own places.

import { clear, lockName, privateFiles, removeAll } from '../private/files'
import * as format from '../shared/format'
import type { Output } from '../shared/messages'
import { namesIn, type Place } from '../shared/place'
import { words } from '../shared/words'

/** The core's calls, and how it ends. Files come one after the other. */
export interface Sink {
  create(name: string, bytes: number): Promise<void> | undefined
  /** b is a view of the core's memory, and something else once this returns. */
  write(b: Uint8Array): Promise<void> | undefined
  close(): Promise<void> | undefined
  /** The files, once all are closed. */
  finish(): Promise<Output[]>
  /** Leaves nothing behind. */
  discard(): Promise<void>
}

interface SyncAccess {
  write(b: Uint8Array, o: { at: number }): number
  close(): void
}

/** Only workers have this, so TypeScript's DOM types do not. */
interface SyncFile {
  createSyncAccessHandle(): Promise<SyncAccess>
}

/** What memory alone may hold when the browser gives no private files. */
const memoryLimit = 1e9

export async function openSink(tab: string, place: Exclude<Place, { kind: 'relay' }>): Promise<Sink> {
  if (place.kind === 'file') return chosenFile(place)
  if (place.kind === 'folder') return chosenFolder(place)
  const root = await privateFiles()
  return root ? privateFile(root, tab, place.name) : memory()
}

/** A full disk and a lost permission in our words. */
function inOurWords(err: unknown): unknown {
  if (!(err instanceof DOMException)) return err
  if (err.name === 'QuotaExceededError') return new Error(words.disk)
  return err.name === 'NotAllowedError' || err.name === 'NoModificationAllowedError' || err.name === 'NotFoundError'
    ? new Error(words.permission)
    : err
}

/** How long the browser may think about the room it has, in ms. */
const soon = 3_000

/** Refuses what cannot fit, as far as the browser says. */
async function room(bytes: number) {
  const unknown = { quota: undefined, usage: undefined }
  const late = new Promise<typeof unknown>(resolve => setTimeout(() => resolve(unknown), soon))
  const { quota, usage } = await Promise.race([navigator.storage.estimate().catch(() => unknown), late])
  if (quota !== undefined && quota - (usage ?? 0) < bytes)
    throw new Error(words.room(format.bytes(bytes), format.bytes(Math.max(0, quota - (usage ?? 0)))))
}

async function privateFile(root: FileSystemDirectoryHandle, tab: string, file: string): Promise<Sink> {
  await removeAll(root, name => name.startsWith(lockName(tab) + '-')) // the tab's previous result
  const handle = await root.getFileHandle(file, { create: true })
  const access = await (handle as unknown as SyncFile).createSyncAccessHandle()
  let at = 0
  let called = ''
  return {
    create(name, bytes) {
      called = name
      return room(bytes)
    },
    write(b) {
      try {
        for (let n = 0; n < b.length;) {
          const wrote = access.write(b.subarray(n), { at })
          if (wrote === 0) throw new Error(words.disk)
          n += wrote
          at += wrote
        }
      } catch (err) {
        throw inOurWords(err)
      }
      return undefined
    },
    close() {
      access.close() // the file is whole for whoever opens it; that it survives a power cut is worth no wait
      return undefined
    },
    async finish() {
      return [{ name: called, blob: await handle.getFile() }]
    },
    async discard() {
      access.close()
      await root.removeEntry(file).catch(() => undefined) // the next sweep takes it
    },
  }
}

/** The browser writes beside the file and puts it in its place when it is closed. */
async function chosenFile(place: Extract<Place, { kind: 'file' }>): Promise<Sink> {
  const out = writer()
  return {
    create: () => out.open(place.handle),
    write: out.write,
    close: out.close,
    async finish() {
      return [{ name: place.handle.name, blob: await place.handle.getFile() }]
    },
    async discard() {
      await out.abort()
      await clear(place)
    },
  }
}

/** A folder for this result alone. */
async function chosenFolder(place: Extract<Place, { kind: 'folder' }>): Promise<Sink> {
  const made: FileSystemFileHandle[] = []
  const out = writer()
  if ((await namesIn(place.handle)).length > 0) throw new Error(words.exists(place.name))
  return {
    async create(name) {
      try {
        const handle = await place.handle.getFileHandle(name, { create: true })
        made.push(handle)
        await out.open(handle)
      } catch (err) {
        throw inOurWords(err)
      }
    },
    write: out.write,
    close: out.close,
    finish: () => Promise.all(made.map(async h => ({ name: `${place.name}/${h.name}`, blob: await h.getFile() }))),
    async discard() {
      await out.abort()
      await clear(place)
    },
  }
}

/** Writes to one file after the other. */
function writer() {
  let stream: FileSystemWritableFileStream | undefined
  return {
    async open(handle: FileSystemFileHandle) {
      try {
        stream = await handle.createWritable()
      } catch (err) {
        throw inOurWords(err)
      }
    },
    async write(b: Uint8Array) {
      try {
        await stream!.write(b.slice()) // a copy: b will be something else
      } catch (err) {
        throw inOurWords(err)
      }
    },
    async close() {
      try {
        await stream!.close()
        stream = undefined
      } catch (err) {
        throw inOurWords(err)
      }
    },
    async abort() {
      await stream?.abort().catch(() => undefined)
    },
  }
}

function memory(): Sink {
  let parts: Blob[] = []
  let called = ''
  return {
    create(name, bytes) {
      called = name
      if (bytes > memoryLimit) throw new Error(words.memory(format.bytes(bytes), format.bytes(memoryLimit)))
      return undefined
    },
    write(b) {
      parts.push(new Blob([b.slice()])) // a copy: b will be something else
      return undefined
    },
    close: () => undefined,
    async finish() {
      return [{ name: called, blob: new Blob(parts) }]
    },
    async discard() {
      parts = []
    },
  }
}
