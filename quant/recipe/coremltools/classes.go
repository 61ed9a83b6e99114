package coremltools

import (
	"slices"

	"nibble/quant/layer"
)

// layers are the classes PostTrainingQuantizer quantizes.
var layers = []string{
	layer.Linear, "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", layer.Attention,
}

// IsLayer reports whether coremltools quantizes a class of this name.
func IsLayer(class string) bool { return slices.Contains(layers, class) }

// quantizable reports whether a config is asked about a class: beside coremltools' own, those that Nibble quantizes
// when it is asked to.
func quantizable(class string) bool {
	return IsLayer(class) || class == layer.Embedding || class == layer.Conv1D
}
