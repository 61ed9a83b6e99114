// Where a result goes: into a file or a folder that the user chose, where the browser can do that and it is worth
// asking, else into the browser's private files and from there to the downloads.

/** private: to be downloaded. Handles go to the worker, which writes to them. */
export type Target =
  | { kind: 'private' }
  | { kind: 'file'; handle: FileSystemFileHandle }
  | { kind: 'folder'; handle: FileSystemDirectoryHandle; name: string }

/** Takes away what a conversion that did not end left behind. */
export async function clear(target: Target) {
  // A worker that was just ended holds its locks for a moment.
  for (let tries = 0; tries < 20; tries++) {
    try {
      if (target.kind === 'folder') await target.handle.removeEntry(target.name, { recursive: true })
      // The picker made it; one that was there before still has its content, which only closing replaces.
      if (target.kind === 'file' && (await target.handle.getFile()).size === 0) {
        await (target.handle as unknown as { remove?(): Promise<void> }).remove?.()
      }
      return
    } catch (err) {
      // it is gone, or the permission is
      if (!(err instanceof DOMException) || err.name !== 'NoModificationAllowedError') return
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}
