package torch

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// The tar of PyTorch 0.1 (legacy_load in torch/serialization.py of PyTorch 2.8) has these files:
//
//	storages   pickle: how many; then each: pickle (key, location, class), number of values
//	           (int64), the values; at last pickle: [(view, whole, offset, size)]
//	tensors    pickle: how many; then each: pickle (key, storage, class), rank (int32), four
//	           bytes, sizes and strides (int64 each), offset (int64)
//	pickle     the value; persistent ids are the keys of tensors and storages

// MatchTar reports whether a file begins like a tar; head is its first 512 bytes.
func MatchTar(head []byte, size int64) bool {
	return len(head) >= 262 && bytes.Equal(head[257:262], []byte("ustar"))
}

// maxParts bounds the files of a tar that are looked at, and maxTensors its tensors.
const (
	maxParts   = 64
	maxTensors = 1 << 16
)

// tarReader is a reader with the tar's parts and what their keys mean.
type tarReader struct {
	*reader
	parts   map[string]tensor.Storage
	tensors map[string]any
}

// ReadTar reads the tar's pickles and places its storages; it reads no values. It says what kind of tar it is.
func ReadTar(f *tensor.File, want []string) (state *tensor.StateDict, kind string, err error) {
	r := &tarReader{newReader(f), map[string]tensor.Storage{}, map[string]any{}}
	if err := r.findParts(); err != nil {
		return nil, "", err
	}
	for name, part := range r.parts { // NeMo puts a checkpoint in a tar, beside its config
		if name == nemoWeights || name == "./"+nemoWeights {
			state, err = r.inner(name, part, want)
			return state, Nemo, err
		}
	}
	for _, name := range []string{"storages", "tensors", "pickle"} {
		if r.parts[name].File == nil {
			return nil, "", fault.Not(f.Name, "this is a tar archive without a PyTorch checkpoint in it (no %s)", name).
				Hint("unpack it and drop the checkpoint inside")
		}
	}
	if err := r.readStorages(r.parts["storages"]); err != nil {
		return nil, "", err
	}
	if err := r.readTensors(r.parts["tensors"]); err != nil {
		return nil, "", err
	}
	r.Persistent = r.load
	root, _, err := r.RunAt(r.parts["pickle"].Start, r.parts["pickle"].End)
	if err != nil {
		return nil, "", err
	}
	state, err = r.stateDict(root, want)
	return state, Tar, err
}

// nemoWeights is the checkpoint in a .nemo file (nemo/core/connectors/save_restore_connector.py of NeMo 2.5).
const nemoWeights = "model_weights.ckpt"

// inner reads a checkpoint that is a file of the tar.
func (r *tarReader) inner(name string, part tensor.Storage, want []string) (*tensor.StateDict, error) {
	size := part.End - part.Start
	content := io.NewSectionReader(r.file.R, part.Start, size)
	file := &tensor.File{Name: r.file.Name + "/" + strings.TrimPrefix(name, "./"), Size: size, R: content}
	state, _, err := Read(file, want)
	if err == nil {
		state.Notes = append(state.Notes, "the file is a NeMo archive; its config and the rest beside the weights "+
			"are left out")
	}
	return state, err
}

// findParts walks the tar's headers.
func (r *tarReader) findParts() error {
	section := io.NewSectionReader(r.file.R, 0, r.file.Size)
	t := tar.NewReader(section)
	for range maxParts {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		at, _ := section.Seek(0, io.SeekCurrent)
		if err != nil {
			return fault.Bad(r.file.Name, "the file begins like a tar but cannot be read on (%v)", err).At(at).
				Hint("the file is damaged: copy or download it again")
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if h.Size < 0 || h.Size > r.file.Size-at {
			return fault.Bad(r.file.Name, "%q of %d bytes reaches beyond the end of the file", h.Name, h.Size).At(at).
				Hint("the file is cut short: copy or download it again")
		}
		if r.parts[h.Name].File != nil {
			return fault.Bad(r.file.Name, "the tar holds two files named %q", h.Name).At(at)
		}
		r.parts[h.Name] = tensor.Storage{File: r.file, Start: at, End: at + h.Size}
	}
	return nil
}

// count reads how many things follow.
func (r *tarReader) count(part tensor.Storage) (n, at int64, err error) {
	v, at, err := r.RunAt(part.Start, part.End)
	if err != nil {
		return 0, 0, err
	}
	n, ok := integer(v)
	if !ok || n < 0 || n > maxTensors {
		return 0, 0, fault.Bad(r.file.Name, "its count of storages or tensors is %s", short(v)).At(part.Start)
	}
	return n, at, nil
}

// triple reads a pickle of three values, the first a key.
func (r *tarReader) triple(at, end int64) (key string, v []any, next int64, err error) {
	root, next, err := r.RunWithin(at, end, 256)
	if err != nil {
		return "", nil, 0, err
	}
	if v = members(root); len(v) == 3 {
		if key, ok := keyText(v[0]); ok {
			return key, v, next, nil
		}
	}
	return "", nil, 0, fault.Bad(r.file.Name, "a storage or tensor is described by %s", describe(root)).At(at)
}

func (r *tarReader) readStorages(part tensor.Storage) error {
	n, at, err := r.count(part)
	if err != nil {
		return err
	}
	for range n {
		key, v, next, err := r.triple(at, part.End)
		if err != nil {
			return err
		}
		class, ok := v[2].(storageClass)
		if !ok || r.storages[key] != nil {
			return fault.Bad(r.file.Name, "storage %q is there twice or has no class", key).At(at)
		}
		raw, err := r.bytes(next, part.End, 8)
		if err != nil {
			return err
		}
		count := binary.LittleEndian.Uint64(raw)
		if count > uint64(part.End-next-8)/uint64(class.size) {
			return fault.Bad(r.file.Name, "storage %q of %d values reaches beyond the storages", key, count).At(next).
				Hint("the file is cut short: copy or download it again")
		}
		size := int64(count) * class.size
		where := tensor.Storage{File: r.file, Start: next + 8, End: next + 8 + size}
		r.storages[key] = &storage{key, class, &body{size: size, placed: true, Storage: where}}
		at = where.End
	}
	views, _, err := r.RunAt(at, part.End)
	if err != nil {
		return err
	}
	for _, v := range members(views) {
		four := members(v)
		if len(four) != 4 {
			return fault.Bad(r.file.Name, "a view of a storage is described by %s", describe(v)).At(at)
		}
		view, ok := keyText(four[0])
		whole, ok2 := keyText(four[1])
		s := r.storages[whole]
		if !ok || !ok2 || s == nil {
			return fault.Bad(r.file.Name, "a view is of a storage that is not there").At(at)
		}
		if _, err := r.viewOf(s, s.class, newTuple(view, four[2], four[3])); err != nil {
			return err
		}
	}
	return nil
}

func (r *tarReader) readTensors(part tensor.Storage) error {
	n, at, err := r.count(part)
	if err != nil {
		return err
	}
	for range n {
		key, v, next, err := r.triple(at, part.End)
		if err != nil {
			return err
		}
		head, err := r.bytes(next, part.End, 8) // old files wrote the rank in 8 bytes
		if err != nil {
			return err
		}
		rank := int64(binary.LittleEndian.Uint32(head))
		if rank > 64 {
			return fault.Bad(r.file.Name, "tensor %s has rank %d", key, rank).At(next)
		}
		raw, err := r.bytes(next+8, part.End, 16*rank+8)
		if err != nil {
			return err
		}
		fields := make([]int64, 2*rank+1)
		for i := range fields {
			if fields[i] = int64(binary.LittleEndian.Uint64(raw[8*i:])); fields[i] < 0 {
				return fault.Bad(r.file.Name, "tensor %s has a size, stride or offset of %d", key, fields[i]).
					At(next + 8 + int64(8*i))
			}
		}
		where, _ := keyText(v[1])
		s := r.storages[where]
		if s == nil || s.class.dtype == tensor.Invalid {
			return fault.Bad(r.file.Name, "tensor %s lies in storage %q, which is not there", key, where).At(at)
		}
		if r.tensors[key], err = r.view(s, s.class.dtype, fields[2*rank], fields[:rank], fields[rank:2*rank]); err != nil {
			return err
		}
		at = next + 8 + 16*rank + 8
	}
	return nil
}

// load resolves a key; a tuple names a class.
func (r *tarReader) load(id any) (any, error) {
	if t := members(id); len(t) > 0 {
		return t[0], nil
	}
	key, ok := keyText(id)
	if t := r.tensors[key]; ok && t != nil {
		return t, nil
	}
	if s := r.storages[key]; ok && s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("it refers to %s, which is not in the file", short(id))
}

// bytes reads a few bytes that must lie before end.
func (r *tarReader) bytes(at, end, n int64) ([]byte, error) {
	if n > end-at {
		return nil, fault.Bad(r.file.Name, "the description of its tensors is cut short").At(at).
			Hint("the file is damaged: copy or download it again")
	}
	b := make([]byte, n)
	_, err := io.ReadFull(io.NewSectionReader(r.file.R, at, n), b)
	return b, err
}
