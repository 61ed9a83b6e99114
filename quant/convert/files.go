package convert

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"nibble/quant/layout"
)

// Create begins a file of the output, of so many bytes. The file before it was closed. The name is "" where the
// output is one file, whose name is the user's.
type Create func(name string, bytes int64) (io.WriteCloser, error)

// Written is a file that was written whole.
type Written struct {
	Name, Format string
	Bytes        int64
	SHA256       *string // nil unless asked for
}

// files are the files of an output, of which one is under way at a time.
type files struct {
	create  Create
	hash    bool
	written []Written

	// What follows is of the file under way.
	file   *layout.File
	target io.WriteCloser
	count  *Counter
	frame  layout.Writer // nil where pieces simply lie one after the other
}

// begin creates a file.
func (x *files) begin(f *layout.File) (err error) {
	if x.target, err = x.create(f.Name, f.Bytes); err != nil {
		return err
	}
	x.file, x.count = f, &Counter{W: x.target}
	if x.hash {
		x.count.Sum = sha256.New()
	}
	if f.Frame != nil {
		x.frame, err = f.Frame(x.count)
	}
	return err
}

// piece begins a piece of the file.
func (x *files) piece(p *layout.Piece) (io.Writer, error) {
	if x.frame == nil {
		return x.count, nil
	}
	return x.frame.Next(p)
}

// end closes the file, and holds its size against the layout.
func (x *files) end() error {
	if x.frame != nil {
		if err := x.frame.Close(); err != nil {
			return err
		}
	}
	below := x.target
	x.target, x.frame = nil, nil
	if err := below.Close(); err != nil {
		return err
	}
	if f := x.file; x.count.N != f.Bytes {
		return fmt.Errorf("internal error: %d bytes of %s were laid out and %d written; please report it", f.Bytes, f.Name,
			x.count.N)
	}
	x.written = append(x.written, Written{x.file.Name, x.file.Format, x.file.Bytes, x.count.Digest()})
	return nil
}

// Abandoner is a file that can be given up. One that is put in its place when it is closed must be an Abandoner: what
// will not be whole is abandoned, never closed.
type Abandoner interface{ Abandon() }

// abandon gives up the file under way.
func (x *files) abandon() {
	if a, ok := x.target.(Abandoner); ok {
		a.Abandon()
	} else if x.target != nil {
		x.target.Close()
	}
}

// Counter counts the bytes that pass and, when it has a Sum, hashes them.
type Counter struct {
	W   io.Writer
	N   int64
	Sum hash.Hash
}

// Write implements io.Writer.
func (c *Counter) Write(b []byte) (int, error) {
	n, err := c.W.Write(b)
	c.N += int64(n)
	if c.Sum != nil {
		c.Sum.Write(b[:n])
	}
	return n, err
}

// Digest is the hash so far in hexadecimal; nil when there is none.
func (c *Counter) Digest() *string {
	if c.Sum == nil {
		return nil
	}
	s := hex.EncodeToString(c.Sum.Sum(nil))
	return &s
}
