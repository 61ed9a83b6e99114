package plain

import (
	"encoding/binary"
	"strings"

	"nibble/quant/container"
	"nibble/quant/plan"
	"nibble/quant/tensor"
)

// Tensor is one tensor that an output must have.
type Tensor struct {
	DType tensor.Type
	Shape []int64
	Bytes []byte
}

// Output is every tensor that a container holds of a plan, by name, and what quantizing cost each
// entry; nil for what is kept.
func Output(p *plan.Plan, o container.Options, samples int64) (map[string]Tensor, []*Figures, error) {
	out, figures := map[string]Tensor{}, make([]*Figures, len(p.Entries))
	for i := range p.Entries {
		e := &p.Entries[i]
		if !e.Quantize {
			raw, err := Read(e.Tensor)
			if err != nil {
				return nil, nil, err
			}
			out[e.Tensor.Name] = Tensor{e.Tensor.DType, e.Tensor.Shape, raw}
			continue
		}
		w, err := Quantize(e)
		if err != nil {
			return nil, nil, err
		}
		steps := w.Steps
		switch o.To {
		case "packed", "":
			w.packed(e, out)
		case "mlx":
			w.mlxFolder(e, out)
		case "int8":
			w.int8(e, o.HighNibble == "zero", out)
		case "coremltools":
			w.coremltools(e, out)
			steps = floats(out[e.Tensor.Name].Bytes, e.Tensor.DType) // as they are stored: bfloat16 has rounded them
		}
		figures[i] = figuresOf(w, steps, samples)
	}
	return out, figures, nil
}

// words is codes in 32-bit words, unsigned, each row in words of its own.
func (w *Weight) words(e *plan.Entry, d tensor.Type) Tensor {
	bits, per := e.Scheme.Bits(), 32/e.Scheme.Bits()
	rows := int(e.Tensor.Shape[0])
	row := len(w.Codes) / rows
	words := (row + per - 1) / per
	codes := make([]uint32, rows*words)
	for i, q := range w.Codes {
		codes[i/row*words+i%row/per] |= w.unsigned(e, q) << (i % row % per * bits)
	}
	return Tensor{d, []int64{int64(rows), int64(words)}, bytesOf(codes)}
}

// mlxFolder is codes in words, and scales and offsets in the weight's dtype.
func (w *Weight) mlxFolder(e *plan.Entry, out map[string]Tensor) {
	module := strings.TrimSuffix(e.Tensor.Name, "weight")
	shape := e.Grid.ScaleShape(2)
	out[e.Tensor.Name] = w.words(e, tensor.U32)
	out[module+"scales"] = Tensor{e.Tensor.DType, shape, stored(w.Scale, e.Tensor.DType)}
	out[module+"biases"] = Tensor{e.Tensor.DType, shape, stored(w.Offset, e.Tensor.DType)}
}

// packed is two codes a byte, or one, unsigned, each row in 32-bit words of its own.
func (w *Weight) packed(e *plan.Entry, out map[string]Tensor) {
	name, bits, per := e.Tensor.Name, e.Scheme.Bits(), 32/e.Scheme.Bits()
	rows := int(e.Tensor.Shape[0])
	out[name+"_packed"] = w.words(e, tensor.I32)
	across := int(e.Grid.ScaleShape(2)[1])
	tall := rows * across / len(w.Scale)
	scale, zero := make([]float64, 0, rows*across), make([]uint32, (rows+per-1)/per*across)
	for r := range rows {
		for c := range across {
			k := r/tall*across + c
			scale = append(scale, w.Scale[k])
			zero[r/per*across+c] |= w.unsigned(e, w.Zero[k]) << (r % per * bits)
		}
	}
	out[name+"_scale"] = Tensor{e.Tensor.DType, []int64{int64(rows), int64(across)}, stored(scale, e.Tensor.DType)}
	if e.Scheme.HasZeroPoint() {
		out[name+"_zero_point"] = Tensor{tensor.I32, []int64{int64((rows + per - 1) / per), int64(across)}, bytesOf(zero)}
	}
	out[name+"_shape"] = numbers([]int64{int64(len(e.Tensor.Shape))}, e.Tensor.Shape...)
}

// unsigned is a code as compressed-tensors stores it: from 0 on.
func (w *Weight) unsigned(e *plan.Entry, code int) uint32 {
	if e.Scheme.Signed() {
		code += 1 << (e.Scheme.Bits() - 1)
	}
	return uint32(code)
}

// int8 is a code a byte. With cleared, the high 4 bits of 4-bit codes are 0.
func (w *Weight) int8(e *plan.Entry, cleared bool, out map[string]Tensor) {
	name, blocks := e.Tensor.Name, e.Grid.ScaleShape(len(e.Tensor.Shape))
	d := codeType(e)
	codes, mask := d, 0xff
	if cleared && e.Scheme.Bits() == 4 {
		codes, mask = tensor.U8, 15
	}
	raw := make([]byte, len(w.Codes))
	for i, q := range w.Codes {
		raw[i] = byte(q & mask)
	}
	out[name] = Tensor{codes, e.Tensor.Shape, raw}
	out[name+"_scale"] = Tensor{e.Tensor.DType.Arithmetic(), blocks, stored(w.Scale, e.Tensor.DType.Arithmetic())}
	if e.Scheme.HasZeroPoint() {
		out[name+"_zero_point"] = Tensor{d, blocks, w.zeros()}
	}
}

// coremltools adds what the state dict holds that PostTrainingQuantizer leaves.
func (w *Weight) coremltools(e *plan.Entry, out map[string]Tensor) {
	name, blocks, d := e.Tensor.Name, e.Grid.ScaleShape(len(e.Tensor.Shape)), e.Tensor.DType
	module := name[:strings.LastIndexByte(name, '.')+1]
	buffer := module + "_COREML_/" + strings.TrimPrefix(name, module) + "/"
	out[name] = Tensor{d, e.Tensor.Shape, stored(w.Steps, d)}
	out[buffer+"quantization_n_bits"] = numbers(nil, int64(e.Scheme.Bits()))
	out[buffer+"quantization_scale"] = Tensor{d.Arithmetic(), blocks, stored(w.Scale, d.Arithmetic())}
	if e.Scheme.HasZeroPoint() {
		out[buffer+"zero_point"] = Tensor{codeType(e), blocks, w.zeros()}
	}
	out[buffer+"compression_type"] = numbers([]int64{1}, 3)
}

func codeType(e *plan.Entry) tensor.Type {
	if e.Scheme.Signed() {
		return tensor.I8
	}
	return tensor.U8
}

func (w *Weight) zeros() (raw []byte) {
	for _, z := range w.Zero {
		raw = append(raw, byte(z))
	}
	return raw
}

func numbers(shape []int64, v ...int64) Tensor {
	var raw []byte
	for _, n := range v {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(n))
	}
	return Tensor{tensor.I64, shape, raw}
}

func bytesOf(words []uint32) (raw []byte) {
	for _, n := range words {
		raw = binary.LittleEndian.AppendUint32(raw, n)
	}
	return raw
}
