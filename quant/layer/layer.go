// Package layer is the one table of the classes of layers that Nibble distinguishes: names are PyTorch's, or those of
// the library that has the class. It says how many axes a class's weight has and which of them are its outputs and
// its inputs. Whether a class is quantized is for a policy to say.
//
// Only package quant is stable.
package layer

// Class is one class of layers.
type Class struct {
	Name    string
	Rank    int  // axes of the weight
	Varied  bool // weights of the class differ in their axes, and the class has no rank
	Out, In int  // which axis has the outputs and which the inputs, of a weight of 2 axes or more
	Named   bool // only names of parameters show it, so that it is not offered to set
}

// The names of classes that other packages name.
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
	{Name: Linear, Rank: 2, Out: 0, In: 1},
	{Name: Conv1D, Rank: 2, Out: 1, In: 0},
	{Name: Embedding, Rank: 2, Out: 0, In: 1},
	{Name: Attention, Rank: 2, Out: 0, In: 1, Named: true},
	{Name: "Conv1d", Rank: 3, Out: 0, In: 1},
	{Name: "ConvTranspose1d", Rank: 3, Out: 1, In: 0},
	{Name: "Conv2d", Rank: 4, Out: 0, In: 1},
	{Name: "ConvTranspose2d", Rank: 4, Out: 1, In: 0},
	{Name: "Conv3d", Rank: 5, Out: 0, In: 1},
	{Name: "ConvTranspose3d", Rank: 5, Out: 1, In: 0},
	{Name: Recurrent, Varied: true, Out: 0, In: 1, Named: true},
	{Name: Other, Varied: true, Out: 0, In: 1},
}

// Of is the class of a name. One that is not in the table has its outputs first, as almost all have.
func Of(name string) Class {
	for _, c := range Table {
		if c.Name == name {
			return c
		}
	}
	return Class{Name: name, Varied: true, Out: 0, In: 1}
}

// Settable reports whether a user may say that a module is of a class: one whose weights have a rank, or Other.
func Settable(name string) bool { return !Of(name).Varied || name == Other }

// Transposed reports whether the inputs lie on the first axis.
func (c Class) Transposed() bool { return c.In == 0 && c.Out == 1 }
