// Package fault holds the two kinds of error that a file can cause.
//
// Format: the bytes are wrong (truncated, lying, broken). Unsupported: the bytes
// are fine, Nibble does not do that. Each names the file, the tensor where there
// is one, the byte offset where it is known, what was found, and what to do next.
// The page and the command print the same text. Every stage that reads input
// makes them; errors of the machine (disk full, file not found) stay plain errors.
//
// Only package quant is stable.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says whose problem it is.
type Kind string

const (
	Format      Kind = "format"      // the bytes are wrong
	Unsupported Kind = "unsupported" // the bytes are fine, not ours
)

// Error is one fault of an input file.
type Error struct {
	Kind   Kind
	File   string // name as the user gave it; may be empty
	Tensor string // may be empty
	Offset int64  // byte in File, valid when HasOffset
	What   string // what was found, lower case, no full stop
	Do     string // what to do next; may be empty
	Name   Code   // of an error that programs act on; mostly empty
	Args   []any  // of the code: texts, or what marshals to a list of a reason's code and arguments
	Line   int    // of a text, from 1 on, valid when HasLine; then it is the place, and not the offset

	HasOffset, HasLine bool
}

// Error reads: FILE: tensor "T": at byte N (or line N): WHAT; DO
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		fmt.Fprintf(&b, "%s: ", e.File)
	}
	if e.Tensor != "" {
		fmt.Fprintf(&b, "tensor %q: ", short(e.Tensor))
	}
	if e.HasLine {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	} else if e.HasOffset {
		fmt.Fprintf(&b, "at byte %d: ", e.Offset)
	}
	b.WriteString(short(e.What))
	if e.Do != "" {
		b.WriteString("; ")
		b.WriteString(e.Do)
	}
	return b.String()
}

// short bounds what a hostile file can make us print.
func short(s string) string {
	const most = 400
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// Bad makes a format error of a file.
func Bad(file, what string, args ...any) *Error {
	return &Error{Kind: Format, File: file, What: fmt.Sprintf(what, args...)}
}

// Not makes an unsupported error of a file.
func Not(file, what string, args ...any) *Error {
	return &Error{Kind: Unsupported, File: file, What: fmt.Sprintf(what, args...)}
}

// In names the tensor.
func (e *Error) In(tensor string) *Error { e.Tensor = tensor; return e }

// At names the byte offset in the file.
func (e *Error) At(offset int64) *Error { e.Offset, e.HasOffset = offset, true; return e }

// Hint says what to do next.
func (e *Error) Hint(do string, args ...any) *Error { e.Do = fmt.Sprintf(do, args...); return e }

// Code names the error for programs.
func (e *Error) Code(name Code, args ...any) *Error { e.Name, e.Args = name, args; return e }

// CodeOf is the code of the first fault in err's chain, or "".
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Name
	}
	return ""
}

// ArgsOf are the arguments of that code.
func ArgsOf(err error) []any {
	var e *Error
	if errors.As(err, &e) {
		return append([]any{}, e.Args...)
	}
	return []any{}
}

// KindOf is the kind of the first fault in err's chain, or "" when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}
