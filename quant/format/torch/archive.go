package torch

import (
	"bytes"
	"compress/flate"
	"errors"
	"hash/crc32"
	"io"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// Match reports whether a file begins like a zip.
func Match(head []byte, size int64) bool { return bytes.HasPrefix(head, []byte("PK\x03\x04")) }

var (
	errHeader = errors.New("there is none")
	errBeyond = errors.New("the entry reaches beyond the end of the file")
)

// archive is the zip with its entries by name. PyTorch looks names up without regard to case, and takes
// the first entry's folder for that of all; where all lie in none, it reads nothing, and Nibble does.
type archive struct {
	file     *tensor.File
	root     string            // the folder that holds all, such as "archive/"; "" when the first entry is in none
	saved    bool              // there is a data.pkl
	script   bool              // there is a constants.pkl
	entries  map[string]*Entry // by folded name
	outside  string            // an entry that is not in the root, "" when there is none
	unread   string            // a name that is no text, "" when there is none
	mismatch bool              // an entry that was read has another checksum than it should

	starts map[string]start // of storages, by the entry's folded name
}

// start is where an entry's bytes begin.
type start struct {
	at  int64
	err error
}

// open reads the directory and finds the root.
func open(f *tensor.File) (*archive, error) {
	all, err := Directory(f)
	if err != nil {
		return nil, err
	}
	a := &archive{file: f, entries: make(map[string]*Entry, len(all))}
	if len(all) > 0 {
		if folder, _, ok := strings.Cut(upToZero(all[0].Name), "/"); ok {
			a.root = folder + "/"
		}
	}
	for i := range all {
		e := &all[i]
		name := folded(e.Name)
		if other := a.entries[name]; other != nil {
			if other.Name != e.Name {
				return nil, fault.Bad(f.Name, "the zip holds %q and %q, which are one name to PyTorch", short(other.Name),
					short(e.Name)).
					Hint("save the checkpoint again")
			}
			return nil, fault.Bad(f.Name, "the zip holds two entries named %q", short(e.Name))
		}
		a.entries[name] = e
		if a.outside == "" && !strings.HasPrefix(upToZero(e.Name), a.root) {
			a.outside = e.Name
		}
		if a.unread == "" && !utf8.ValidString(upToZero(e.Name)) {
			a.unread = e.Name
		}
		a.script = a.script || upToZero(e.Name) == a.root+"constants.pkl"
	}
	if a.root != "" && a.entry("data.pkl") == nil && a.entries["data.pkl"] != nil {
		a.root = ""
	}
	if a.saved = a.entry("data.pkl") != nil; a.root == "" {
		a.outside, a.script = "", a.entries["constants.pkl"] != nil
		for name, e := range a.entries {
			if a.saved && strings.HasSuffix(name, "/data.pkl") {
				return nil, fault.Bad(f.Name, "the zip holds two pickles, data.pkl and %s", short(e.Name)).
					Hint("save the checkpoint again")
			}
		}
	}
	a.locate()
	return a, nil
}

// entry finds an entry of the root, nil when there is none.
func (a *archive) entry(name string) *Entry { return a.entries[folded(a.root+name)] }

// together is how many headers are read at once. In a browser each read is answered by
// another process, which can be asked many things before it has answered the first.
const together = 64

// locate finds where the storages begin.
func (a *archive) locate() {
	var found sync.Mutex
	var readers sync.WaitGroup
	a.starts = map[string]start{}
	next := make(chan *Entry)
	for range together {
		readers.Go(func() {
			for e := range next {
				at, err := e.Place(a.file)
				found.Lock()
				a.starts[folded(e.Name)] = start{at, err}
				found.Unlock()
			}
		})
	}
	for name, e := range a.entries {
		if inside, ok := strings.CutPrefix(name, folded(a.root)); ok && isStorage(inside) && e.Stored() {
			next <- e
		}
	}
	close(next)
	readers.Wait()
}

// isStorage knows the entries that hold tensors' values by their folder.
func isStorage(name string) bool {
	folder, _, inFolder := strings.Cut(name, "/")
	return inFolder && (folder == "data" || folder == "constants" || folder == "tensors")
}

// number is what Python's int reads, of bytes.
var number = regexp.MustCompile(`^[ \t\n\r\f\v]*[+-]?[0-9]+(_[0-9]+)*[ \t\n\r\f\v]*$`)

// records checks the small entries that PyTorch reads before the pickle: version, byteorder,
// .storage_alignment, serialization_id.
func (a *archive) records() error {
	if a.unread != "" {
		return fault.Bad(a.file.Name, "the zip holds a name that is not UTF-8 text: %q", short(a.unread)).
			Hint("save the checkpoint again")
	}
	if a.outside != "" {
		return fault.Bad(a.file.Name, "the zip holds %q beside the folder %q, which PyTorch refuses", short(a.outside),
			short(a.root)).
			Hint("take it out of the zip, or save the checkpoint again")
	}
	for _, r := range []struct {
		name  string
		sound func(text string) bool
	}{
		{".format_version", func(string) bool { return true }},
		{".storage_alignment", number.MatchString},
		{".data/serialization_id", utf8.ValidString},
	} {
		if a.entry(r.name) == nil {
			continue
		}
		text, err := a.content(r.name, 1<<10)
		if err != nil {
			return err
		}
		if !r.sound(string(text)) {
			return fault.Bad(a.file.Name, "the zip's %s is %q, which PyTorch refuses", r.name, short(string(text))).
				Hint("save the checkpoint again")
		}
	}
	if err := a.version(); err != nil {
		return err
	}
	return a.littleEndian()
}

// version checks the version of the format, which PyTorch wants to be there and from 1 to 10.
func (a *archive) version() error {
	name := "version"
	if a.entry(".data/version") != nil {
		name = ".data/version"
	}
	text, err := a.content(name, 64)
	if err != nil {
		return err
	}
	digits := strings.TrimPrefix(strings.TrimLeft(string(text), " \t\n\r\f\v"), "+")
	n, some := 0, false
	for _, c := range digits {
		if c < '0' || c > '9' || n > newest {
			break
		}
		n, some = 10*n+int(c-'0'), true
	}
	switch {
	case !some:
		return fault.Bad(a.file.Name, "the zip's version is %q, not a number", short(string(text))).
			Hint("save the checkpoint again")
	case n < 1 || n > newest:
		return fault.Not(a.file.Name, "it has version %d of PyTorch's zip format; PyTorch 2.8 reads 1 to %d", n, newest).
			Hint("save it again with an older PyTorch")
	}
	return nil
}

// newest is the newest version of the format that PyTorch 2.8 reads.
const newest = 10

func (a *archive) littleEndian() error {
	if a.entry("byteorder") == nil {
		return nil
	}
	order, err := a.content("byteorder", 16)
	if err != nil {
		return err
	}
	if string(order) != Order {
		return fault.Not(a.file.Name, "the file was written with byte order %q", order).
			Hint("save it again on a little-endian machine")
	}
	return nil
}

// content reads a small entry whole, at most limit bytes, stored or deflated.
func (a *archive) content(name string, limit int64) ([]byte, error) {
	e := a.entry(name)
	if e == nil {
		return nil, fault.Bad(a.file.Name, "%s is not in the zip", short(a.root+name))
	}
	if e.Size > limit {
		return nil, fault.Bad(a.file.Name, "%s claims %d bytes, more than %d", short(name), e.Size, limit)
	}
	if e.locked || e.method != stored && e.method != deflated {
		return nil, fault.Not(a.file.Name, "%s is encrypted, a folder or packed in an unusual way", short(name)).
			Hint("load and save the checkpoint again")
	}
	at, err := e.Place(a.file)
	if err != nil {
		return nil, fault.Bad(a.file.Name, "%s has a broken zip header (%v)", short(name), err)
	}
	var r io.Reader = io.NewSectionReader(a.file.R, at, e.Packed)
	if e.method == deflated {
		r = flate.NewReader(r)
	}
	text := make([]byte, e.Size)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, fault.Bad(a.file.Name, "%s cannot be read (%v)", short(name), err).
			Hint("the file is damaged: copy or download it again")
	}
	if n, _ := io.ReadFull(r, make([]byte, 1)); n > 0 {
		return nil, fault.Bad(a.file.Name, "%s unpacks to more than %d bytes", short(name), e.Size)
	}
	// torch can write no checksum when that is asked for, and checks none.
	a.mismatch = a.mismatch || crc32.ChecksumIEEE(text) != e.crc
	return text, nil
}

// span is where a stored entry's bytes lie.
func (a *archive) span(name string) (tensor.Storage, error) {
	e := a.entry(name)
	if e == nil {
		return tensor.Storage{}, fault.Bad(a.file.Name, "the pickle refers to %s, which is not in the zip", short(name))
	}
	if !e.Stored() {
		return tensor.Storage{}, fault.Not(a.file.Name, "%s is compressed or encrypted inside the zip, or a folder",
			short(name)).
			Hint("torch.save does not compress: load and save the checkpoint again")
	}
	known, ok := a.starts[folded(e.Name)]
	if !ok {
		known.at, known.err = e.Place(a.file)
	}
	if known.err != nil {
		return tensor.Storage{}, fault.Bad(a.file.Name, "%s has a broken zip header (%v)", short(name), known.err).
			At(e.header)
	}
	return tensor.Storage{File: a.file, Start: known.at, End: known.at + e.Size}, nil
}
