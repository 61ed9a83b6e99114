// The browser's private files, in which a result lies until it is downloaded. They are named nibble-TAB-NUMBER. A tab
// holds the Web Lock nibble-TAB while it lives, so whatever has no lock was left by a tab that is gone, and is
// removed.

/** The lock that says a tab is alive; the page takes it. */
export const lockName = (tab: string) => `nibble-${tab}`

/** Chromium hands out no private files in some modes, and throws to say so. */
export async function privateFiles(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    return await navigator.storage.getDirectory()
  } catch {
    return undefined
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

/** Removes a result that the page has let go of. Results in the user's own places have other names. */
export async function discard(result: Blob) {
  const root = await privateFiles()
  if (root && result instanceof File && result.name.startsWith('nibble-'))
    await root.removeEntry(result.name).catch(() => undefined)
}

export async function removeAll(root: FileSystemDirectoryHandle, which: (name: string) => boolean) {
  const names: string[] = []
  for await (const name of (root as unknown as { keys(): AsyncIterable<string> }).keys()) names.push(name)
  for (const name of names.filter(which)) await remove(root, name)
}

/** A worker that was just ended holds its file for a moment; what is held longer goes at the next sweep. */
async function remove(root: FileSystemDirectoryHandle, name: string) {
  for (let tries = 0; tries < 30; tries++) {
    try {
      await root.removeEntry(name)
      return
    } catch (err) {
      if (!(err instanceof DOMException) || err.name !== 'NoModificationAllowedError') return
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}
