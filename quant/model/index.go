package model

import (
	"bytes"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/format/safetensors"
	"nibble/quant/tensor"
)

// indexEnding ends the name of an index: model.safetensors.index.json,
// pytorch_model.bin.index.json. It is JSON: {"metadata": {...}, "weight_map": {tensor:
// file in the same folder}} (huggingface_hub's serialization; transformers reads it).
const indexEnding = ".index.json"

// maxShards bounds a model's files.
const maxShards = 10_000

// MaxIndex bounds an index, in bytes; what is longer is written for no model.
const MaxIndex = 160 << 20

// index is a weight_map: tensor -> file, and the files in order of name.
type index struct {
	file   *tensor.File
	where  map[string]string
	shards []string
	tally  tensor.Tally
}

// readIndex reads a weight_map. Doubled names, and files that lie elsewhere, are refused.
func readIndex(f *tensor.File) (*index, error) {
	if f.Size > MaxIndex {
		return nil, fault.Bad(f.Name, "an index of %d bytes is longer than that of any model", f.Size)
	}
	head, err := headOf(f)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{")) {
		if err := refuse(f, head); !isUnknown(err) {
			return nil, err
		}
	}
	x := &index{file: f, where: map[string]string{}}
	dec := jsontext.NewDecoder(safetensors.Texts(f, "index"))
	if err := x.read(dec); err != nil {
		var known *fault.Error
		if errors.As(err, &known) {
			return nil, known
		}
		return nil, fault.Bad(f.Name, "the index is not valid JSON: %s", strings.TrimPrefix(err.Error(), "jsontext: ")).
			At(dec.InputOffset()).
			Hint("copy or download it again")
	}
	if len(x.where) == 0 {
		return nil, fault.Bad(f.Name, "the index has no weight_map, or an empty one").Hint("copy or download it again")
	}
	shards := map[string]string{}
	for _, shard := range x.where {
		shards[shard] = shard
	}
	if x.shards = sortedKeys(shards); len(x.shards) > maxShards {
		return nil, fault.Not(f.Name, "the index names %d shards, more than any model has", len(x.shards))
	}
	return x, nil
}

// read parses the JSON. An error that is no fault is one of syntax.
func (x *index) read(dec *jsontext.Decoder) error {
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		if err == nil {
			err = fault.Bad(x.file.Name, "the index is no JSON object").At(0)
		}
		return err
	}
	for dec.PeekKind() == '"' {
		key, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if key.String() != "weight_map" {
			if err := safetensors.Skip(dec); err != nil {
				return err
			}
			continue
		}
		if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
			return fault.Bad(x.file.Name, "its weight_map is no object").At(dec.InputOffset())
		}
		names := map[string]string{} // of the files, each held once
		for dec.PeekKind() == '"' {
			name, err := dec.ReadToken()
			if err != nil {
				return err
			}
			key := name.String()
			shard, err := dec.ReadToken()
			if err != nil {
				return err
			}
			text := shard.String()
			if shard.Kind() != '"' || text == "" || text != path.Base(text) || strings.ContainsAny(text, `/\`) || text == ".." ||
				text == "." {
				return fault.Bad(x.file.Name, "the index says that it lies in %q, which is no file beside it", text).In(key).
					At(dec.InputOffset())
			}
			x.where[key] = intern(names, text)
			if what := x.tally.Add(key); what != "" {
				return fault.Not(x.file.Name, "this is more than any model has: %s", what).At(dec.InputOffset())
			}
		}
		if _, err := dec.ReadToken(); err != nil {
			return err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return fault.Bad(x.file.Name, "the index goes on after its object").At(dec.InputOffset())
	}
	return nil
}

// openIndexed opens the model of the folder's index; of two, the one of safetensors.
func (f *folder) openIndexed() (*Model, error) {
	chosen, usually := f.indexes[0], false
	for _, usual := range []string{"pytorch_model.bin", "model.safetensors"} { // the last one there is wins
		for _, x := range f.indexes {
			if path.Base(x.Name) == usual+indexEnding {
				chosen, usually = x, true
			}
		}
	}
	if !usually && len(f.indexes) > 1 {
		return nil, fault.Not("", "there are %d indexes (%s, %s) and Nibble converts one model at a time", len(f.indexes),
			f.indexes[0].Name, f.indexes[1].Name).Hint("choose the files of one")
	}
	x, err := readIndex(chosen)
	if err != nil {
		return nil, err
	}
	byName := map[string]*tensor.File{}
	for _, w := range f.weights {
		byName[path.Base(w.Name)] = w
	}
	var shards []*tensor.File
	var missing []string
	for _, name := range x.shards {
		if w := byName[name]; w != nil {
			shards = append(shards, w)
		} else {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, f.missingShards(chosen.Name, missing, len(x.shards))
	}
	first := shardName.FindStringSubmatch(x.shards[0])
	for _, w := range f.weights {
		m := shardName.FindStringSubmatch(path.Base(w.Name))
		if first != nil && m != nil && m[1] == first[1] && m[4] == first[4] && !slices.Contains(shards, w) {
			return nil, fault.Bad(w.Name, "this shard is not in the index %s", path.Base(chosen.Name)).
				Hint("take it away when it is of another version of the model, or download the index again")
		}
	}
	return f.openShards(shards, x)
}

// openShards opens shards as one model. With an index, each tensor must lie where that says.
func (f *folder) openShards(shards []*tensor.File, x *index) (*Model, error) {
	s := shardSet{model: &Model{Name: f.modelName(), Files: shards, Folder: true, Sharded: true}, index: x,
		shardOf: map[string]*tensor.File{}}
	for i := range shards {
		if err := s.add(i); err != nil {
			return nil, err
		}
	}
	if err := s.checkIndex(); err != nil {
		return nil, err
	}
	out := s.model
	out.Quantized = quantized(out)
	out.noteAdapter()
	out.State.Notes = append(out.State.Notes, f.others(shards)...)
	f.takeAlong(out)
	return out, nil
}

// shardSet is the model that shards make, while they are opened one after the other.
type shardSet struct {
	model    *Model
	index    *index // nil without one
	shardOf  map[string]*tensor.File
	tally    tensor.Tally
	metadata int // bytes of what all shards say in __metadata__
	unnamed  int // tensors that the index does not name
}

// add opens shard number i and takes its tensors.
func (s *shardSet) add(i int) error {
	out, shard := s.model, s.model.Files[i]
	c, err := Open(shard)
	if err != nil {
		return err
	}
	if out.Format != "" && out.Format != c.Format {
		return fault.Not(shard.Name, "this shard is %s, the one before it is %s", c.Format, out.Format).
			Hint("choose the shards of one model")
	}
	out.Format = c.Format
	if s.metadata += shareMetadata(c.State.Body, out.Bodies); s.metadata > maxMetadata {
		return fault.Not(shard.Name, "__metadata__ of the shards takes more than %d MB in all", maxMetadata>>20)
	}
	for k := range c.State.Tensors {
		if err := s.addName(c.State.Tensors[k].Name, shard); err != nil {
			return err
		}
		out.From = append(out.From, i)
	}
	out.Bodies = append(out.Bodies, c.State.Body)
	out.State.Tensors = append(out.State.Tensors, c.State.Tensors...)
	out.State.Notes = append(out.State.Notes, c.State.Notes...)
	out.State.Absent = append(out.State.Absent, c.State.Absent...)
	out.State.LeftOut += c.State.LeftOut
	return nil
}

// addName takes the name of a tensor that lies in a shard. It refuses one that another shard has, and one that the
// index looks for elsewhere.
func (s *shardSet) addName(name string, shard *tensor.File) error {
	if other := s.shardOf[name]; other != nil {
		return fault.Bad(shard.Name, "it is in %s, too", path.Base(other.Name)).In(name).
			Hint("one of the two shards is of another version of the model: download both again")
	}
	s.shardOf[name] = shard
	if what := s.tally.Add(name); what != "" {
		return fault.Not(shard.Name, "this is more than any model has: %s", what)
	}
	if s.index == nil {
		return nil
	}
	switch says, ok := s.index.where[name]; {
	case !ok:
		s.unnamed++
	case says != path.Base(shard.Name):
		return fault.Bad(shard.Name, "the index says that it lies in %s", says).In(name).Hint(otherVersions)
	}
	return nil
}

// otherVersions is what to do where an index and its shards do not go together.
const otherVersions = "index and shards are of different versions of the model: download them again"

// checkIndex refuses an index that names a tensor that no shard has, and notes tensors that it does not name.
func (s *shardSet) checkIndex() error {
	if s.index == nil {
		return nil
	}
	for _, name := range sortedKeys(s.index.where) {
		if s.shardOf[name] == nil {
			shard := path.Join(path.Dir(s.index.file.Name), s.index.where[name])
			return fault.Bad(shard, "the index says that it lies here, and it does not").In(name).Hint(otherVersions)
		}
	}
	if s.unnamed > 0 {
		note := fmt.Sprintf("%d tensors are in the shards and not in the index; they are carried over", s.unnamed)
		s.model.State.Notes = append(s.model.State.Notes, note)
	}
	return nil
}

// maxMetadata bounds what all shards say in __metadata__, in bytes; what they say alike counts once.
const maxMetadata = 64 << 20

// shareMetadata puts the texts of the shard before in the place of equal ones, and returns how many bytes the others
// take.
func shareMetadata(body any, before []any) (bytes int) {
	own, ok := body.(*safetensors.Body)
	if !ok {
		return 0
	}
	last := map[string]string{}
	if len(before) > 0 {
		if b, ok := before[len(before)-1].(*safetensors.Body); ok {
			last = b.Metadata
		}
	}
	for key, text := range own.Metadata {
		bytes += len(key)
		if held, ok := last[key]; ok && held == text {
			own.Metadata[key] = held
		} else {
			bytes += len(text)
		}
	}
	return bytes
}

// intern returns the text that was seen first of those that are equal, so that each is held once.
func intern(held map[string]string, text string) string {
	if first, ok := held[text]; ok {
		return first
	}
	held[text] = text
	return text
}

// sortedKeys are the keys of a map, in order.
func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
