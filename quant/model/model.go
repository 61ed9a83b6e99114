// Package model is the front door in: it recognises what a file is by its
// content, never by its name, and opens it to a StateDict. It is the only room that
// reads headers and pickles, and it reads no weights.
//
// A new format is one row of the table below and a package under format/. Files
// that Nibble knows but does not read are named (foreign.go), so that the user learns
// what was dropped. A model may lie in several files (folder.go).
//
// Only package quant is stable.
package model

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"

	"nibble/quant/fault"
	"nibble/quant/format/huggingface"
	"nibble/quant/format/safetensors"
	"nibble/quant/format/torch"
	"nibble/quant/tensor"
)

// Model is what came in.
type Model struct {
	Name    string         // of the file, or of the folder that the shards are in
	Files   []*tensor.File // that hold weights: one, or the shards in order of name
	Format  string         // for people: "PyTorch zip", "safetensors"
	State   tensor.StateDict
	Bodies  []any          // of each file, the format's own rest
	Folder  bool           // the output is to be a folder: shards, or a file of a folder in Hugging Face's form
	Sharded bool           // several of Files hold its weights, and the output is to be sharded again
	From    []int          // of a sharded model: the file of each tensor, as index into Files
	Beside  []*tensor.File // small files of the folder, to be copied

	Config   *huggingface.Config // of the folder; nil where there is none that can be read
	NoConfig error               // why one that is there cannot

	Wanted    []string   // parts that were asked for
	Quantized *Quantized // what quantized it before; nil when nothing did
	Missing   []string   // shards that are not there, by the name of the one file that is

	packed  []Packed // see Packed
	checked bool     // their shapes were read
}

// Bytes is the size of the files that hold weights.
func (c *Model) Bytes() (n int64) {
	for _, f := range c.Files {
		n += f.Size
	}
	return n
}

// LeaveOut takes small files away that are not to be copied along, with a note on each; why says the reason,
// "" for those that stay. A config that is left out says nothing of the model.
func (c *Model) LeaveOut(why func(name string) string) {
	c.Beside = slices.DeleteFunc(c.Beside, func(f *tensor.File) bool {
		reason := why(f.Name)
		if reason != "" {
			c.State.Notes = append(c.State.Notes, path.Base(f.Name)+" "+reason+" and is left out")
			if c.Config != nil && c.Config.File == f {
				c.Config, c.packed = nil, nil
			}
		}
		return reason != ""
	})
}

// Portable says why no zip should hold a file of this name, which some systems cannot unpack: "" where all can.
func Portable(name string) string {
	if strings.ContainsFunc(path.Base(name),
		func(r rune) bool { return strings.ContainsRune(`\:*?"<>|`, r) || !unicode.IsPrint(r) }) {
		return "has a name that not every system can unpack"
	}
	return ""
}

// TorchZip is the Format of torch.save's zips.
const TorchZip = torch.Saved

// formats is the literal table of what can be read. match looks at the first bytes
// (512, or all there are) and must not read more; open fills State and, where one format
// has several kinds, Format.
var formats = []struct {
	name  string
	match func(head []byte, size int64) bool
	open  func(f *tensor.File, want []string) (*Model, error)
}{
	{TorchZip, torch.Match, openTorch},
	{"PyTorch before 1.6", torch.MatchLegacy, openLegacy},
	{torch.Tar, torch.MatchTar, openTar},
	{"safetensors", safetensors.Match, openSafetensors},
}

// Open recognises and opens one file. Of one that holds several models, those of the parts that are wanted are
// read, or the one that its framework means.
func Open(f *tensor.File, want ...string) (*Model, error) {
	if f.Size == 0 {
		return nil, fault.Bad(f.Name, "the file is empty").Hint("copy or download it again")
	}
	head, err := headOf(f)
	if err != nil {
		return nil, err
	}
	for _, row := range formats {
		if row.match(head, f.Size) && !isDistributed(f.Name) {
			c, err := row.open(f, want)
			if err != nil {
				return nil, err
			}
			if len(c.State.Tensors) == 0 && len(c.State.Parts) == 0 {
				return nil, fault.Not(f.Name, "the file holds no tensors").Hint("there is nothing in it to convert")
			}
			if c.Format == "" {
				c.Format = row.name
			}
			c.Name, c.Files, c.Bodies, c.Wanted = f.Name, []*tensor.File{f}, []any{c.State.Body}, want
			c.Quantized = quantized(c)
			c.noteAdapter()
			return c, nil
		}
	}
	return nil, refuse(f, head)
}

// headOf reads the first bytes, by which a file is recognised.
func headOf(f *tensor.File) ([]byte, error) {
	head := make([]byte, min(f.Size, 512))
	_, err := io.ReadFull(io.NewSectionReader(f.R, 0, f.Size), head)
	return head, err
}

func openTorch(f *tensor.File, want []string) (*Model, error) {
	state, kind, err := torch.Read(f, want)
	if err != nil {
		return nil, err
	}
	c := &Model{Name: f.Name, State: *state, Format: kind}
	if kind != torch.Saved {
		err = chooseParts(c, want)
	}
	return c, err
}

func openLegacy(f *tensor.File, want []string) (*Model, error) {
	state, err := torch.ReadLegacy(f, want)
	if err != nil {
		return nil, err
	}
	return &Model{State: *state}, nil
}

func openTar(f *tensor.File, want []string) (*Model, error) {
	state, kind, err := torch.ReadTar(f, want)
	if err != nil {
		return nil, err
	}
	return &Model{State: *state, Format: kind}, nil
}

func openSafetensors(f *tensor.File, want []string) (*Model, error) {
	st, err := safetensors.Read(f)
	if err != nil {
		return nil, err
	}
	body := &safetensors.Body{Metadata: st.Metadata}
	c := &Model{Name: f.Name, State: tensor.StateDict{Tensors: st.Tensors, Body: body}, Bodies: []any{body}}
	c.absent(st.Metadata)
	return c, chooseParts(c, want)
}

// absent finds the names that safetensors.torch.save_model left out, as __metadata__ says: name -> the one kept.
func (c *Model) absent(metadata map[string]string) {
	there := map[string]bool{}
	for i := range c.State.Tensors {
		there[c.State.Tensors[i].Name] = true
	}
	for _, name := range sortedKeys(metadata) {
		if of := metadata[name]; there[of] && !there[name] {
			c.State.Absent = append(c.State.Absent, tensor.Alias{Name: name, Of: of})
		}
	}
}

// noteAdapter says of a LoRA that it is one.
func (c *Model) noteAdapter() {
	pairs := 0
	for i := range c.State.Tensors {
		name := c.State.Tensors[i].Name
		for _, mark := range []string{".lora_A.", ".lora_down.", ".lora_embedding_A", "_lora.down.", ".lora.down."} {
			if strings.Contains(name, mark) {
				pairs++
				break
			}
		}
	}
	if pairs > 0 {
		note := fmt.Sprintf("there is a LoRA adapter in it (%d %s), which is converted as it is; "+
			"to quantize a model with it, merge it into the model before", pairs, plural(pairs, "layer"))
		c.State.Notes = append(c.State.Notes, note)
	}
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
