// Package torch reads what PyTorch writes, and writes the zip files of torch.save
// (torch/serialization.py and caffe2/serialize/inline_container.h of PyTorch 2.8):
//
//	NAME/data.pkl      a pickle; tensors in it refer to storages by key
//	NAME/data/KEY      one storage each, stored, not compressed
//	NAME/byteorder     "little" or "big" (absent in old files: little)
//	NAME/version       "3"
//
// The zip's directory is read as PyTorch's own reader does (directory.go), so that no file is read in two ways;
// what only some readers would take is refused.
//
// It reads zips of torch.save, torch.jit.save (script.go) and torch.export.save
// (export.go), the format before 1.6 (legacy.go) and the tar of 0.1 (tar.go).
//
// Pickles run in package pickle behind three walls: it bounds every length
// and every allocation before a pickle runs, classes.go is the allow-list of what it may
// call, and storages stay byte ranges of the file; values are never read here. A whole
// pickled nn.Module is read as the records it consists of, and gives the classes of its
// layers (module.go). A pickle that would run a command in Python, in the known ways (danger.go), is
// refused by name; whatever else it calls becomes a record that nothing is done with.
//
// Refused as unsupported: sparse, quantized, nested and meta tensors, types that safetensors
// has no name for, big-endian files, frozen and quantized TorchScript, several programs in
// one archive. Package model calls the readers; the container coremltools calls Pickle and LayArchive.
//
// Only package quant is stable.
package torch

import "nibble/quant/tensor"

// Body is what a file of torch's holds beside its tensors and what belongs to none of them.
type Body struct {
	Versions []ModuleVersion // the state dict's _metadata, in file order
}

// ModuleVersion is one entry of a state dict's _metadata.
type ModuleVersion struct {
	Module  string
	Version int64
}

// Versions are those of some files' bodies, in their order.
func Versions(bodies []any) (all []ModuleVersion) {
	for _, b := range bodies {
		if own, ok := b.(*Body); ok {
			all = append(all, own.Versions...)
		}
	}
	return all
}

// dtypes maps torch's legacy storage classes and dtype names. Types without a
// storage class travel as UntypedStorage with _rebuild_tensor_v3.
var dtypes = []struct {
	d       tensor.Type
	storage string // torch.<storage>, "" when there is none
	name    string // torch.<name>
}{
	{tensor.F64, "DoubleStorage", "float64"},
	{tensor.F32, "FloatStorage", "float32"},
	{tensor.F16, "HalfStorage", "float16"},
	{tensor.BF16, "BFloat16Storage", "bfloat16"},
	{tensor.I64, "LongStorage", "int64"},
	{tensor.I32, "IntStorage", "int32"},
	{tensor.I16, "ShortStorage", "int16"},
	{tensor.I8, "CharStorage", "int8"},
	{tensor.U8, "ByteStorage", "uint8"},
	{tensor.Bool, "BoolStorage", "bool"},
	{tensor.C64, "ComplexFloatStorage", "complex64"},
	{tensor.U16, "", "uint16"},
	{tensor.U32, "", "uint32"},
	{tensor.U64, "", "uint64"},
	{tensor.F8E4M3, "", "float8_e4m3fn"},
	{tensor.F8E5M2, "", "float8_e5m2"},
	{tensor.F8E4M3FNUZ, "", "float8_e4m3fnuz"},
	{tensor.F8E5M2FNUZ, "", "float8_e5m2fnuz"},
	{tensor.F8E8M0, "", "float8_e8m0fnu"},
}

// Entry names inside the archive that Nibble writes.
const (
	Root      = "archive"
	PickleAt  = Root + "/data.pkl"
	OrderAt   = Root + "/byteorder"
	VersionAt = Root + "/version"
	DataAt    = Root + "/data/"
	Order     = "little"
	Version   = "3\n"
	Alignment = 64 // bytes, of every entry's data, as torch does
)
