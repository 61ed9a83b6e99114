package torch

import (
	"encoding/json/jsontext"
	"fmt"
	"maps"
	"strings"
	"testing"

	"nibble/quant/tensor"
)

// program is the JSON of a graph: its nodes, and the names of its parameters by their placeholders.
func program(nodes string, names ...string) string {
	var specs []string
	for _, n := range names {
		specs = append(specs, fmt.Sprintf(`{"parameter":{"arg":{"name":"p_%s"},"parameter_name":%q}}`,
			strings.ReplaceAll(n, ".", "_"), n))
	}
	return `{"schema_version":{"major":8},"graph_module":{"graph":{"inputs":[],"nodes":[` + nodes +
		`]},"signature":{"input_specs":[{"user_input":{}},` +
		strings.Join(specs, ",") + `]}}}`
}

func call(target, out string, inputs ...string) string {
	var list []string
	for _, in := range inputs {
		name, arg, _ := strings.Cut(in, "=")
		if arg == "true" || arg == "false" {
			list = append(list, fmt.Sprintf(`{"name":%q,"arg":{"as_bool":%s}}`, name, arg))
		} else {
			list = append(list, fmt.Sprintf(`{"name":%q,"arg":{"as_tensor":{"name":%q}}}`, name, arg))
		}
	}
	return fmt.Sprintf(`{"target":"torch.ops.%s","inputs":[%s],"outputs":[{"as_tensor":{"name":%q}}],"metadata":{}}`,
		target, strings.Join(list, ","), out)
}

// What a weight is given to shows its layer's class, in programs as exported and as lowered.
func TestGraph(t *testing.T) {
	shapes := map[string]int{
		"fc.weight": 2, "up.weight": 4, "down.weight": 4, "c_fc.weight": 2, "low.weight": 2, "two.weight": 2, "emb.weight": 2,
		"none.weight": 2, "own.weight": 2,
		"cast.weight": 2,
	}
	var tensors []tensor.Tensor
	var names []string
	for name, rank := range shapes {
		tensors = append(tensors, tensor.Tensor{Name: name, Shape: make([]int64, rank)})
		names = append(names, name)
	}
	text := program(strings.Join([]string{
		call("aten.linear.default", "a", "input=x", "weight=p_fc_weight"),
		call("aten.conv_transpose2d.input", "b", "input=a", "weight=p_up_weight"),
		call("aten.convolution.default", "c", "input=b", "weight=p_down_weight", "transposed=false"),
		call("aten.addmm.default", "d", "self=bias", "mat1=c", "mat2=p_c_fc_weight"),
		call("aten.t.default", "turned", "self=p_low_weight"),
		call("aten.addmm.default", "e", "self=bias", "mat1=d", "mat2=turned"),
		call("aten.embedding.default", "f", "weight=p_two_weight", "indices=x"),
		call("aten.linear.default", "g", "input=f", "weight=p_two_weight"),
		call("aten.matmul.default", "i", "self=g", "other=p_own_weight"),
		call("aten.to.dtype", "half", "self=p_cast_weight"),
		call("aten.linear.default", "j", "input=i", "weight=half"),
		call("aten.embedding.default", "h", "weight=p_emb_weight", "indices=x"),
	}, ","), names...)
	g := newGraph(tensors)
	if err := g.walk(jsontext.NewDecoder(strings.NewReader(text)), ""); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"fc": "Linear", "up": "ConvTranspose2d", "down": "Conv2d", "c_fc": "Conv1D", "low": "Linear",
		"emb": "Embedding", "two": "Embedding", "none": unknown, "own": "Conv1D", "cast": "Linear",
	}
	if got := g.classes(); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A graph that is cut, or is something else, shows nothing; a list without end takes no memory.
func TestGraphsWithoutClasses(t *testing.T) {
	cut := program(call("aten.linear.default", "a", "weight=p_fc_weight"), "fc.weight")[:120]
	for _, text := range []string{"", "{", `[]`, `{"graph_module":3}`, `{"graph_module":{"graph":{"nodes":{}}}}`, cut} {
		g := newGraph([]tensor.Tensor{{Name: "fc.weight", Shape: []int64{2, 2}}})
		if g.walk(jsontext.NewDecoder(strings.NewReader(text)), "") == nil && len(g.classes()) > 0 {
			t.Errorf("%q gives %v", text, g.uses)
		}
	}
	many := strings.Repeat(`{},`, 100_000) + `{}`
	var n few[input]
	if err := n.UnmarshalJSONFrom(jsontext.NewDecoder(strings.NewReader("[" + many + "]"))); err != nil ||
		len(n) != atMost {
		t.Errorf("%d, %v", len(n), err)
	}
}
