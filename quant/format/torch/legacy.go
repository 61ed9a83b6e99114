package torch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"

	"github.com/nlpodyssey/gopickle/types"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// The format of torch.save before 1.6, and of its flag _use_new_zipfile_serialization=False since (_legacy_load in
// torch/serialization.py of PyTorch 2.8), has one after the other:
//
//	pickle       0x1950a86a20f9469cfc6c
//	pickle       1001, the version
//	pickle       {"protocol_version", "little_endian", "type_sizes"}
//	pickle       the value; storages in it by key, with their sizes; a view names its whole
//	pickle       list of keys
//	per key      number of values (int64), then the values

// legacyVersion is the second pickle's number.
const legacyVersion = 1001

// legacyMagic is the first pickle's number as every protocol writes it.
var legacyMagic = []byte("\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.")

// MatchLegacy reports whether a file begins like torch.save's before 1.6.
func MatchLegacy(head []byte, size int64) bool {
	return len(head) > 2 && head[0] == 0x80 && bytes.Contains(head[:min(len(head), 32)], legacyMagic)
}

// ReadLegacy reads the file's pickles and places its storages; it reads no values.
func ReadLegacy(f *tensor.File, want []string) (*tensor.StateDict, error) {
	r := newReader(f)
	_, at, err := r.RunAt(0, f.Size)
	if err != nil {
		return nil, err
	}
	version, at, err := r.RunAt(at, f.Size)
	if err != nil {
		return nil, err
	}
	if version != legacyVersion {
		return nil, fault.Not(f.Name, "it has version %s of PyTorch's old format, not %d", short(version), legacyVersion).
			At(at).
			Hint("load it in PyTorch and save it again")
	}
	info, at, err := r.RunAt(at, f.Size)
	if err != nil {
		return nil, err
	}
	facts, _ := entries(info)
	for _, it := range facts {
		if it.key == "little_endian" && it.value == false {
			return nil, fault.Not(f.Name, "the file was written with byte order \"big\"").
				Hint("save it again on a little-endian machine")
		}
	}
	r.Persistent = r.loadLegacy
	root, at, err := r.RunAt(at, f.Size)
	if err != nil {
		return nil, err
	}
	r.Persistent = nil
	keys, at, err := r.RunAt(at, f.Size)
	if err != nil {
		return nil, err
	}
	end, err := r.placeAll(keys, at)
	if err != nil {
		return nil, err
	}
	state, err := r.stateDict(root, want)
	if err == nil && end < f.Size {
		state.Notes = append(state.Notes, fmt.Sprintf("%d bytes follow the last storage and are left out", f.Size-end))
	}
	return state, err
}

// loadLegacy resolves ("storage", class, key, location, elements, view) and
// ("module", class, source file, source).
func (r *reader) loadLegacy(id any) (any, error) {
	if t, ok := id.(*types.Tuple); ok && t.Len() >= 2 && t.Get(0) == "module" {
		return t.Get(1), nil
	}
	n, err := r.parseID(id, 6)
	if err != nil {
		return nil, err
	}
	s, err := r.known(n)
	if err != nil {
		return nil, err
	}
	if s == nil {
		s = &storage{n.key, n.class, &body{size: n.count * n.class.size, meta: n.location == "meta"}}
		r.storages[n.key] = s
	}
	if n.rest[0] == nil {
		return s, nil
	}
	return r.viewOf(s, n.class, n.rest[0])
}

// viewOf is a storage within another: (key, offset, size), in values.
func (r *reader) viewOf(s *storage, class storageClass, view any) (any, error) {
	v := members(view)
	if len(v) != 3 {
		return nil, fmt.Errorf("a storage's view is no key, offset and size")
	}
	key, ok := v[0].(string)
	from, ok2 := integer(v[1])
	size, ok3 := integer(v[2])
	have := s.size / class.size
	if !ok || !ok2 || !ok3 || from < 0 || size < 0 || from > have || size > have-from {
		return nil, fault.Bad(r.file.Name, "a view of %v values from %v on reaches beyond storage %q of %d values", v[2],
			v[1], s.key, have)
	}
	if old, err := r.known(named{key: key, class: class}); old != nil || err != nil {
		return old, err
	}
	whole, start := s.body, from*class.size
	if whole.whole != nil { // a view of a view
		start += whole.from
		whole = whole.whole
	}
	out := &storage{key, class, &body{size: size * class.size, whole: whole, from: start}}
	r.storages[key] = out
	return out, nil
}

// placeAll finds where each storage lies, from a byte of the file on.
func (r *reader) placeAll(keys any, at int64) (end int64, err error) {
	list, ok := keys.(*types.List)
	if !ok {
		return 0, fault.Bad(r.file.Name, "the list of storages is %s", describe(keys)).At(at)
	}
	for _, k := range *list {
		key, _ := k.(string)
		s := r.storages[key]
		if s == nil || s.whole != nil || s.placed {
			return 0, fault.Bad(r.file.Name, "the list of storages names %q, which no tensor uses or which was named before",
				short(k)).At(at)
		}
		if at, err = r.placeOne(s, at); err != nil {
			return 0, err
		}
	}
	return at, nil
}

// placeOne reads a storage's number of values at a byte and returns where its values end.
func (r *reader) placeOne(s *storage, at int64) (end int64, err error) {
	var count [8]byte
	if r.file.Size-at < 8 {
		return 0, fault.Bad(r.file.Name, "the file ends before storage %q", s.key).At(r.file.Size).
			Hint("the file is cut short: copy or download it again")
	}
	if _, err := io.ReadFull(io.NewSectionReader(r.file.R, at, 8), count[:]); err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint64(count[:])
	if n > uint64(s.size/s.class.size) || int64(n)*s.class.size != s.size {
		return 0, fault.Bad(r.file.Name, "storage %q should hold %d values, %d are announced", s.key, s.size/s.class.size, n).
			At(at)
	}
	if s.size > r.file.Size-at-8 {
		return 0, fault.Bad(r.file.Name, "storage %q of %d bytes reaches beyond the end of the file", s.key, s.size).
			At(at + 8).
			Hint("the file is cut short: copy or download it again")
	}
	s.Storage, s.placed = tensor.Storage{File: r.file, Start: at + 8, End: at + 8 + s.size}, true
	return s.End, nil
}

// keyText is a key as text: that of a storage is text, or a number in the oldest files.
func keyText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case int:
		return fmt.Sprint(v), true
	case *big.Int:
		if v.BitLen() <= 64 {
			return v.String(), true
		}
	}
	return "", false
}

func newTuple(v ...any) *types.Tuple { return types.NewTupleFromSlice(v) }
