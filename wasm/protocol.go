//go:build js && wasm

package main

// Protocol is the version of the messages below. site/src/protocol.ts has the same
// number and the same shapes; the worker refuses to run when they differ, which
// happens when a browser keeps an old copy of one of the two files.
//
//	nibble.protocol                                        number
//	nibble.inspect(files: {name, blob}[])                  -> Promise<Inspection as JSON>
//	nibble.plan(config, container, highNibble: string)     -> Promise<report.json's shape, errors null>
//	nibble.convert(name, hash, write, progress)            -> Promise<report.json>
//	nibble.verify(output: {name, blob}, progress)          -> Promise<verify.Report as JSON>
//	nibble.stop()
//
// inspect opens what the other calls work on; plan decides what convert does. write
// takes a Uint8Array that is reused after it returns. A Promise is rejected with
// {kind: "format" | "unsupported" | "machine" | "internal", message}.
const Protocol = 1

// Kinds of error beside those of package fault.
const (
	kindMachine  = "machine"  // disk full, permission lost
	kindInternal = "internal" // a bug of Nibble's
)

// inspection is the answer to inspect.
type inspection struct {
	Name    string   `json:"name"`
	Bytes   int64    `json:"bytes"`
	Format  string   `json:"format"`
	Tensors int      `json:"tensors"`
	Params  int64    `json:"parameters"`
	DTypes  []string `json:"dtypes"` // most bytes first
	Notes   []string `json:"notes"`
}
