package quant

import (
	"nibble/quant/convert"
	"nibble/quant/fault"
	"nibble/quant/model"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/report"
	"nibble/quant/tensor"
	"nibble/quant/tile"
	"nibble/quant/verify"
)

// The types that callers hold have their home in the rooms; these names of theirs are stable.
type (
	// File is one input: a Name to show, its Size in bytes, and R, an io.ReaderAt of its bytes.
	File = tensor.File

	// Model is what Open opened: its Name, Format and Files; State.Tensors has name, dtype and shape of each tensor,
	// State.Parts the models of a file that holds several, State.Notes what was left out and why. Quantized is not nil
	// for a model that is quantized already, which Plan refuses. Bytes is the size of the files with weights.
	Model = model.Model

	// Report is report.json: Tensors has a row for each tensor with its Verdict, Reason, Scheme, BytesIn, BytesOut and,
	// after a conversion, its errors; Totals the sums; Notes, Advice and Warnings what a user should read. JSON(w), CSV(w)
	// and HTML(w) write it.
	Report = report.Report

	// Figures are what quantizing a tensor lost: RMSE, SQNR in dB, Cosine and MaxAbsError; nil where there is no such
	// number.
	Figures = report.Figures

	// Verification is what Verify found: OK, the Container, and a row for each tensor with its Problem.
	Verification = verify.Report

	// Error is what a file causes: Kind, File, Tensor, Offset, What was found, what to Do, and Name, a code that programs
	// can act on ("choose_part", "already_quantized", "none_quantized", "tied", "unfit" and others); errors.As finds it.
	Error = fault.Error

	// Create begins a file of the output, of so many bytes; the file before it was closed. The name is Options.Name where
	// the output is one file. One that has a method Abandon is abandoned, not closed, when it will not be whole.
	Create = convert.Create

	// Worker does tasks of a conversion; wasm/ implements it with web workers. It is not stable.
	Worker = convert.Worker

	// Limits are the sizes at which work is cut. Tests set them tiny.
	Limits = tile.Limits

	// Words are a config of one entry, in words: DType, Granularity, GroupSize, Scheme; what is "" has the default.
	Words = coremltools.Global

	// Edit is what one module becomes: its name, and Words; nil keeps it.
	Edit = coremltools.Edit

	// Least is how large a weight must be to be quantized where coremltools would not: Inputs, and Weights.
	Least = recipe.Least
)

// The kinds of an Error: the bytes of a file are wrong, or they are sound and Nibble does not do that.
const (
	FormatError      = fault.Format
	UnsupportedError = fault.Unsupported
)
