package model

import (
	"bytes"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/format/safetensors"
	"nibble/quant/tensor"
)

const (
	original = "Nibble reads PyTorch and safetensors checkpoints: drop the one this was made from"
	again    = "the download went wrong: sign in where the model needs it, or copy the direct link"
	unpack   = "unpack it and drop the checkpoint inside"
)

// foreign is the literal table of what is recognised by its first bytes and refused.
var foreign = []struct{ magic, what, do string }{
	{"GGUF", "a GGUF model", original},
	{"lmgg", "a GGML model", original}, {"tjgg", "a GGML model", original}, {"fmgg", "a GGML model", original},
	{"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras)", original},
	{"\x93NUMPY", "a NumPy array (.npy)", "put the arrays in a state dict and save it with safetensors or torch.save"},
	{"version https://git-lfs", "a Git LFS pointer, not the model itself",
		"fetch the real file with git lfs pull, or download it from the model's page"},
	{"%PDF-", "a PDF document", "drop the checkpoint"},
	{"\x1f\x8b", "a gzip file", unpack}, {"BZh", "a bzip2 file", unpack}, {"\xfd7zXZ\x00", "an xz file", unpack},
	{"\x28\xb5\x2f\xfd", "a Zstandard file", unpack}, {"7z\xbc\xaf\x27\x1c", "a 7-Zip file", unpack},
	{"Rar!\x1a\x07", "a RAR file", unpack},
	{"PK\x05\x06", "an empty zip file", "drop the checkpoint itself"},
	{"PK\x07\x08", "one part of a split zip file", "join the parts and unpack them"},
	{"ARROW1", "an Arrow file", "drop the checkpoint"}, {"PAR1", "a Parquet file", "drop the checkpoint"},
	{"{\"__metadata__\"", "the header of a safetensors file without the file around it", "copy or download it again"},
}

const unknown = "this is not a model file that Nibble knows"

// isUnknown reports whether refuse could not say what the file is.
func isUnknown(err error) bool {
	e, ok := err.(*fault.Error)
	return ok && e.What == unknown
}

// isDistributed reports whether a file is of torch.distributed.checkpoint.
func isDistributed(name string) bool { return strings.HasSuffix(name, ".distcp") }

// distributed refuses a checkpoint of torch.distributed.checkpoint, with the command that makes one file of it.
func distributed(name string) error {
	return fault.Not(name, "this is part of a distributed checkpoint (torch.distributed.checkpoint)").
		Code(fault.Distributed).
		Hint("make one file of its folder with python -m torch.distributed.checkpoint.format_utils dcp_to_torch " +
			"FOLDER model.pt")
}

// refuse says what a file is that Nibble does not read.
func refuse(f *tensor.File, head []byte) error {
	if isDistributed(f.Name) {
		return distributed(f.Name)
	}
	if gzip := "\x1f\x8b"; strings.HasSuffix(f.Name, ".nemo") && bytes.HasPrefix(head, []byte(gzip)) {
		return fault.Not(f.Name, "this is a NeMo archive, compressed").
			Hint("unpack it with tar -xzf and drop the model_weights.ckpt inside")
	}
	for _, row := range foreign {
		if bytes.HasPrefix(head, []byte(row.magic)) {
			return fault.Not(f.Name, "this is %s", row.what).Hint("%s", row.do)
		}
	}
	text := strings.ToLower(strings.TrimLeft(string(head), " \t\r\n\ufeff"))
	ends := func(suffix string) bool { return strings.HasSuffix(strings.ToLower(f.Name), suffix) }
	switch {
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"), strings.HasPrefix(text,
		"<head"), strings.HasPrefix(text, "<?xml") && strings.Contains(text, "html"):
		return fault.Not(f.Name, "this is a web page, not a model").Hint("%s", again)
	case strings.HasPrefix(text, "<?xml"):
		return fault.Not(f.Name, "this is an XML document, not a model").Hint("%s", again)
	case strings.HasPrefix(text, "{\"error\""), strings.HasPrefix(text,
		"invalid username or password"), strings.HasPrefix(text, "access to model"),
		strings.HasPrefix(text, "entry not found"):
		return fault.Not(f.Name, "this is an error message of a website, not a model").Hint("%s", again)
	case len(head) >= 8 && string(head[4:8]) == "TFL3":
		return fault.Not(f.Name, "this is a TensorFlow Lite model").Hint("%s", original)
	case isONNX(head) || ends(".onnx"):
		return fault.Not(f.Name, "this is an ONNX model").Hint("%s", original)
	case ends(".mlmodel"), ends("/model.mlmodel"), inFolder(f.Name, ".mlpackage"), inFolder(f.Name,
		".mlmodelc"), ends("coremldata.bin"):
		return fault.Not(f.Name, "this is part of a Core ML model").Hint("%s", original)
	case inFolder(f.Name, ".aimodel"), ends(".aimodel"):
		return fault.Not(f.Name, "this is part of an Apple AI model (.aimodel)").Hint("%s", original)
	case ends("saved_model.pb"), ends(".pb"), ends(".index") &&
		strings.Contains(f.Name, "ckpt"), strings.Contains(f.Name, ".data-00000-of-"),
		bytes.HasPrefix(head, []byte("\x00\x00\x09\x08\x01")):
		return fault.Not(f.Name, "this is a TensorFlow model").Hint("%s", original)
	case ends(".msgpack"):
		return fault.Not(f.Name, "this is a Flax model").Hint("%s", original)
	case head[0] == 0x80 && len(head) > 1 && head[1] <= 5:
		return fault.Not(f.Name, "this is a Python pickle that is not a PyTorch checkpoint").
			Hint("save the weights with torch.save(model.state_dict(), ...)")
	case bytes.Count(head, []byte{0}) == len(head):
		return fault.Bad(f.Name, "the file begins with %d zero bytes", len(head)).At(0).
			Hint("the download did not finish: copy or download it again")
	}
	if ends(".safetensors") { // not by its content; its reader knows what is wrong with it
		if _, err := safetensors.Read(f); err != nil {
			return err
		}
	}
	return fault.Not(f.Name, unknown).
		Hint("drop a PyTorch checkpoint (.pt, .pth, .bin, .ckpt) or a .safetensors file")
}

// isONNX looks for a protobuf ModelProto: ir_version (field 1), then most often
// producer_name (field 2) or an opset or graph.
func isONNX(head []byte) bool {
	return len(head) > 4 && head[0] == 0x08 && head[1] >= 3 && head[1] <= 20 &&
		(head[2] == 0x12 || head[2] == 0x3a || head[2] == 0x42)
}

func inFolder(name, suffix string) bool { return strings.Contains(name, suffix+"/") }
