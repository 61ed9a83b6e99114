package tensor

import (
	"fmt"
	"io"
	"math/bits"
)

// File is one input: a name to show, its size in bytes, and random access to it.
type File struct {
	Name string
	Size int64
	R    io.ReaderAt
}

// Storage is the untyped byte range of a file that tensors view into. Two tensors
// with the same Storage are tied or views of each other.
type Storage struct {
	File       *File
	Start, End int64 // bytes in File
}

// FileName is the name of the file, "" when there is none.
func (s Storage) FileName() string {
	if s.File == nil {
		return ""
	}
	return s.File.Name
}

// Tensor says where values lie; it holds none.
type Tensor struct {
	Name    string
	DType   Type
	Shape   []int64
	Strides []int64 // elements, one per axis, not negative
	Storage Storage
	Offset  int64 // bytes from Storage.Start to the first element
	Frozen  bool  // a parameter that takes no gradients, where the file says it
}

// Elements is the number of values. Readers checked that it does not overflow.
func (t *Tensor) Elements() int64 {
	n, _ := Elements(t.Shape)
	return n
}

// Bytes is the size of the values laid out densely. Readers checked that they fill their blocks.
func (t *Tensor) Bytes() int64 {
	n, _ := t.DType.Bytes(t.Elements())
	return n
}

// Contiguous reports whether the values lie densely in row-major order.
func (t *Tensor) Contiguous() bool {
	want := int64(1)
	for i := len(t.Shape) - 1; i >= 0; i-- {
		if t.Shape[i] == 0 {
			return true
		}
		if t.Shape[i] != 1 && t.Strides[i] != want {
			return false
		}
		want *= t.Shape[i]
	}
	return true
}

// View is a key that two tensors share only when they are the very same view of the same bytes.
func (t *Tensor) View() string {
	strides := t.Strides
	if t.Contiguous() {
		strides = nil
	}
	return fmt.Sprintf("%p %d %d %d %d %v %v", t.Storage.File, t.Storage.Start, t.Storage.End, t.Offset, t.DType, t.Shape,
		strides)
}

// Flat is a dense tensor seen as one row after the other of a single value, so that it
// can be cut anywhere. Elements that are no bytes of their own are seen as the bytes of their blocks.
func (t *Tensor) Flat() *Tensor {
	f := *t
	if elements, _ := t.DType.Block(); elements > 1 {
		f.DType, f.Shape = U8, []int64{t.Bytes()}
	} else {
		f.Shape = []int64{t.Elements()}
	}
	f.Strides = []int64{1}
	return &f
}

// Elements multiplies a shape; false when a size is negative, or when the product of the sizes
// that are not 0 does not fit in 62 bits: strides are made of these, with and without a 0.
func Elements(shape []int64) (int64, bool) {
	n, zero, fits := uint64(1), false, true
	for _, d := range shape {
		if d < 0 {
			return 0, false
		}
		if d == 0 {
			zero = true
			continue
		}
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo >= 1<<62 {
			fits = false
			continue
		}
		n = lo
	}
	if zero {
		n = 0
	}
	return int64(n), fits
}

// DenseStrides are the row-major strides of a shape, in elements.
func DenseStrides(shape []int64) []int64 {
	s := make([]int64, len(shape))
	n := int64(1)
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= max(shape[i], 1)
	}
	return s
}

// Extent is how many elements from the first one a strided view reaches, so that
// its last byte is Offset + Extent*size; false on overflow.
func Extent(shape, strides []int64) (int64, bool) {
	last := uint64(0)
	for i, d := range shape {
		if d == 0 {
			return 0, true
		}
		hi, lo := bits.Mul64(uint64(d-1), uint64(strides[i]))
		last += lo
		if hi != 0 || lo >= 1<<62 || last >= 1<<62 {
			return 0, false
		}
	}
	return int64(last) + 1, true
}

// StateDict is the ordered name -> tensor map of a checkpoint.
type StateDict struct {
	Tensors []Tensor
	// Notes say what else was in the file and what becomes of it, one sentence each.
	Notes []string
	// Classes says which class a module has, where the file says it: module -> class.
	Classes map[string]string
	// Absent are names that the file leaves out because they are another tensor's (tied).
	Absent []Alias
	// Parts are the models that the file holds, of which Tensors are some.
	Parts []Part
	// LeftOut is how many bytes of values the file holds beside the tensors: of optimizers, of other parts.
	LeftOut int64
	// Body is the format's own rest, into which only that format's packages and containers look; nil where there is none.
	Body any
}

// Alias is a second name of a tensor.
type Alias struct{ Name, Of string }

// Averages begin the names of EMA weights in a state dict that holds the live ones, too: of LDM and Stable Diffusion,
// and of ema-pytorch.
var Averages = []string{"model_ema.", "ema_model."}

// Part is one of several models in a file, by the dotted path of its dict.
type Part struct {
	Name    string `json:"name"`
	Tensors int    `json:"tensors"`
	Bytes   int64  `json:"bytes"`
	EMA     bool   `json:"ema"`    // weights averaged over the training
	Chosen  bool   `json:"chosen"` // its tensors are those of the state dict
}

// Bytes is the size of all values laid out densely.
func (s *StateDict) Bytes() (n int64) {
	for i := range s.Tensors {
		n += s.Tensors[i].Bytes()
	}
	return n
}
