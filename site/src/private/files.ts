// The browser's private files, in which a result lies until it is downloaded. They are named nibble-TAB-TIME. An engine
// holds the Web Lock nibble-TAB while it lives, so whatever has no lock was left by one that is gone, and is removed.
// Files of other names are the site's own.

import { namesIn, type Place } from '../shared/place'

/** The lock that says an engine is alive. */
export const lockName = (tab: string) => `nibble-${tab}`

/** A new name for a private file of an engine. */
export const resultName = (tab: string) => `${lockName(tab)}-${Date.now()}`

/** The lock that goes with a name which resultName made; undefined for the names of others. */
const lockOf = (name: string) => /^(nibble-[0-9a-z]+)-\d{13}$/.exec(name)?.[1]

/** Chromium hands out no private files in some modes, and throws to say so. */
export async function privateFiles(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    return await navigator.storage.getDirectory()
  } catch {
    return undefined
  }
}

/** Removes what engines that are gone left behind. */
export async function sweep(tab: string) {
  const root = await privateFiles()
  if (!root || !navigator.locks) return
  const held = new Set((await navigator.locks.query()).held?.map(l => l.name))
  held.add(lockName(tab)) // which may not have been granted yet
  await removeAll(root, name => {
    const lock = lockOf(name)
    return lock !== undefined && !held.has(lock)
  })
}

/** Removes a result that is not wanted any more. Results in the user's own places have other names. */
export async function discard(result: Blob) {
  const root = await privateFiles()
  if (root && result instanceof File && lockOf(result.name)) await remove(root, result.name)
}

export async function removeAll(root: FileSystemDirectoryHandle, which: (name: string) => boolean) {
  for (const name of (await namesIn(root)).filter(which)) await remove(root, name)
}

/** Takes away what a conversion that did not end left behind, as far as the library made it. */
export async function clear(place: Place) {
  switch (place.kind) {
    case 'private': {
      const root = await privateFiles()
      if (root) await remove(root, place.name)
      return
    }
    case 'folder':
      if (place.parent) await remove(place.parent, place.name)
      else await removeAll(place.handle, () => true)
      return
    case 'file':
      if (place.parent) await remove(place.parent, place.handle.name)
      else await removeEmpty(place.handle)
  }
}

/** A picker makes an empty file, which is taken away; one that has content still has it: only closing replaces that. */
async function removeEmpty(handle: FileSystemFileHandle & { remove?(): Promise<void> }) {
  await patiently(async () => {
    if ((await handle.getFile()).size === 0) await handle.remove?.()
  })
}

const remove = (folder: FileSystemDirectoryHandle, name: string) =>
  patiently(() => folder.removeEntry(name, { recursive: true }))

/** A worker that was just ended holds its file for a moment; what is held longer goes at the next sweep. */
async function patiently(take: () => Promise<void>) {
  for (let tries = 0; tries < 30; tries++) {
    try {
      await take()
      return
    } catch (err) {
      // It is gone, or the permission is.
      if (!(err instanceof DOMException) || err.name !== 'NoModificationAllowedError') return
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}
