// Where the worker writes a result to. Handles go to it, so that bytes need not pass through the page; a relay sends
// them there.

/**
 * private: the private file of this name, or memory; relay: whatever the caller makes of a file's name. Where the
 * library made a file or a folder in a parent, it may take it away again.
 */
export type Place =
  | { kind: 'private'; name: string }
  | { kind: 'file'; handle: FileSystemFileHandle; parent?: FileSystemDirectoryHandle }
  | { kind: 'folder'; handle: FileSystemDirectoryHandle; name: string; parent?: FileSystemDirectoryHandle }
  | { kind: 'relay' }

/** The names in a folder. TypeScript's DOM types do not have keys yet. */
export async function namesIn(folder: FileSystemDirectoryHandle): Promise<string[]> {
  const names: string[] = []
  for await (const name of (folder as unknown as { keys(): AsyncIterable<string> }).keys()) names.push(name)
  return names
}
