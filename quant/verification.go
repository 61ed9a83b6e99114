package quant

import (
	"context"

	"nibble/quant/container"
	"nibble/quant/model"
	"nibble/quant/verify"
)

// OpenOutput is Open for what a conversion made, which may be one zip of a sharded output.
func OpenOutput(files []*File) (*Model, error) {
	if len(files) == 1 {
		files = model.Unzipped(files[0])
	}
	return model.OpenOne(files)
}

// PartsOf are the parts of its source that an output says it was made of; none where it says nothing.
func PartsOf(out *Model) []string { return container.Asked(out).Parts }

// Verify holds an output against the source it was made from. Differences are in the verification; an error is a file
// that cannot be read, or one that Nibble did not write.
func Verify(ctx context.Context, out, source []*File, o Options) (*Verification, error) {
	made, err := OpenOutput(out)
	if err != nil {
		return nil, err
	}
	if len(o.Parts) == 0 {
		o.Parts = PartsOf(made)
	}
	from, err := Open(source, o)
	if err != nil {
		return nil, err
	}
	return VerifyModels(ctx, made, from, o)
}

// VerifyModels is Verify for what OpenOutput and Open opened; it does not read Options.Parts.
func VerifyModels(ctx context.Context, out, source *Model, o Options) (*Verification, error) {
	if len(source.State.Tensors) == 0 {
		return nil, source.Convertible()
	}
	row, err := container.Of(out)
	if err != nil {
		return nil, err
	}
	open, err := row.Open(out)
	if err != nil {
		return nil, err
	}
	v, err := verify.Run(ctx, open, &out.State, &source.State, o.Limits, o.Progress)
	if err == nil {
		v.Container = row.Name
	}
	return v, err
}
