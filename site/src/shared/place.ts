// Where the worker writes a result to. Handles go to it, so that bytes need not pass through the page; a relay sends
// them there.

/** private: one of the browser's private files, or memory; relay: whatever the caller made of a file's name. */
export type Place =
  | { kind: 'private' }
  | { kind: 'file'; handle: FileSystemFileHandle }
  | { kind: 'folder'; handle: FileSystemDirectoryHandle; name: string }
  | { kind: 'relay' }

/** Takes away what a conversion that did not end left behind. */
export async function clear(place: Place) {
  // A worker that was just ended holds its locks for a moment.
  for (let tries = 0; tries < 20; tries++) {
    try {
      if (place.kind === 'folder') await place.handle.removeEntry(place.name, { recursive: true })
      // The picker made it; one that was there before still has its content, which only closing replaces.
      if (place.kind === 'file' && (await place.handle.getFile()).size === 0) {
        await (place.handle as unknown as { remove?(): Promise<void> }).remove?.()
      }
      return
    } catch (err) {
      // it is gone, or the permission is
      if (!(err instanceof DOMException) || err.name !== 'NoModificationAllowedError') return
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}
