package torch

import (
	"encoding/binary"
	"strconv"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// Item is one tensor of the state dict to be written, dense. Items with the same
// Key share a storage, which holds exactly their values.
type Item struct {
	Name  string
	DType tensor.Type
	Shape []int64
	Key   int // storage: entry DataAt + Key
}

// Pickle makes data.pkl: an OrderedDict of tensors, protocol 2, as torch.save
// writes it, readable with weights_only=True.
func Pickle(items []Item, versions []ModuleVersion) ([]byte, error) {
	w := &pickler{b: []byte{0x80, 2}}
	w.global("collections", "OrderedDict")
	w.b = append(w.b, ")R("...)
	for i, it := range items {
		if i%batch == 0 && i > 0 {
			w.b = append(w.b, "u("...)
		}
		w.text(it.Name)
		if err := w.tensor(it); err != nil {
			return nil, err
		}
	}
	w.b = append(w.b, 'u')
	if len(versions) > 0 {
		w.versions(versions)
	}
	w.b = append(w.b, '.')
	return w.b, nil
}

// batch is how many entries a dict takes at a time, as in CPython's pickler.
const batch = 1000

type pickler struct {
	b    []byte
	memo map[string]uint32 // globals and texts already written
}

// tensor appends _rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict()),
// or v3 with the dtype at the end where torch has no storage class.
func (w *pickler) tensor(it Item) error {
	for _, row := range dtypes {
		if row.d != it.DType {
			continue
		}
		n, _ := tensor.Elements(it.Shape)
		class, rebuild := row.storage, "_rebuild_tensor_v2"
		if class == "" {
			class, rebuild, n = "UntypedStorage", "_rebuild_tensor_v3", n*it.DType.Size()
		}
		w.global("torch._utils", rebuild)
		w.b = append(w.b, "(("...)
		w.text("storage")
		if row.storage == "" {
			w.global("torch.storage", class)
		} else {
			w.global("torch", class)
		}
		w.text(strconv.Itoa(it.Key))
		w.text("cpu")
		w.int(n)
		w.b = append(w.b, "tQ"...)
		w.int(0)
		w.ints(it.Shape)
		w.ints(tensor.DenseStrides(it.Shape))
		w.b = append(w.b, 0x89) // requires_grad
		w.global("collections", "OrderedDict")
		w.b = append(w.b, ")R"...)
		if row.storage == "" {
			w.global("torch", row.name)
		}
		w.b = append(w.b, "tR"...)
		return nil
	}
	return NoPlace(it.DType).In(it.Name)
}

// Carries reports whether a torch file has a place for a type.
func Carries(d tensor.Type) bool {
	for _, row := range dtypes {
		if row.d == d {
			return true
		}
	}
	return false
}

// NoPlace is the error for a type that a torch file has no place for.
func NoPlace(d tensor.Type) *fault.Error {
	return fault.Not("", "dtype %s has no place in a torch file", d)
}

// versions appends the _metadata attribute: BUILD with {"_metadata": OrderedDict}.
func (w *pickler) versions(versions []ModuleVersion) {
	w.b = append(w.b, '}')
	w.text("_metadata")
	w.global("collections", "OrderedDict")
	w.b = append(w.b, ")R("...)
	for i, v := range versions {
		if i%batch == 0 && i > 0 {
			w.b = append(w.b, "u("...)
		}
		w.text(v.Module)
		w.b = append(w.b, '}')
		w.text("version")
		w.int(v.Version)
		w.b = append(w.b, 's')
	}
	w.b = append(w.b, "usb"...)
}

func (w *pickler) global(module, name string) {
	w.once("c"+module+"\n"+name+"\n", func() { w.b = append(w.b, "c"+module+"\n"+name+"\n"...) })
}

func (w *pickler) text(s string) {
	w.once("X"+s, func() {
		w.b = binary.LittleEndian.AppendUint32(append(w.b, 'X'), uint32(len(s)))
		w.b = append(w.b, s...)
	})
}

// once writes a value and memoizes it, or refers to the memo.
func (w *pickler) once(key string, write func()) {
	if w.memo == nil {
		w.memo = map[string]uint32{}
	}
	if at, ok := w.memo[key]; ok {
		w.b = binary.LittleEndian.AppendUint32(append(w.b, 'j'), at)
		return
	}
	write()
	at := uint32(len(w.memo))
	w.memo[key] = at
	w.b = binary.LittleEndian.AppendUint32(append(w.b, 'r'), at)
}

func (w *pickler) int(n int64) {
	if n == int64(int32(n)) {
		w.b = binary.LittleEndian.AppendUint32(append(w.b, 'J'), uint32(n))
		return
	}
	w.b = binary.LittleEndian.AppendUint64(append(w.b, 0x8a, 8), uint64(n))
}

func (w *pickler) ints(v []int64) {
	w.b = append(w.b, '(')
	for _, n := range v {
		w.int(n)
	}
	w.b = append(w.b, 't')
}
