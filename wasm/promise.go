//go:build js && wasm

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/hack-pad/safejs"

	"nibble/quant/fault"
	"nibble/quant/protocol"
)

// promise runs a call in a goroutine and returns a Promise of its answer as JSON.
func promise(call func(request) (any, error), q request) any {
	p, err := newPromise(func(resolve, reject safejs.Value) {
		text, err := guarded(call, q)
		if err != nil {
			reject.Invoke(failure(err))
			return
		}
		resolve.Invoke(text)
	})
	if err != nil {
		return nil // the realm is gone; nobody is left to hear of it
	}
	return p
}

// newPromise starts work in a goroutine of its own.
func newPromise(work func(resolve, reject safejs.Value)) (safejs.Value, error) {
	class, err := safejs.Global().Get("Promise")
	if err != nil {
		return safejs.Value{}, err
	}
	executor, err := safejs.FuncOf(func(_ safejs.Value, args []safejs.Value) any {
		go work(args[0], args[1])
		return nil
	})
	if err != nil {
		return safejs.Value{}, err
	}
	defer executor.Release() // the executor runs before New returns
	return class.New(executor.Value())
}

// internal is a panic that was caught.
type internal struct{ what string }

func (e internal) Error() string { return e.what }

// guarded turns a panic into an error, so that the page can say it and go on.
func guarded(call func(request) (any, error), q request) (text string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = internal{fmt.Sprintf("%v\n%s", p, debug.Stack())}
		}
	}()
	answer, err := call(q)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(answer)
	return string(b), err
}

// failure is the object that a Promise is rejected with: a protocol.Failure.
func failure(err error) map[string]any {
	f := protocol.FailureOf(err)
	var bug internal
	var other *remoteError
	switch {
	case errors.As(err, &other):
		f.Kind = other.kind
	case errors.As(err, &bug):
		f.Kind = protocol.Internal
	}
	out := map[string]any{}
	if text, err := json.Marshal(f); err == nil {
		_ = json.Unmarshal(text, &out) // what JavaScript knows: texts and lists
	}
	return out
}

// await waits for a JavaScript promise. Only a goroutine may call it, never a FuncOf
// body, which would stop the event loop.
func await(p safejs.Value) (safejs.Value, error) {
	type outcome struct {
		value safejs.Value
		err   error
	}
	done := make(chan outcome, 1)
	resolved, err := safejs.FuncOf(func(_ safejs.Value, args []safejs.Value) any {
		done <- outcome{value: args[0]}
		return nil
	})
	if err != nil {
		return safejs.Value{}, err
	}
	defer resolved.Release()
	rejected, err := safejs.FuncOf(func(_ safejs.Value, args []safejs.Value) any {
		done <- outcome{err: thrown(args[0])}
		return nil
	})
	if err != nil {
		return safejs.Value{}, err
	}
	defer rejected.Release()
	if _, err := p.Call("then", resolved.Value(), rejected.Value()); err != nil {
		return safejs.Value{}, err
	}
	o := <-done
	return o.value, o.err
}

// thrown reads what a promise was rejected with, usually a DOMException, or an error of
// another instance.
func thrown(v safejs.Value) error {
	if k, err := v.Get("kind"); err == nil && k.Type() == safejs.TypeString {
		kind, _ := k.String()
		if m, err := v.Get("message"); err == nil {
			message, _ := m.String()
			return &remoteError{fault.Kind(kind), message}
		}
	}
	if m, err := v.Get("message"); err == nil {
		if text, err := m.String(); err == nil {
			return errors.New(text)
		}
	}
	return errors.New("the browser refused without a reason")
}
