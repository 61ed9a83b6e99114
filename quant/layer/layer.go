// Package layer is the one table of the classes of layers that Nibble tells apart: names are PyTorch's, or those of the
// library that has the class. It says how many axes a class's weight has and which of them are its outputs and its
// inputs. Whether a class is quantized is for a policy to say.
package layer

// Class is one class of layers.
type Class struct {
	Name    string
	Rank    int  // axes of the weight; none where weights of the class differ, and are kept
	Out, In int  // which axis has the outputs and which the inputs, of a weight of 2 axes or more
	Named   bool // only names of parameters show it, so that it is not offered to set
}

// Names that code speaks of.
const (
	Linear    = "Linear"
	Attention = "MultiheadAttention"
	Embedding = "Embedding"
	Conv1D    = "Conv1D" // of Transformers: a Linear whose weight is [in, out]
	Recurrent = "RNN"
	Other     = "Module" // any other class: its weights are kept
)

// Table is the classes in the order they are offered.
var Table = []Class{
	{Linear, 2, 0, 1, false},
	{Conv1D, 2, 1, 0, false},
	{Embedding, 2, 0, 1, false},
	{Attention, 2, 0, 1, true},
	{"Conv1d", 3, 0, 1, false},
	{"ConvTranspose1d", 3, 1, 0, false},
	{"Conv2d", 4, 0, 1, false},
	{"ConvTranspose2d", 4, 1, 0, false},
	{"Conv3d", 5, 0, 1, false},
	{"ConvTranspose3d", 5, 1, 0, false},
	{Recurrent, 0, 0, 1, true},
	{Other, 0, 0, 1, false},
}

// Of is the class of a name. One that is not in the table has its outputs first, as almost all have.
func Of(name string) Class {
	for _, c := range Table {
		if c.Name == name {
			return c
		}
	}
	return Class{Name: name, Out: 0, In: 1}
}

// Known reports whether the table has a name.
func Known(name string) bool { return Of(name).Rank > 0 || name == Other }

// Transposed reports whether the inputs lie on the first axis.
func (c Class) Transposed() bool { return c.In == 0 && c.Out == 1 }
