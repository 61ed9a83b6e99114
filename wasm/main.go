//go:build js && wasm

// Command wasm is the core in a Web Worker. It is a thin border: messages in and out,
// a Blob as an io.ReaderAt, a JavaScript function as an io.Writer, errors as objects.
// It decides nothing and is the only place that touches JavaScript (through safejs,
// which turns exceptions into errors).
//
// It sets globalThis.nibble (package protocol has the shape) and then waits. Every
// exported function takes one request object, starts a goroutine and returns a
// Promise: a function that blocked would stop the worker's event loop, on which its
// own reads depend. Bytes cross in large copies only. A panic in a call becomes an
// error of kind "internal"; the page then starts a new worker.
package main

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"

	"github.com/hack-pad/safejs"

	"nibble/quant"
	"nibble/quant/protocol"
)

func main() {
	// The instance has a fixed budget: collect early rather than grow, for linear
	// memory never shrinks.
	debug.SetGCPercent(50)
	roomFor(0)
	if err := export(); err != nil {
		fmt.Fprintln(os.Stderr, "nibble:", err)
		os.Exit(1)
	}
}

// memoryLimit is what an instance may take before its collector hurries, in bytes, beside that of each
// tensor of what is open.
const memoryLimit = 64 << 20

// roomFor lets Go take the memory of so many tensors, too. By a limit below what is in use its collector
// would run without pause: 20,000 tensors took three times as long.
func roomFor(tensors int) { debug.SetMemoryLimit(memoryLimit + int64(tensors)*quant.MemoryPerTensor) }

// roomForAny lets Go take what it needs while a file is opened, of which nobody knows yet what is in it:
// what a reader may hold is bounded where it reads.
func roomForAny() { debug.SetMemoryLimit(math.MaxInt64) }

// export publishes the calls and waits until stop is called.
func export() error {
	object, err := safejs.Global().Get("Object")
	if err != nil {
		return err
	}
	api, err := object.New()
	if err != nil {
		return err
	}
	if err := api.Set("protocol", protocol.Version); err != nil {
		return err
	}
	s, h := &session{}, &taskServer{}
	for name, call := range map[string]func(request) (any, error){
		"inspect": s.inspect,
		"plan":    s.plan,
		"measure": s.measure,
		"convert": s.convert,
		"report":  s.reportAs,
		"python":  s.python,
		"config":  s.config,
		"verify":  s.verify,
		"files":   h.files,
		"work":    h.work,
		"memory":  s.memory,
	} {
		f, err := safejs.FuncOf(func(_ safejs.Value, args []safejs.Value) any {
			var q request
			if len(args) > 0 {
				q.object = args[0]
			}
			return promise(call, q)
		})
		if err != nil {
			return err
		}
		defer f.Release()
		if err := api.Set(name, f.Value()); err != nil {
			return err
		}
	}
	stopped := make(chan struct{})
	stop, err := safejs.FuncOf(func(safejs.Value, []safejs.Value) any { close(stopped); return nil })
	if err != nil {
		return err
	}
	defer stop.Release()
	if err := api.Set("stop", stop.Value()); err != nil {
		return err
	}
	if err := safejs.Global().Set("nibble", api); err != nil {
		return err
	}
	<-stopped
	return nil
}
