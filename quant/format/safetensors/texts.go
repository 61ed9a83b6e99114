package safetensors

import (
	"io"
	"unicode/utf8"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// texts passes JSON on, read by read, and refuses what its reader would have to hold
// whole or replace: strings without end, and bytes that are no UTF-8.
type texts struct {
	file    *tensor.File
	what    string // for errors: header or index
	r       io.Reader
	at      int64  // of the next byte, in the file
	rest    []byte // the beginning of a rune that a read cut
	quoted  bool   // inside a string
	escaped bool   // after a backslash in it
	length  int    // of the string so far
}

// Texts passes on the JSON of a file that is no header, such as an index.
func Texts(f *tensor.File, what string) io.Reader {
	return &texts{file: f, what: what, r: io.NewSectionReader(f.R, 0, f.Size)}
}

// Read implements io.Reader.
func (t *texts) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if bad := t.check(p[:n]); bad != nil {
		return 0, bad
	}
	if err == io.EOF && len(t.rest) > 0 {
		return n, t.notText(t.at - int64(len(t.rest)))
	}
	return n, err
}

func (t *texts) notText(at int64) error {
	return fault.Bad(t.file.Name, "the %s is not UTF-8 text", t.what).At(at)
}

func (t *texts) check(p []byte) error {
	start := t.at - int64(len(t.rest))
	whole := append(t.rest, p...)
	for i := 0; i < len(whole); {
		if whole[i] < utf8.RuneSelf {
			i++
			continue
		}
		if !utf8.FullRune(whole[i:]) {
			break
		}
		r, size := utf8.DecodeRune(whole[i:])
		if r == utf8.RuneError && size == 1 {
			return t.notText(start + int64(i))
		}
		i += size
	}
	t.rest = append([]byte(nil), whole[len(whole)-partial(whole):]...)
	for _, c := range p {
		t.at++
		switch {
		case !t.quoted:
			t.quoted, t.length = c == '"', 0
		case t.escaped:
			t.escaped = false
		case c == '\\':
			t.escaped = true
		case c == '"':
			t.quoted = false
		}
		if t.length++; t.quoted && t.length > maxString {
			return fault.Not(t.file.Name, "the %s holds a text longer than %d bytes", t.what, maxString).At(t.at)
		}
	}
	return nil
}

// partial is how many bytes at the end begin a rune that goes on.
func partial(b []byte) int {
	for n := 1; n <= 3 && n <= len(b); n++ {
		if c := b[len(b)-n]; c >= utf8.RuneSelf && utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}
