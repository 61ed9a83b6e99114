// Where a conversion writes: a file of the origin-private file system where there is
// one, so that a result never lies in memory, else parts of a Blob up to a limit.
//
// Files are named nibble-TAB-NUMBER. A tab holds the Web Lock nibble-TAB while it
// lives, so whatever has no lock was left by a tab that is gone, and is removed.

import { text } from './text'

export interface Sink {
  write(b: Uint8Array): void
  finish(): Promise<Blob>
  discard(): Promise<void>
}

/** Only workers have this, so TypeScript's DOM types do not. */
interface SyncFile { createSyncAccessHandle(): Promise<{ write(b: Uint8Array, o: { at: number }): number, flush(): void, close(): void }> }

/** What memory alone may hold when the browser gives no private files. */
const memoryLimit = 1e9

/** The lock that says a tab is alive; the page takes it. */
export const lockName = (tab: string) => `nibble-${tab}`

export async function openSink(tab: string): Promise<Sink> {
  const root = await privateFiles()
  return root ? fileSink(root, tab) : memorySink()
}

/** Chromium hands out no private files in some modes, and throws to say so. */
async function privateFiles(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    return await navigator.storage.getDirectory()
  } catch {
    return undefined
  }
}

async function fileSink(root: FileSystemDirectoryHandle, tab: string): Promise<Sink> {
  await removeAll(root, name => name.startsWith(lockName(tab) + '-')) // the tab's previous result
  const name = `${lockName(tab)}-${Date.now()}`
  const handle = await root.getFileHandle(name, { create: true })
  const access = await (handle as unknown as SyncFile).createSyncAccessHandle()
  let at = 0
  const put = (b: Uint8Array, at: number) => {
    try {
      return access.write(b, { at })
    } catch (err) {
      throw err instanceof DOMException && err.name === 'QuotaExceededError' ? new Error(text.errors.disk) : err
    }
  }
  return {
    write(b) {
      for (let n = 0; n < b.length;) {
        const wrote = put(b.subarray(n), at)
        if (wrote === 0) throw new Error(text.errors.disk)
        n += wrote
        at += wrote
      }
    },
    async finish() {
      access.flush()
      access.close()
      return handle.getFile()
    },
    async discard() {
      access.close()
      await root.removeEntry(name).catch(() => undefined) // the next sweep takes it
    },
  }
}

function memorySink(): Sink {
  let parts: Blob[] = []
  let size = 0
  return {
    write(b) {
      size += b.length
      if (size > memoryLimit) throw new Error(text.errors.memory)
      parts.push(new Blob([b.slice()])) // a copy: b is reused
    },
    async finish() { return new Blob(parts) },
    async discard() { parts = [] },
  }
}

/**
 * Removes what tabs that are gone left behind, and what this tab itself did: it is
 * called when the page is loaded and when a worker starts, and then there is no result.
 */
export async function sweep(tab: string) {
  const root = await privateFiles()
  if (!root || !navigator.locks) return
  const held = new Set((await navigator.locks.query()).held?.map(l => l.name))
  held.delete(lockName(tab))
  await removeAll(root, name => name.startsWith('nibble-') && !held.has(name.slice(0, name.lastIndexOf('-'))))
}

/** Removes a result that the page has let go of. */
export async function discard(result: Blob) {
  const root = await privateFiles()
  if (root && result instanceof File) await root.removeEntry(result.name).catch(() => undefined)
}

async function removeAll(root: FileSystemDirectoryHandle, which: (name: string) => boolean) {
  const names: string[] = []
  for await (const name of (root as unknown as { keys(): AsyncIterable<string> }).keys()) names.push(name)
  for (const name of names.filter(which)) {
    // A file that is being written is locked by the browser; it goes at the next sweep.
    await root.removeEntry(name).catch(() => undefined)
  }
}
