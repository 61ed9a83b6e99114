package torch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nlpodyssey/gopickle/pickle"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// reader is one file being read. What a persistent id means differs from format to
// format; tensors are rebuilt in the same way in all of them.
type reader struct {
	file       *tensor.File
	persistent func(id any) (any, error)
	storages   map[string]*storage
	dense      float64 // bytes of all views so far, were each laid out densely
	views      map[viewed]bool
	holds      map[question]bool
	spent      int // work done for what the pickle calls
	walked     int // work done in walks through modules
	sizes      int // of all shapes
	tally      tensor.Tally
}

// Bounds on running a pickle beside those of scan: on the work that what it calls does, in
// bytes looked at or held, and on time, for what no count foresees.
const (
	maxSpent = 64 << 20
	maxTime  = 4 * time.Second
)

var errWork = errors.New("it asks for more work than a state dict does")

// spend accounts for work.
func (r *reader) spend(n int) error {
	if r.spent += n; r.spent > maxSpent {
		return errWork
	}
	return nil
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

func newReader(f *tensor.File) *reader {
	return &reader{file: f, storages: map[string]*storage{}, holds: map[question]bool{}, views: map[viewed]bool{}}
}

// firstWindow is how much is read at first where a pickle's length is not known.
const firstWindow = 64 << 10

// pickleAt runs the pickle that begins at a byte of the file and ends before limit, and
// tells where it ended.
func (r *reader) pickleAt(at, limit int64) (root any, end int64, err error) {
	return r.pickleWithin(at, limit, firstWindow)
}

// pickleWithin is pickleAt for a pickle that is most likely no longer than the first window.
func (r *reader) pickleWithin(at, limit, first int64) (root any, end int64, err error) {
	most := min(limit-at, MaxPickle)
	if most <= 0 {
		return nil, 0, fault.Bad(r.file.Name, "the file ends where a pickle belongs").At(at).Hint("the file is damaged: copy or download it again")
	}
	for size := min(first, most); ; size = min(4*size, most) {
		text := make([]byte, size)
		if _, err := io.ReadFull(io.NewSectionReader(r.file.R, at, size), text); err != nil {
			return nil, 0, err
		}
		n, err := scan(r.file.Name, text, at)
		var short *shortError
		if errors.As(err, &short) && size < most {
			continue
		}
		if err != nil {
			return nil, 0, plain(err)
		}
		root, err := r.run(text[:n], at)
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

// scanned runs a pickle that is whole in memory.
func (r *reader) scanned(text []byte, base int64) (root any, err error) {
	n, err := scan(r.file.Name, text, base)
	if err != nil {
		return nil, plain(err)
	}
	return r.run(text[:n], base)
}

// run executes a pickle that was scanned. gopickle panics on some broken input, which is
// the input's fault.
func (r *reader) run(text []byte, base int64) (root any, err error) {
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, r.broken(fmt.Sprint(p), base)
		}
	}()
	u := pickle.NewUnpickler(&timed{Reader: bytes.NewReader(text), until: time.Now().Add(maxTime)})
	u.FindClass = r.find
	u.PersistentLoad = r.persistent
	if u.PersistentLoad == nil {
		u.PersistentLoad = func(any) (any, error) { return nil, fmt.Errorf("a persistent id where none belongs") }
	}
	root, err = u.Load()
	var known *fault.Error
	if err != nil && !errors.As(err, &known) {
		return nil, r.broken(err.Error(), base)
	}
	return root, err
}

func (r *reader) broken(why string, base int64) error {
	if strings.HasPrefix(why, "runtime error: hash of unhashable") {
		why = "a dict has a key that cannot be one"
	}
	why, _, _ = strings.Cut(why, "\n")
	why, _, _ = strings.Cut(why, ": &") // a value as Go prints it
	if len(why) > 200 {
		why = why[:200]
	}
	return fault.Bad(r.file.Name, "the pickle is broken (%s)", strings.ToValidUTF8(why, "?")).At(base).
		Hint("the file is damaged: copy or download it again")
}
