package torch

import (
	"bytes"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// Archives of torch.export.save (.pt2), whose weights lie in one of three ways:
//
//	NAME/data/weights/model_weights_config.json   name -> entry, dtype, sizes; entries
//	NAME/data/weights/weight_0 ...                beside it (seen in torch 2.15)
//	NAME/data/weights/model.pt                    a torch.save zip, stored (torch 2.8)
//	serialized_state_dict.pt                      the same at the root (before 2.8)
//
// where model is the program's name; an archive can hold several.

// oldWeightsZip is the entry with the weights before PyTorch 2.8.
const oldWeightsZip = "serialized_state_dict.pt"

// maxConfig bounds the config, in bytes.
const maxConfig = 12 << 20

const exportNote = "the file holds a program of torch.export; of its graph only the classes of its layers are read; " +
	"constants and example inputs are left out"

// programs finds the names of the programs in the archive, each with its weights' entry.
func (a *archive) programs() map[string][]string {
	found := map[string][]string{}
	for _, e := range a.entries {
		if m := weightsEntry.FindStringSubmatch(e.Name); m != nil && m[1] == a.root && a.entry("archive_format") != nil {
			found[m[2]] = append(found[m[2]], strings.TrimPrefix(e.Name, a.root))
		}
	}
	if e := a.entries[oldWeightsZip]; !a.saved && len(found) == 0 && e != nil && e.Name == oldWeightsZip {
		a.root = ""
		found["model"] = []string{oldWeightsZip}
	}
	return found
}

var weightsEntry = regexp.MustCompile(`^([^/]*/)data/weights/([^/]+?)(?:_weights_config\.json|\.pt)$`)

// program is the entry with the weights of the one program in the archive.
func (a *archive) program() (entry string, err error) {
	programs := a.programs()
	var names []string
	for name := range programs {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) > 1 {
		return "", fault.Not(a.file.Name, "the archive holds %d programs (%s)", len(names), short(strings.Join(names, ", "))).
			Hint("save the one to be converted alone, with torch.export.save")
	}
	entries := programs[names[0]]
	slices.Sort(entries)
	if len(entries) > 1 {
		return "", fault.Bad(a.file.Name, "the archive holds the weights twice, as %s and as %s", short(entries[0]),
			short(entries[1])).
			Hint("save the program again, with torch.export.save")
	}
	return entries[0], nil
}

func readExported(a *archive) (*tensor.StateDict, error) {
	entry, err := a.program()
	if err != nil {
		return nil, err
	}
	if a.root != "" {
		if err := a.records(); err != nil {
			return nil, err
		}
	}
	var state *tensor.StateDict
	if strings.HasSuffix(entry, ".pt") {
		state, err = a.inner(entry)
	} else {
		state, err = readWeightsConfig(a, entry)
	}
	if err == nil {
		state.Notes = append(state.Notes, exportNote)
		state.Classes = a.classesOf(a.graphOf(entry), state.Tensors)
	}
	return state, err
}

// graphOf is the entry with the graph of the program whose weights an entry holds.
func (a *archive) graphOf(weights string) string {
	if weights == oldWeightsZip {
		return oldGraph
	}
	name := strings.TrimPrefix(weights, "data/weights/")
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".pt"), "_weights_config.json")
	return "models/" + name + ".json"
}

// inner reads a torch.save zip that is an entry of this one.
func (a *archive) inner(name string) (*tensor.StateDict, error) {
	span, err := a.span(name)
	if err != nil {
		return nil, err
	}
	size := span.End - span.Start
	file := &tensor.File{Name: a.file.Name + "/" + name, Size: size, R: io.NewSectionReader(a.file.R, span.Start, size)}
	in, err := open(file)
	if err != nil {
		return nil, err
	}
	if !in.saved {
		return nil, fault.Bad(file.Name, "there is no data.pkl in it")
	}
	if err := in.records(); err != nil {
		return nil, err
	}
	return readSaved(in, nil)
}

// scalarTypes are the numbers that torch.export gives dtypes (ScalarType in
// torch/_export/serde/schema.py).
var scalarTypes = map[int64]tensor.Type{
	1: tensor.U8, 2: tensor.I8, 3: tensor.I16, 4: tensor.I32, 5: tensor.I64, 6: tensor.F16, 7: tensor.F32, 8: tensor.F64,
	10: tensor.C64, 12: tensor.Bool, 13: tensor.BF16, 28: tensor.U16, 29: tensor.F8E4M3, 30: tensor.F8E5M2,
}

// strided is the layout of dense tensors in the same file.
const strided = 7

// weightMeta is one entry of the config.
type weightMeta struct {
	Path      string `json:"path_name"`
	UsePickle bool   `json:"use_pickle"`
	Meta      struct {
		DType   int64      `json:"dtype"`
		Layout  int64      `json:"layout"`
		Sizes   []integral `json:"sizes"`
		Strides []integral `json:"strides"`
		Offset  integral   `json:"storage_offset"`
	} `json:"tensor_meta"`
}

// integral is a size; a symbol instead of a number leaves it nil.
type integral struct {
	Int *int64 `json:"as_int"`
}

// readWeightsConfig reads the JSON in its own order.
func readWeightsConfig(a *archive, entry string) (*tensor.StateDict, error) {
	text, err := a.content(entry, maxConfig)
	if err != nil {
		return nil, err
	}
	bad := func(what string, args ...any) *fault.Error {
		return fault.Bad(a.file.Name, "%s: %s", short(entry), fmt.Sprintf(what, args...))
	}
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	for _, want := range []string{"{", "config", "{"} {
		if tok, err := dec.ReadToken(); err != nil || tok.String() != want {
			return nil, bad("it does not begin with a config")
		}
	}
	r, out := newReader(a.file), &tensor.StateDict{}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, bad("%v", err)
		}
		text := name.String()
		var m weightMeta
		if err := json.UnmarshalDecode(dec, &m); err != nil {
			return nil, bad("entry %q cannot be read (%v)", text, err)
		}
		t, err := r.exportedTensor(a, text, &m)
		if err != nil {
			return nil, err
		}
		out.Tensors = append(out.Tensors, *t)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, bad("%v", err)
	}
	if len(out.Tensors) == 0 {
		return nil, fault.Not(a.file.Name, "the exported program holds no weights")
	}
	return out, r.refuseSharedStorage()
}

func (r *reader) exportedTensor(a *archive, name string, m *weightMeta) (*tensor.Tensor, error) {
	d, ok := scalarTypes[m.Meta.DType]
	if !ok || m.Meta.Layout != strided || m.UsePickle {
		return nil, fault.Not(a.file.Name, "it is of torch.export's type %d in layout %d, which Nibble does not carry",
			m.Meta.DType, m.Meta.Layout).
			In(name).Hint("save the weights with torch.save(program.state_dict, ...)")
	}
	fields := make([]int64, 0, 2*len(m.Meta.Sizes)+1)
	for _, n := range append(append(append([]integral{}, m.Meta.Sizes...), m.Meta.Strides...), m.Meta.Offset) {
		if n.Int == nil || *n.Int < 0 {
			return nil, fault.Bad(a.file.Name, "its sizes, strides or offset are no numbers").In(name)
		}
		fields = append(fields, *n.Int)
	}
	rank := len(m.Meta.Sizes)
	if len(m.Meta.Strides) != rank || rank > 64 {
		return nil, fault.Bad(a.file.Name, "it has %d sizes and %d strides", rank, len(m.Meta.Strides)).In(name)
	}
	s := r.storages[m.Path]
	if s == nil {
		span, err := a.span("data/weights/" + m.Path)
		if err != nil {
			return nil, err
		}
		s = &storage{m.Path, storageClass{size: 1}, &body{size: span.End - span.Start, placed: true, Storage: span}}
		r.storages[m.Path] = s
	}
	v, err := r.view(s, d, fields[2*rank], fields[:rank], fields[rank:2*rank])
	if err != nil {
		return nil, err
	}
	return r.tensorOf(pair{name, v})
}
