package safetensors

// Body is what a file holds beside its tensors.
type Body struct {
	Metadata map[string]string // __metadata__
}

// Keys of __metadata__ that Nibble writes beside "format".
const (
	NibbleVersion   = "nibble"
	NibbleContainer = "nibble.container"
	NibbleRecipe    = "nibble.recipe"
	NibbleSchemes   = "nibble.schemes"
	NibbleOptions   = "nibble.options"
)

// Meta is the value that a key of __metadata__ has in the first of some files' bodies that has it.
func Meta(bodies []any, key string) string {
	for _, b := range bodies {
		if own, ok := b.(*Body); ok {
			if v, ok := own.Metadata[key]; ok {
				return v
			}
		}
	}
	return ""
}
