package safetensors

import (
	"encoding/json/jsontext"
	"errors"
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// header reads the JSON of a safetensors file, whose every key, number and place is checked.
type header struct {
	file *tensor.File
	data int64 // where the values begin
	dec  *jsontext.Decoder
	out  Contents

	hasMetadata  bool // there was __metadata__
	offsets      [2]int64
	room         []int64 // for shapes and strides, which are small and many
	tally        tensor.Tally
	sizes        int // of all tensors
	metadataSize int // bytes of __metadata__
}

func (h *header) bad(what string, args ...any) *fault.Error {
	return fault.Bad(h.file.Name, what, args...).At(8 + h.dec.InputOffset())
}

func (h *header) syntax(err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return known
	}
	return h.bad("the header is not valid JSON: %s", strings.TrimPrefix(err.Error(), "jsontext: "))
}

// read walks the JSON.
func (h *header) read() error {
	err := h.object(func(name string) error {
		if name == "__metadata__" {
			if h.hasMetadata {
				return h.bad("the header has __metadata__ twice")
			}
			h.hasMetadata = true
			return h.metadata()
		}
		return h.tensor(name)
	})
	if err != nil {
		return err
	}
	if _, err := h.dec.ReadToken(); err != io.EOF {
		return h.bad("the header goes on after its object")
	}
	return nil
}

func (h *header) metadata() error {
	if h.dec.PeekKind() == 'n' { // MLX writes null when it has none
		if _, err := h.dec.ReadToken(); err != nil {
			return h.syntax(err)
		}
		return nil
	}
	h.out.Metadata = map[string]string{}
	return h.object(func(key string) error {
		v, err := h.dec.ReadToken()
		if err != nil {
			return h.syntax(err)
		}
		if v.Kind() != '"' {
			return h.bad("__metadata__ entry %q is not a string", key)
		}
		if _, twice := h.out.Metadata[key]; twice {
			return h.bad("__metadata__ has %q twice", key)
		}
		text := v.String()
		if h.metadataSize += len(key) + len(text); h.metadataSize > maxMetadata {
			return fault.Not(h.file.Name, "__metadata__ takes more than %d MB", maxMetadata>>20)
		}
		if h.out.Metadata[key] = text; len(h.out.Metadata) > maxMembers {
			return fault.Not(h.file.Name, "__metadata__ has more than %d entries", maxMembers)
		}
		return nil
	})
}

func (h *header) tensor(name string) error {
	t := tensor.Tensor{Name: name}
	var offsets []int64
	dtype, seen := "", [3]bool{}
	err := h.object(func(key string) (err error) {
		if i := slices.Index(fields, key); i >= 0 {
			if seen[i] {
				return h.bad("its entry has %s twice", key).In(name)
			}
			seen[i] = true
		}
		switch key {
		case "dtype":
			var v jsontext.Token
			if v, err = h.dec.ReadToken(); err != nil {
				return h.syntax(err)
			}
			if v.Kind() != '"' {
				return h.bad("its dtype is not a string").In(name)
			}
			dtype = v.String()
		case "shape":
			if len(h.room) < 2*maxRank {
				h.room = make([]int64, 64*maxRank)
			}
			t.Shape, err = h.ints(name, h.room[:0:maxRank])
		case "data_offsets":
			offsets, err = h.ints(name, h.offsets[:0])
		default:
			if err = Skip(h.dec); err != nil {
				err = h.syntax(err)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	if seen != [3]bool{true, true, true} || len(offsets) != 2 {
		return h.bad("its entry lacks dtype, shape or a pair of data_offsets").In(name)
	}
	var ok bool
	if t.DType, ok = tensor.ParseType(dtype); !ok {
		return h.bad("dtype %q does not exist in safetensors", dtype).In(name)
	}
	n, fits := tensor.Elements(t.Shape)
	if !fits || n > (1<<60)/t.DType.Size() {
		return h.bad("its shape %v overflows", t.Shape).In(name)
	}
	bytes, whole := t.DType.Bytes(n)
	if !whole {
		return h.bad("shape %v of %s does not fill its last byte", t.Shape, dtype).In(name)
	}
	if offsets[1] < offsets[0] || bytes != offsets[1]-offsets[0] {
		return h.bad("shape %v of %s takes %d bytes, data_offsets %v hold %d", t.Shape, dtype, bytes, offsets,
			offsets[1]-offsets[0]).In(name)
	}
	// Shape and strides lie side by side, each with no room to grow into the other.
	rank := len(t.Shape)
	t.Shape, t.Strides = h.room[:rank:rank], h.room[rank:2*rank:2*rank]
	copy(t.Strides, tensor.DenseStrides(t.Shape))
	h.room = h.room[2*rank:]
	t.Storage = tensor.Storage{File: h.file, Start: h.data + offsets[0], End: h.data + offsets[1]}
	h.out.Tensors = append(h.out.Tensors, t)
	h.sizes += len(t.Shape)
	if what := h.tally.Add(name); what != "" {
		return fault.Not(h.file.Name, "this is more than any model has: %s", what).At(8 + h.dec.InputOffset())
	}
	if h.sizes > maxSizes {
		return fault.Not(h.file.Name, "the shapes of its tensors take more room than those of any model")
	}
	return nil
}

// fields are those of a tensor's entry that mean something.
var fields = []string{"dtype", "shape", "data_offsets"}

// ints appends a list of non-negative integers below 2^60, in plain digits.
func (h *header) ints(name string, list []int64) ([]int64, error) {
	tok, err := h.dec.ReadToken()
	if err != nil {
		return nil, h.syntax(err)
	}
	if tok.Kind() != '[' {
		return nil, h.bad("shape or data_offsets is not a list").In(name)
	}
	for h.dec.PeekKind() != ']' {
		v, err := h.dec.ReadValue()
		if err != nil {
			return nil, h.syntax(err)
		}
		n, err := strconv.ParseUint(string(v), 10, 60)
		if err != nil {
			return nil, h.bad("%s is not a size", v).In(name)
		}
		if list = append(list, int64(n)); len(list) > maxRank {
			return nil, h.bad("its shape has more than %d sizes", maxRank).In(name)
		}
	}
	if _, err = h.dec.ReadToken(); err != nil {
		return nil, h.syntax(err)
	}
	return list, nil
}

// Skip passes over a value whose meaning nobody knows, within the limits of the reference reader: values of
// maxDepth in each other, numbers of a float64. A decoder's own way keeps all the names of an object, so they are
// counted.
func Skip(dec *jsontext.Decoder) error {
	for depth, tokens := 0, 0; ; tokens++ {
		if tokens > maxMembers {
			return errors.New("a value without a meaning to Nibble has too many members")
		}
		tok, err := dec.ReadToken()
		if err != nil {
			return err
		}
		switch tok.Kind() {
		case '0':
			if _, err := strconv.ParseFloat(tok.String(), 64); err != nil {
				return errors.New("a number without a meaning to Nibble is out of range")
			}
		case '{', '[':
			if dec.StackDepth() > maxDepth {
				return errors.New("a value without a meaning to Nibble nests too deeply")
			}
			depth++
		case '}', ']':
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// object reads an object; each consumes the value of one key.
func (h *header) object(each func(key string) error) error {
	tok, err := h.dec.ReadToken()
	if err != nil {
		return h.syntax(err)
	}
	if tok.Kind() != '{' {
		return h.bad("the header holds %s where an object belongs", tok.Kind())
	}
	for h.dec.PeekKind() == '"' {
		key, err := h.dec.ReadToken()
		if err != nil {
			return h.syntax(err)
		}
		if err := each(key.String()); err != nil {
			return err
		}
	}
	if _, err := h.dec.ReadToken(); err != nil {
		return h.syntax(err)
	}
	return nil
}

// layout checks that no two tensors have one name, and that they cover the data without hole or overlap.
func (h *header) layout() error {
	order := make([]*tensor.Tensor, len(h.out.Tensors))
	for i := range order {
		order[i] = &h.out.Tensors[i]
	}
	slices.SortFunc(order, func(a, b *tensor.Tensor) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(order); i++ {
		if order[i].Name == order[i-1].Name {
			return fault.Bad(h.file.Name, "the header holds two tensors of this name").In(order[i].Name).
				Hint("the file is damaged or not what its maker meant: save it again")
		}
	}
	sort.SliceStable(order, func(i, j int) bool {
		a, b := order[i].Storage, order[j].Storage
		return a.Start < b.Start || a.Start == b.Start && a.End < b.End
	})
	at := h.data
	for _, t := range order {
		if t.Storage.Start != at {
			what := "leaves a hole after"
			if t.Storage.Start < at {
				what = "overlaps"
			}
			return fault.Bad(h.file.Name, "its data_offsets begin at %d, which %s the tensor before it", t.Storage.Start-h.data,
				what).
				In(t.Name).At(t.Storage.Start)
		}
		at = t.Storage.End
	}
	if at != h.file.Size {
		e := fault.Bad(h.file.Name, "the header describes %d bytes, the file has %d", at, h.file.Size).
			At(min(at, h.file.Size))
		if at > h.file.Size {
			return e.Hint("the file is cut short: copy or download it again")
		}
		return e.Hint("the file has bytes that belong to no tensor")
	}
	return nil
}
