// Package pickle runs Python pickles of unknown origin within bounds: protocols 2 to 5, as CPython's pickletools names
// their instructions. It knows no library: what a pickle may name and call is the allow-list of whoever gives
// FindClass.
//
// A pickle is scanned before it runs (scan.go): every length, mark, memo entry and frame is checked, and what running
// it would hold is added up. Then gopickle runs it, with a bound on time and on the work that what it calls asks for.
// What gopickle reads otherwise than Python does is refused (scan_text.go).
//
// Only package quant is stable.
package pickle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nlpodyssey/gopickle/pickle"

	"nibble/quant/fault"
)

// Machine runs the pickles of one file.
type Machine struct {
	File       string                                 // for errors
	R          io.ReaderAt                            // of the file
	FindClass  func(module, name string) (any, error) // the allow-list
	Persistent func(id any) (any, error)              // what a persistent id stands for; nil where none belongs
	Remedy     string                                 // what to do about a pickle that does what no such file needs
	spent      int                                    // work done for what pickles call
}

// Bounds on running a pickle beside those of the scan: on the work that what it calls does, in
// bytes looked at or held, and on time, for what no count foresees.
const (
	maxSpent = 64 << 20
	maxTime  = 4 * time.Second
)

var errWork = errors.New("it asks for more work than a state dict does")

// Spend accounts for work that is done for a pickle.
func (m *Machine) Spend(n int) error {
	if m.spent += n; m.spent > maxSpent {
		return errWork
	}
	return nil
}

// firstWindow is how much is read at first where a pickle's length is not known.
const firstWindow = 64 << 10

// RunAt runs the pickle that begins at a byte of the file and ends before limit, and
// says where it ended.
func (m *Machine) RunAt(at, limit int64) (root any, end int64, err error) {
	return m.RunWithin(at, limit, firstWindow)
}

// RunWithin is RunAt for a pickle that is most likely no longer than the first window.
func (m *Machine) RunWithin(at, limit, first int64) (root any, end int64, err error) {
	most := min(limit-at, MaxBytes)
	if most <= 0 {
		return nil, 0, fault.Bad(m.File, "the file ends where a pickle belongs").At(at).
			Hint("the file is damaged: copy or download it again")
	}
	for size := min(first, most); ; size = min(4*size, most) {
		text := make([]byte, size)
		if _, err := io.ReadFull(io.NewSectionReader(m.R, at, size), text); err != nil {
			return nil, 0, err
		}
		n, err := m.scan(text, at)
		var short *shortError
		if errors.As(err, &short) && size < most {
			continue
		}
		if err != nil {
			return nil, 0, plain(err)
		}
		root, err := m.run(text[:n], at)
		return root, at + int64(n), err
	}
}

// plain is an error without what only scan's callers need to know.
func plain(err error) error {
	var short *shortError
	if errors.As(err, &short) {
		return short.fault
	}
	return err
}

// Run runs a pickle that is whole in memory, and changes it; base is its offset in the file.
func (m *Machine) Run(text []byte, base int64) (root any, err error) {
	n, err := m.scan(text, base)
	if err != nil {
		return nil, plain(err)
	}
	return m.run(text[:n], base)
}

// Runnable reports whether a pickle is within the bounds that a Machine runs it in.
func Runnable(text []byte) bool {
	if len(text) > MaxBytes {
		return false
	}
	_, err := (&Machine{}).scan(bytes.Clone(text), 0)
	return err == nil
}

// run executes a pickle that was scanned. gopickle panics on some broken input, which is
// the input's fault.
func (m *Machine) run(text []byte, base int64) (root any, err error) {
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, m.broken(fmt.Sprint(p), base)
		}
	}()
	u := pickle.NewUnpickler(&timed{Reader: bytes.NewReader(text), until: time.Now().Add(maxTime)})
	u.FindClass = m.find
	u.PersistentLoad = m.Persistent
	if u.PersistentLoad == nil {
		u.PersistentLoad = func(any) (any, error) { return nil, fmt.Errorf("a persistent id where none belongs") }
	}
	root, err = u.Load()
	var known *fault.Error
	if err != nil && !errors.As(err, &known) {
		return nil, m.broken(err.Error(), base)
	}
	return root, err
}

// find asks the allow-list, by the name that the pickle has.
func (m *Machine) find(module, name string) (any, error) {
	if err := m.Spend(1 + len(module) + len(name)); err != nil {
		return nil, err
	}
	if own, ok := theirs[module]; ok {
		module = own
	}
	return m.FindClass(module, name)
}

// timed ends a pickle that takes too long. The unpickler reads each instruction from it.
type timed struct {
	*bytes.Reader
	count int
	until time.Time
}

func (t *timed) ReadByte() (byte, error) {
	if t.count++; t.count%64 == 0 && time.Now().After(t.until) {
		return 0, errWork
	}
	return t.Reader.ReadByte()
}

func (m *Machine) broken(why string, base int64) error {
	if strings.HasPrefix(why, "runtime error: hash of unhashable") {
		why = "a dict has a key that cannot be one"
	}
	why, _, _ = strings.Cut(why, "\n")
	why, _, _ = strings.Cut(why, ": &") // a value as Go prints it
	if len(why) > 200 {
		why = why[:200]
	}
	return fault.Bad(m.File, "the pickle is broken (%s)", strings.ToValidUTF8(why, "?")).At(base).
		Hint("the file is damaged: copy or download it again")
}
