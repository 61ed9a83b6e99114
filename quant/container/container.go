// Package container is the front door out: it lays out every byte of the new file
// from the plan, then the executor fills the layout in one forward pass.
//
// A layout is a list of runs, in file order. A run is consecutive pieces made from
// one tensor; its first piece is streamed tile by tile while the small ones that
// follow (scales, zero points) are held until their turn. A piece says what fills
// it; nothing is decided here and no weights are read.
//
// A new container is one row of the table below and a file with its layout.
package container

import (
	"io"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/plan"
	"nibble/quant/tensor"
)

// Content is what fills a piece.
type Content uint8

const (
	Kept            Content = iota // the tensor's own values
	Dequantized                    // scale * (code - zero point), in the weight's dtype
	Codes                          // one code a byte
	NibbleCodes                    // one 4-bit code a byte, high 4 bits zero
	Packed                         // codes packed low first per row, unsigned, rows padded to 4 bytes
	Scale                          // one per block, in the grid's order
	ZeroPoint                      // one byte per block
	RowScale                       // scales repeated so that each row of axis 0 has its own
	PackedZeroPoint                // zero points per row, packed along axis 0 into int32
	Literal                        // bytes known from the plan
)

// Weights reports whether a piece carries the weights themselves.
func (c Content) Weights() bool { return c <= Packed }

// Piece is one tensor of the output.
type Piece struct {
	Name    string
	DType   tensor.DType
	Shape   []int64
	Content Content
	Literal []byte // for Literal
}

// Bytes is the piece's size in the file.
func (p *Piece) Bytes() int64 {
	n, _ := tensor.Elements(p.Shape)
	return n * p.DType.Size()
}

// Run is consecutive pieces made from one entry of the plan.
type Run struct {
	Entry  int // index into the plan; -1 for pieces that need no tensor
	Pieces []Piece
}

// Layout is the whole file before a byte of it is written.
type Layout struct {
	Name     string // of the container
	Runs     []Run
	Bytes    int64    // size of the file
	EntryOut []int64  // bytes in the file that each entry of the plan takes
	Names    []string // of the tensors in the file
	start    func(w io.Writer) (Writer, error)
}

// Writer takes the pieces in the layout's order.
type Writer interface {
	// Next begins a piece; exactly its Bytes are written before the next call.
	Next(p *Piece) (io.Writer, error)
	// Close ends the file, without closing what lies below.
	Close() error
}

// Start writes what comes before the first piece.
func (l *Layout) Start(w io.Writer) (Writer, error) { return l.start(w) }

// Options choose the container.
type Options struct {
	To         string // name in the table; "" is the default
	HighNibble string // "sign" (default) or "zero"; only for int8
	Version    string // of Nibble, for the metadata
}

// Extension is the ending of a container's files, with the dot: that of one file, and
// that of shards.
func Extension(name string) (one, shard string) {
	for _, f := range Formats {
		if f.Name == name {
			one, shard = f.Extension, f.Extension
		}
	}
	if shard == ".pt" {
		shard = ".bin" // as transformers names them
	}
	return one, shard
}

// Default is the container of the command and the page when the user names none.
const Default = "packed"

// Formats is the literal table of containers, in the order they are offered.
var Formats = []struct {
	Name      string
	Extension string // with the dot
	AsLarge   bool   // it holds the weights as floats, beside their scales
	layout    func(p *plan.Plan, o Options) (*Layout, error)
}{
	{"packed", ".safetensors", false, layoutPacked},
	{"int8", ".safetensors", false, layoutInt8},
	{"coremltools", ".pt", true, layoutCoreml},
}

// AsLarge reports whether a container holds the weights as floats, and so makes nothing smaller.
func AsLarge(name string) bool {
	for _, f := range Formats {
		if f.Name == name {
			return f.AsLarge
		}
	}
	return false
}

// Lay finds the container and lays out the plan in it.
func Lay(p *plan.Plan, o Options) (*Layout, error) {
	if o.To == "" {
		o.To = Default
	}
	if o.HighNibble != "" && o.To != "int8" {
		return nil, fault.Not("", "high nibble goes with the int8 container, not with %s", o.To).Hint("leave it out, or choose int8")
	}
	names := ""
	for _, f := range Formats {
		if f.Name == o.To {
			l, err := f.layout(p, o)
			if err != nil {
				return nil, err
			}
			l.Name = f.Name
			l.count(p)
			return l, l.repeats(p)
		}
		names += " " + f.Name
	}
	return nil, fault.Not("", "there is no container %q", o.To).Hint("the containers are%s", names)
}

// Bounds on an output beside its input: what many names for one view of it would make far larger than the file.
const (
	mostTimes = 16
	mostBytes = 256 << 20
)

// TooLarge refuses an output of so many bytes that it is not to be explained by an input of so many: it can only be
// meant to fill a disk. Where a container writes a weight of many names once, it is not. The files of a sharded
// output count together.
func TooLarge(file string, out, in int64) error {
	if out <= mostBytes || out <= mostTimes*in {
		return nil
	}
	return fault.Not(file, "the output would have %d bytes, and the input has %d: its tensors are the same values under many names", out, in).
		Hint("save each weight once, or choose the coremltools container, which keeps tied weights together")
}

// repeats holds a layout against the files that its tensors lie in.
func (l *Layout) repeats(p *plan.Plan) error {
	files, in := map[*tensor.File]bool{}, int64(0)
	for i := range p.Entries {
		if f := p.Entries[i].Tensor.Storage.File; f != nil && !files[f] {
			files[f] = true
			in += f.Size
		}
	}
	if in == 0 {
		return nil
	}
	return TooLarge(inputName(p), l.Bytes, in)
}

// count fills EntryOut.
func (l *Layout) count(p *plan.Plan) {
	l.EntryOut = make([]int64, len(p.Entries))
	for _, r := range l.Runs {
		for i := range r.Pieces {
			if r.Entry >= 0 {
				l.EntryOut[r.Entry] += r.Pieces[i].Bytes()
			}
		}
	}
}

// kept is the one piece of a tensor that is not quantized.
func kept(t *tensor.Tensor) []Piece {
	return []Piece{{Name: t.Name, DType: t.DType, Shape: t.Shape, Content: Kept}}
}

// reserved is a name that no tensor of a safetensors file can have.
const reserved = "__metadata__"

// unique refuses a layout in which two pieces have one name: the second would
// silently shadow the first when the file is read.
func unique(file string, runs []Run, noReserved bool) error {
	seen := map[string]bool{}
	for _, r := range runs {
		for _, p := range r.Pieces {
			if p.Name == reserved && noReserved {
				return fault.Not(file, "safetensors keeps this name for itself").In(p.Name).Hint("rename it in the source, or choose the coremltools container")
			}
			if seen[p.Name] && strings.Contains(p.Name, Prefix) {
				return fault.Not(file, "this checkpoint is quantized already").In(p.Name).Hint("open the one it was made from")
			}
			if seen[p.Name] {
				return fault.Not(file, "the output would hold two tensors of this name").In(p.Name).
					Hint("rename it in the source or choose another container")
			}
			seen[p.Name] = true
		}
	}
	return nil
}

// WayOut completes the error for an output that could not be opened again, with what to do instead; a
// plan that is a part of another is one shard of several.
func WayOut(err *fault.Error, p *plan.Plan, to string) error {
	do := "save the model in shards"
	if p.IsPart() {
		do = "save the model in more shards"
	}
	switch to {
	case "packed":
		do += ", or choose int8, which has fewer tensors for each weight"
	case "coremltools":
		do += ", or choose packed or int8"
	}
	if err.File == "" {
		err.File = inputName(p)
	}
	return err.Hint("%s", do)
}

// roomForNames refuses a plan whose names alone would take more than a container has room for, before anything
// is made of them. copies is how often each is written at least, for a weight that is quantized.
func roomForNames(p *plan.Plan, to string, copies, most int) error {
	n := 0
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Quantize {
			n += copies * len(e.Tensor.Name)
		} else {
			n += len(e.Tensor.Name)
		}
	}
	if n > most {
		return WayOut(fault.Not("", "the output could not be opened again: the names of its tensors would take %d bytes, more than %d", n, most), p, to)
	}
	return nil
}

// inputName is the file a plan was made of, for errors.
func inputName(p *plan.Plan) string {
	if len(p.Entries) == 0 || p.Entries[0].Tensor.Storage.File == nil {
		return ""
	}
	return p.Entries[0].Tensor.Storage.File.Name
}
