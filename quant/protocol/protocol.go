// Package protocol is what the page and the core say to each other, as Go types. TypeScript has the same ones:
// ./build.sh check makes site/src/shared/protocol.ts of them again and fails when that changes the file, so that there
// is one definition. Package main of wasm serves the calls.
//
// A call takes one request object and returns a Promise of its answer as JSON. The object's member data is the request
// below as JSON; beside it stand, for some calls, live objects of JavaScript:
//
//	nibble.protocol                                     Version
//	inspect {data: InspectRequest, files: File[]}        Inspection: opens what the other calls work on
//	plan    {data: PlanRequest}                          report.json, errors null: decides what convert does
//	measure {data: MeasureRequest}                       {name: figures}: what the plan costs a few tensors; it ends when
//	                                                     another call comes
//	convert {data: ConvertRequest, sink, progress, workers} report.json: streams the output into the sink's files
//	report  {data: ReportRequest}                        text: the last conversion's report in another form
//	python  {data: PythonRequest}                        text: what to do with its output
//	config  {}                                           Exported: the plan's recipe
//	verify  {files: File[], progress}                    verify.Report: holds a result's files against the source
//	files   {files: File[]}                              null: the files that the tasks of work name
//	work    {data: tasks, out}                           results: does tasks for the instance that leads
//	memory  {}                                           Memory, which tests count
//	stop()
//
// Bytes cross as places in this instance's memory: at, n. A File is {name, size, read(from, at, n), pass(from, to,
// out), ahead(from, to), forget(from, to)}: read copies n bytes of the file; pass gives them to work's out. Both may
// return a Promise. ahead says what is read next, and forget that it was. The files of a sink come one after the
// other: create(name, bytes), write(at, n) any number of times, close(). Each may return a Promise, which is waited
// for; the bytes are gone after that. progress(done, total) counts bytes of source.
//
// workers are other web workers with an instance each, in which files and work are called: do(tasks as JSON) ->
// Promise<results as JSON>, then take(at, n), which copies what work put out: put(at, n) any number of times. Both
// sides name files by their index. With no workers the instance does the work itself.
//
// A Promise is rejected with a Failure.
//
// Only package quant is stable.
package protocol

//go:generate go run nibble/quant/testkit/typescript ../../site/src/shared/protocol.ts

import (
	"nibble/quant/fault"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/tensor"
)

// Version is that of the messages. The page has the same number, and refuses to run when they differ, which happens
// when a browser keeps an old copy of one of the two files.
const Version = 9

// InspectRequest is what inspect is asked for.
type InspectRequest struct {
	Parts  []string `json:"parts"`  // of a file that holds several models; empty for the one that is meant
	Folder bool     `json:"folder"` // the files are all of a folder
}

// Inspection is the answer to inspect.
type Inspection struct {
	Name    string        `json:"name"`
	Bytes   int64         `json:"bytes"`
	Format  string        `json:"format"`
	Shards  int           `json:"shards"` // files that hold weights
	Folder  bool          `json:"folder"` // the output is to be a folder
	Beside  int           `json:"beside"` // small files to be copied into it
	Tensors int           `json:"tensors"`
	Params  int64         `json:"parameters"`
	DTypes  []string      `json:"dtypes"` // most bytes first
	Notes   []string      `json:"notes"`
	Parts   []tensor.Part `json:"parts"`   // of a file that holds several models; else empty
	Missing []string      `json:"missing"` // shards that are not there
	Choices Choices       `json:"choices"` // what there is to choose for it
}

// PlanRequest is what plan is asked for. What is "" has its default.
type PlanRequest struct {
	Config     string             `json:"config"` // a whole config, JSON or YAML; it takes the place of global
	Global     coremltools.Global `json:"global"`
	Edits      []Edit             `json:"edits"` // win over the config
	Types      []SetType          `json:"types"`
	Options    recipe.Options     `json:"options"`
	Runtime    RuntimeName        `json:"for"`
	Container  ContainerName      `json:"container"`
	HighNibble *HighNibble        `json:"high_nibble"` // null for containers that take none
}

// Edit is what a user set for one module; no entry keeps it.
type Edit struct {
	Module string              `json:"module"`
	Entry  *coremltools.Global `json:"entry"`
}

// SetType is the class of one module, where the user knows better.
type SetType struct {
	Module string `json:"module"`
	Class  string `json:"class"`
}

// MeasureRequest is what measure is asked for.
type MeasureRequest struct {
	Names []string `json:"names"`
}

// ConvertRequest is what convert is asked for.
type ConvertRequest struct {
	Name  string `json:"name"`
	Hash  bool   `json:"hash"`
	Zip   bool   `json:"zip"`   // one file of an output that is a folder
	Batch int64  `json:"batch"` // bytes of source that a worker is given at a time
}

// ReportRequest is what report is asked for: csv or html.
type ReportRequest struct {
	Form string `json:"form"`
}

// PythonRequest is what python is asked for.
type PythonRequest struct {
	Name string `json:"name"` // of the output
}

// Exported is the answer to config.
type Exported struct {
	JSON  string   `json:"json"`
	YAML  string   `json:"yaml"`
	Notes []string `json:"notes"` // what no config can say
}

// Memory is the answer to memory.
type Memory struct {
	Tensors     int    `json:"tensors"`     // of what is open
	Collections int64  `json:"collections"` // by Go's collector, since the instance started
	Heap        uint64 `json:"heap"`        // bytes in use
}

// Failure is what a Promise is rejected with.
type Failure struct {
	Kind    fault.Kind `json:"kind"`
	Code    fault.Code `json:"code"` // mostly ""
	Args    []any      `json:"args"` // of the code
	File    string     `json:"file"`
	Tensor  string     `json:"tensor"`
	Message string     `json:"message"` // in English
}

// Kinds of failure beside those of package fault.
const (
	Machine   fault.Kind = "machine"   // disk full, permission lost
	Internal  fault.Kind = "internal"  // a bug of Nibble's
	Cancelled fault.Kind = "cancelled" // by its caller, or by another call
)
