package safetensors

import (
	"cmp"
	"encoding/json"

	"nibble/quant/fault"
	"nibble/quant/format/safetensors"
	"nibble/quant/layout"
	"nibble/quant/model"
	"nibble/quant/plan"
	"nibble/quant/recipe"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// The keys of __metadata__ stand in package format/safetensors: who opens models knows them, too.
const (
	metaVersion   = safetensors.NibbleVersion
	metaContainer = safetensors.NibbleContainer
	metaRecipe    = safetensors.NibbleRecipe
	metaSchemes   = safetensors.NibbleSchemes // JSON: source name -> Note
	metaOptions   = safetensors.NibbleOptions // JSON: recipe.Options, where something was asked for beyond the recipe
)

// Note is how __metadata__ says what a quantized tensor went through.
type Note struct {
	WeightDType string  `json:"weight_dtype"`
	Mode        string  `json:"quantization_scheme"`
	ScaleShape  []int64 `json:"scale_shape"`           // number of blocks on each axis of the source
	HighNibble  string  `json:"high_nibble,omitempty"` // "zero" when the high 4 bits were cleared
	Method      string  `json:"method,omitempty"`      // row of the table of methods; "" is coremltools'
	ScaleDType  string  `json:"scale_dtype,omitempty"` // BF16 where scales were rounded to it before codes were made
	Offsets     bool    `json:"offsets,omitempty"`     // the least code's value stands beside each scale
}

// Scheme is what the note says.
func (n Note) Scheme() scheme.Scheme {
	return scheme.Scheme{
		Method: n.Method, WeightDType: scheme.WeightDType(n.WeightDType), Mode: scheme.Mode(n.Mode),
		Held: scheme.Held{NarrowScales: n.ScaleDType == tensor.BF16.String(), Offsets: n.Offsets},
	}
}

// note is that of a weight of the plan.
func (k *Container) note(e *plan.Entry) Note {
	n := Note{
		WeightDType: string(e.Scheme.WeightDType), Mode: string(e.Scheme.Mode), Method: e.Scheme.Method,
		ScaleShape: e.Grid.ScaleShape(len(e.Tensor.Shape)), Offsets: e.Scheme.Offsets,
	}
	if e.Scheme.NarrowScales {
		n.ScaleDType = tensor.BF16.String()
	}
	if k.Note != nil {
		k.Note(e.Scheme, &n)
	}
	return n
}

// metadata is __metadata__ of a file.
func (k *Container) metadata(p *plan.Plan) (map[string]string, error) {
	notes := map[string]Note{}
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Quantize {
			notes[e.Tensor.Name] = k.note(e)
		}
	}
	text, err := json.Marshal(notes)
	if err != nil {
		return nil, err
	}
	config, _ := p.Export() // one that coremltools, or for a place Nibble, follows to the same result
	meta := map[string]string{
		"format":      cmp.Or(k.Format, "pt"),
		metaVersion:   k.Options.Version,
		metaContainer: k.Name,
		metaRecipe:    string(config.Compact()),
		metaSchemes:   string(text),
	}
	if !p.Options.IsZero() {
		text, err := json.Marshal(p.Options.WithoutNulls())
		if err != nil {
			return nil, err
		}
		meta[metaOptions] = string(text)
	}
	return meta, nil
}

// Wrote reports whether an opened file says that this container wrote it.
func Wrote(out *model.Model, container string) bool {
	return safetensors.Meta(out.Bodies, metaContainer) == container
}

// Asked is what an output says was asked for beyond its recipe.
func Asked(out *model.Model) (asked recipe.Options) {
	if json.Unmarshal([]byte(safetensors.Meta(out.Bodies, metaOptions)), &asked) != nil {
		return recipe.Options{}
	}
	return asked
}

// Notes are what an output says of its quantized weights, by the names that the source has, in all shards.
func Notes(out *model.Model) (map[string]Note, error) {
	notes := map[string]Note{}
	for i, body := range out.Bodies {
		text := safetensors.Meta([]any{body}, metaSchemes)
		if err := json.Unmarshal([]byte(text), &notes); err != nil {
			return nil, fault.Bad(out.Files[i].Name, "its %s entry is broken (%v)", metaSchemes, err)
		}
	}
	return notes, nil
}

// Open finds quantized weights by what the output says of them.
func (k Container) Open(out *model.Model) (layout.Opener, error) {
	notes, err := Notes(out)
	if err != nil {
		return nil, err
	}
	return func(src *tensor.Tensor, _ func(string) *tensor.Tensor) (*layout.Stored, error) {
		note, ok := notes[src.Name]
		if !ok {
			if k.Kept == nil {
				return nil, nil
			}
			return &layout.Stored{Kept: true, Pieces: k.Kept(src)}, nil
		}
		q := layout.Claim(src, note.ScaleShape, note.Scheme())
		switch {
		case q.Problem != "":
		case note.HighNibble != "" && (k.Sound == nil || !k.Sound(note)):
			return layout.Wrong("its high nibbles are %q", note.HighNibble), nil
		default:
			q.Pieces = k.Pieces(src, q.Schemes[0], q.Grid, note)
		}
		return q, nil
	}, nil
}
