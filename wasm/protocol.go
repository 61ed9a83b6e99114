//go:build js && wasm

package main

import (
	"encoding/json"

	"nibble/quant/tensor"
)

// Protocol is the version of the messages below. site/src/protocol.ts has the same
// number and the same shapes; the worker refuses to run when they differ, which
// happens when a browser keeps an old copy of one of the two files.
//
//	nibble.protocol                                        number
//	nibble.inspect(files: File[], parts as JSON)           -> Promise<Inspection as JSON>
//	nibble.plan(request as JSON)                           -> Promise<report.json's shape, errors null>
//	nibble.measure(names as JSON)                          -> Promise<{name: figures} as JSON>
//	nibble.convert(name, hash, zip, sink, progress, hands, batch) -> Promise<report.json>
//	nibble.report(form: "csv" | "html")                    -> Promise<text as JSON>
//	nibble.python(name)                                    -> Promise<text as JSON>
//	nibble.config()                                        -> Promise<Config as JSON>
//	nibble.verify(output: File[], progress)                -> Promise<verify.Report as JSON>
//	nibble.files(files: File[])                            -> Promise<null>
//	nibble.work(tasks as JSON, out)                        -> Promise<results as JSON>
//	nibble.memory()                                        -> Promise<memory as JSON>, which tests count
//	nibble.stop()
//
// Bytes cross as places in this instance's memory: at, n. A File is {name, size, read(from,
// at, n), pass(from, to, out), ahead(from, to), forget(from, to)}: read copies n bytes of the
// file; pass gives them to work's out. Both may return a Promise. ahead tells what is read
// next, and forget that it was.
//
// inspect opens what the other calls work on, of a file that holds several models the named parts; plan decides what convert does; measure
// tells what the plan costs a few tensors and ends when another call comes; report and
// python speak of the last conversion; config is the plan's recipe, for export. convert
// fills the files of a sink, one after the other: create(name, bytes), write(at, n) any
// number of times, close(). Each may return a Promise, which is waited for; the bytes are
// gone after that. zip makes one file of a sharded output.
//
// Hands are other workers with an instance each, in which files and work are called: do(tasks
// as JSON) -> Promise<results as JSON>, then take(at, n), which copies what work put out:
// put(at, n) any number of times. Both sides speak of files by their index. With no hands the
// instance does the work itself. batch is how many bytes of source one is given at a time.
//
// A Promise is rejected with {kind: "format" | "unsupported" | "machine" | "internal", code, message}; code is mostly "".
const Protocol = 6

// Kinds of error beside those of package fault.
const (
	kindMachine  = "machine"  // disk full, permission lost
	kindInternal = "internal" // a bug of Nibble's
)

// memory is the answer to memory.
type memory struct {
	Tensors     int    `json:"tensors"`     // of what is open
	Collections int64  `json:"collections"` // by Go's collector, since the instance started
	Heap        uint64 `json:"heap"`        // bytes in use
}

// inspection is the answer to inspect.
type inspection struct {
	Name    string   `json:"name"`
	Bytes   int64    `json:"bytes"`
	Format  string   `json:"format"`
	Shards  int      `json:"shards"` // 0 when the model is one file
	Beside  int      `json:"beside"` // small files to be copied with the shards
	Tensors int      `json:"tensors"`
	Params  int64    `json:"parameters"`
	DTypes  []string `json:"dtypes"` // most bytes first
	Notes   []string `json:"notes"`

	Parts   []tensor.Part `json:"parts"`   // of a file that holds several models; else empty
	Missing []string      `json:"missing"` // shards that are not there
}

// request is what plan is asked for.
type request struct {
	Config string `json:"config"` // JSON or YAML
	Edits  []struct {
		Module string          `json:"module"`
		Config json.RawMessage `json:"config"`
	} `json:"edits"` // win over the config
	Types []struct {
		Module string `json:"module"`
		Class  string `json:"class"`
	} `json:"types"`
	Embeddings       bool   `json:"embeddings"`
	CoremltoolsSkips bool   `json:"coremltoolsSkips"`
	KeepUnfit        bool   `json:"keepUnfit"`
	Container        string `json:"container"`
	HighNibble       string `json:"highNibble"`
}

// exported is the answer to config.
type exported struct {
	JSON  string   `json:"json"`
	YAML  string   `json:"yaml"`
	Notes []string `json:"notes"` // what no config can say
}
