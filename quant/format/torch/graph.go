package torch

import (
	"bytes"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"strings"

	"nibble/quant/tensor"
)

// The graph of a torch.export program shows what each weight is used for (torch/_export/serde/schema.py of PyTorch
// 2.8):
//
//	{"graph_module": {
//	   "graph": {"nodes": [{"target": "torch.ops.aten.linear.default", "inputs": [{"name", "arg"}], "outputs": [...],
//	                        "metadata": {"nn_module_stack": "KEY,PATH,CLASS;..."}}]},
//	   "signature": {"input_specs": [{"parameter": {"arg": {"name": "p_fc_weight"}, "parameter_name": "fc.weight"}}]}}}
//
// It lies in models/NAME.json, before 2.8 in serialized_exported_program.json. No operation is run.

// maxGraph bounds what is read of it, in bytes; the classes of a larger one are inferred.
const maxGraph = 32 << 20

// oldGraph is where the graph lies before 2.8.
const oldGraph = "serialized_exported_program.json"

// operations are the classes of layers by what their weight is given to, and as which input.
var operations = []struct{ target, input, class string }{
	{"aten.linear.", "weight", "Linear"},
	{"aten.embedding.", "weight", "Embedding"},
	{"aten.conv1d.", "weight", "Conv1d"}, {"aten.conv2d.", "weight", "Conv2d"}, {"aten.conv3d.", "weight", "Conv3d"},
	{"aten.conv_transpose1d.", "weight", "ConvTranspose1d"}, {"aten.conv_transpose2d.", "weight", "ConvTranspose2d"},
	{"aten.conv_transpose3d.", "weight", "ConvTranspose3d"},
	{"aten.layer_norm.", "weight", "LayerNorm"}, {"aten.native_layer_norm.", "weight", "LayerNorm"},
	{"aten.rms_norm.", "weight", "RMSNorm"}, {"aten.group_norm.", "weight", "GroupNorm"},
	{"aten.batch_norm.", "weight", "BatchNorm"}, {"aten.instance_norm.", "weight", "InstanceNorm"},
	{"aten.addmm.", "mat2", "Conv1D"}, {"aten.mm.", "mat2", "Conv1D"}, {"aten.matmul.", "other", "Conv1D"},
	{"aten.bilinear.", "weight", "Bilinear"},
}

// graph collects what the names in a graph are.
type graph struct {
	weights map[string]*tensor.Tensor // by name
	holders map[string]bool           // modules that have weights
	uses    map[string]string         // placeholder -> class, unknown where it has two uses
	modules map[string]string         // path of a module that has weights -> class, of torch's own
	alias   map[string]alias          // a weight in another form
	names   map[string]string         // placeholder -> name of the parameter
}

// alias is a weight that an operation gives on, perhaps turned.
type alias struct {
	of     string
	turned bool
}

// unknown is the class of a module whose weight the graph gives to no layer: it is kept.
const unknown = "no layer of torch.nn"

func newGraph(tensors []tensor.Tensor) *graph {
	none := func() map[string]string { return map[string]string{} }
	g := &graph{uses: none(), modules: none(), names: none(), alias: map[string]alias{}}
	g.weights, g.holders = map[string]*tensor.Tensor{}, map[string]bool{}
	for i := range tensors {
		module, _ := cutLast(tensors[i].Name)
		g.weights[tensors[i].Name], g.holders[module] = &tensors[i], true
	}
	return g
}

// node is one operation.
type node struct {
	Target   string      `json:"target"`
	Inputs   few[input]  `json:"inputs"`
	Outputs  few[output] `json:"outputs"`
	Metadata struct {
		Stack string `json:"nn_module_stack"`
	} `json:"metadata"`
}

type input struct {
	Name string `json:"name"`
	Arg  struct {
		Tensor reference `json:"as_tensor"`
		Bool   bool      `json:"as_bool"`
	} `json:"arg"`
}

type output struct {
	Tensor reference `json:"as_tensor"`
}

type reference struct {
	Name string `json:"name"`
}

// few is a list of which the first members are kept: no operation that matters has more.
type few[T any] []T

const atMost = 16

// UnmarshalJSONFrom reads a list member by member, so that a long one takes no memory.
func (f *few[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	return each(dec, func(x *T) {
		if len(*f) < atMost {
			*f = append(*f, *x)
		}
	})
}

// classesOf finds the classes of the layers of a program; nil where its graph is not there, or cannot be understood: it
// is only needed for them.
func (a *archive) classesOf(entry string, tensors []tensor.Tensor) map[string]string {
	text, err := a.content(entry, maxGraph)
	if err != nil {
		return nil
	}
	g := newGraph(tensors)
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	if g.walk(dec, "") != nil {
		return nil
	}
	return g.classes()
}

// walk goes to the nodes and the inputs, and passes over all else.
func (g *graph) walk(dec *jsontext.Decoder, path string) error {
	if dec.PeekKind() != '{' {
		return dec.SkipValue()
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() == '"' {
		tok, err := dec.ReadToken()
		if err != nil {
			return err
		}
		switch at := path + "/" + tok.String(); at {
		case "/graph_module", "/graph_module/graph", "/graph_module/signature":
			err = g.walk(dec, at)
		case "/graph_module/graph/nodes":
			err = each(dec, g.node)
		case "/graph_module/signature/input_specs":
			err = each(dec, g.spec)
		default:
			err = dec.SkipValue()
		}
		if err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// each decodes the members of a list, one at a time.
func each[T any](dec *jsontext.Decoder, take func(*T)) error {
	if dec.PeekKind() != '[' {
		return dec.SkipValue()
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for kind := dec.PeekKind(); kind != ']'; kind = dec.PeekKind() {
		var x T
		if err := json.UnmarshalDecode(dec, &x); err != nil {
			return err
		}
		take(&x)
	}
	_, err := dec.ReadToken()
	return err
}

// spec is an input of the graph: a parameter or a buffer has a name in the model.
type spec struct {
	Parameter struct {
		Arg  reference `json:"arg"`
		Name string    `json:"parameter_name"`
	} `json:"parameter"`
}

func (g *graph) spec(s *spec) {
	if g.weights[s.Parameter.Name] != nil {
		g.names[s.Parameter.Arg.Name] = s.Parameter.Name
	}
}

// node notes what an operation says of its inputs.
func (g *graph) node(n *node) {
	for part := range strings.SplitSeq(n.Metadata.Stack, ";") {
		_, part, _ = strings.Cut(part, ",") // a key, and then the path and the class
		path, class, _ := strings.Cut(part, ",")
		if g.holders[path] && strings.HasPrefix(class, "torch.nn.modules.") {
			_, g.modules[path] = cutLast(class)
		}
	}
	op := strings.TrimPrefix(n.Target, "torch.ops.")
	if g.givesOn(n, op) {
		return
	}
	for _, row := range operations {
		if !strings.HasPrefix(op, row.target) {
			continue
		}
		for i := range n.Inputs {
			if n.Inputs[i].Name == row.input {
				g.use(n.Inputs[i].Arg.Tensor.Name, row.class)
			}
		}
		return
	}
	if strings.HasPrefix(op, "aten.convolution.") {
		g.convolution(n)
	}
}

// givesOn notes an operation that gives a weight on, as it is or turned.
func (g *graph) givesOn(n *node, op string) bool {
	for _, row := range []struct {
		target string
		turns  bool
	}{
		{"aten.t.", true}, {"aten.permute.", true}, {"aten.transpose.", true}, {"aten.numpy_T.", true},
		{"aten.alias.", false}, {"aten.detach", false}, {"aten.clone.", false}, {"aten.to.", false},
		{"aten._to_copy.", false},
	} {
		if strings.HasPrefix(op, row.target) && len(n.Inputs) > 0 && len(n.Outputs) == 1 {
			from := n.Inputs[0].Arg.Tensor.Name
			if before, known := g.alias[from]; known {
				from, row.turns = before.of, row.turns != before.turned
			}
			g.alias[n.Outputs[0].Tensor.Name] = alias{from, row.turns}
			return true
		}
	}
	return false
}

// convolution is what a program is lowered to; how many axes there are, the weight shows (see classes).
func (g *graph) convolution(n *node) {
	class, weight := "Conv", ""
	for i := range n.Inputs {
		switch n.Inputs[i].Name {
		case "weight":
			weight = n.Inputs[i].Arg.Tensor.Name
		case "transposed":
			if n.Inputs[i].Arg.Bool {
				class = "ConvTranspose"
			}
		}
	}
	g.use(weight, class)
}

// use notes a class; a weight that was turned before a product is a Linear's.
func (g *graph) use(name, class string) {
	if name == "" {
		return
	}
	if a, known := g.alias[name]; known {
		if name = a.of; a.turned && class == "Conv1D" {
			class = "Linear"
		}
	}
	switch before := g.uses[name]; {
	case before == "" || before == class:
	case before == "Embedding" || class == "Embedding": // tied to a head
		class = "Embedding"
	default:
		class = unknown
	}
	g.uses[name] = class
}

// classes puts the classes to the modules.
func (g *graph) classes() map[string]string {
	out := map[string]string{}
	for placeholder, name := range g.names {
		module, param := cutLast(name)
		t, class := g.weights[name], g.uses[placeholder]
		if own := g.modules[module]; own != "" {
			if own != "NonDynamicallyQuantizableLinear" {
				out[module] = own
			}
			continue
		}
		if param != "weight" || len(t.Shape) < 2 {
			continue
		}
		if class == "Conv" || class == "ConvTranspose" {
			if class += string(rune('0'+len(t.Shape)-2)) + "d"; len(t.Shape) < 3 || len(t.Shape) > 5 {
				class = unknown
			}
		}
		if class == "" {
			class = unknown
		}
		out[module] = class
	}
	return out
}

// cutLast cuts a name at its last dot.
func cutLast(name string) (module, param string) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}
