package broken

import (
	"fmt"
	"strings"

	"nibble/quant/fault"
)

var foreignCases = []Case{
	{Name: "empty file", Kind: fault.Format, At: -1, Says: "the file is empty", Make: always("")},
	{Name: "text", Kind: fault.Unsupported, At: -1, Says: "not a model file",
		Make: always("hello, this is not a model at all")},
	{Name: "web page", Kind: fault.Unsupported, At: -1, Says: "web page",
		Make: always("<!DOCTYPE html><html><body>404</body></html>")},
	{Name: "web page in lower case", Kind: fault.Unsupported, At: -1, Says: "web page",
		Make: always("\n\n<html lang=en>")},
	{Name: "error of a website", Kind: fault.Unsupported, At: -1, Says: "error message of a website",
		Make: always(`{"error":"Repository not found"}`)},
	{Name: "login that failed", Kind: fault.Unsupported, At: -1, Says: "error message of a website",
		Make: always("Invalid username or password.")},
	{Name: "Git LFS pointer", Kind: fault.Unsupported, At: -1, Says: "Git LFS pointer",
		Make: always("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")},
	{Name: "GGUF", Kind: fault.Unsupported, At: -1, Says: "a GGUF model",
		Make: always("GGUF\x03\x00\x00\x00 and more of it")},
	{Name: "GGML", Kind: fault.Unsupported, At: -1, Says: "a GGML model", Make: always("lmgg\x01\x00\x00\x00")},
	{Name: "HDF5", Kind: fault.Unsupported, At: -1, Says: "HDF5 file (Keras)", Make: always("\x89HDF\r\n\x1a\n\x00\x00")},
	{Name: "NumPy array", Kind: fault.Unsupported, At: -1, Says: "NumPy array (.npy)",
		Make: always("\x93NUMPY\x01\x00v\x00{'descr': '<f4'")},
	{Name: "ONNX", Kind: fault.Unsupported, At: -1, Says: "this is an ONNX model",
		Make: always("\x08\x08\x12\x07pytorch\x1a\x052.8.0:\x80\x01")},
	{Name: "ONNX by its name", File: "m.onnx", Kind: fault.Unsupported, At: -1, Says: "this is an ONNX model",
		Make: always("\x3a\x01\x02\x03\x04")},
	{Name: "TensorFlow Lite", Kind: fault.Unsupported, At: -1, Says: "TensorFlow Lite",
		Make: always("\x1c\x00\x00\x00TFL3\x00\x00")},
	{Name: "TensorFlow", File: "saved_model.pb", Kind: fault.Unsupported, At: -1, Says: "a TensorFlow model",
		Make: always("\x08\x01\x12\x99\x01\n")},
	{Name: "TensorFlow checkpoint", File: "model.ckpt.data-00000-of-00001", Kind: fault.Unsupported, At: -1,
		Says: "a TensorFlow model", Make: always("\x01\x02\x03\x04\x05")},
	{Name: "Flax", File: "flax_model.msgpack", Kind: fault.Unsupported, At: -1, Says: "a Flax model",
		Make: always("\x82\xa6params\x81")},
	{Name: "Core ML, compiled", File: "m.mlmodelc/coremldata.bin", Kind: fault.Unsupported, At: -1,
		Says: "part of a Core ML model", Make: always("\x01\x02\x03\x04\x05")},
	{Name: "Core ML", File: "m.mlmodel", Kind: fault.Unsupported, At: -1, Says: "part of a Core ML model",
		Make: always("\x08\x09\x12\x05")},
	{Name: "Apple AI model", File: "m.aimodel/weights", Kind: fault.Unsupported, At: -1, Says: ".aimodel",
		Make: always("\x01\x02\x03\x04\x05")},
	{Name: "gzip", Kind: fault.Unsupported, At: -1, Says: "a gzip file", Make: always("\x1f\x8b\x08\x00")},
	{Name: "PDF", Kind: fault.Unsupported, At: -1, Says: "a PDF", Make: always("%PDF-1.7")},
	{Name: "pickle of something else", Kind: fault.Unsupported, At: -1,
		Says: "a Python pickle that is not a PyTorch checkpoint", Make: always("\x80\x02}q\x00.")},
	{Name: "empty zip", Kind: fault.Unsupported, At: -1, Says: "an empty zip file",
		Make: always("PK\x05\x06" + times("\x00", 18))},
	{Name: "zeros", Kind: fault.Format, At: 0, Says: "begins with 512 zero bytes", Make: always(times("\x00", 4096))},
}

// mapped is an index of pairs of tensor and file.
func mapped(pairs ...string) func() []byte {
	var b strings.Builder
	b.WriteString(`{"metadata":{"total_size":1},"weight_map":{`)
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + pairs[i] + `":"` + pairs[i+1] + `"`)
	}
	b.WriteString("}}")
	return always(b.String())
}

// shard is a safetensors file beside the index, with one tensor.
func shard(name, tensor string) Part {
	return Part{"home/" + name, header(`{"`+tensor+`":`+entry("U8", "[1]", "[0,1]")+`}`, 1)}
}

// file is any file beside the index.
func file(name, content string) Part { return Part{"home/" + name, always(content)} }

const (
	first  = "model-00001-of-00002.safetensors"
	second = "model-00002-of-00002.safetensors"
)

var (
	both    = []Part{shard(first, "a"), shard(second, "b")}
	mapBoth = mapped("a", first, "b", second)
)

var folderCases = []Case{
	{Name: "index is no JSON", Kind: fault.Format, At: 0, Says: "not valid JSON", Make: always("hello"), Also: both},
	{Name: "index is a web page", Kind: fault.Unsupported, At: -1, Says: "web page", Make: always("<html>"), Also: both},
	{Name: "index is a pointer", Kind: fault.Unsupported, At: -1, Says: "Git LFS pointer",
		Make: always("version https://git-lfs.github.com/spec/v1\n"), Also: both},
	{Name: "index is a list", Kind: fault.Format, At: 0, Says: "no JSON object", Make: always("[]"), Also: both},
	{Name: "index without a map", Kind: fault.Format, At: -1, Says: "no weight_map", Make: always(`{"metadata":{}}`),
		Also: both},
	{Name: "index with an empty map", Kind: fault.Format, At: -1, Says: "or an empty one", Make: mapped(), Also: both},
	{Name: "index whose map is a list", Kind: fault.Format, At: 15, Says: "weight_map is no object",
		Make: always(`{"weight_map":[]}`), Also: both},
	{Name: "index of numbers", Kind: fault.Format, Tensor: "a", At: 20, Says: "no file beside it",
		Make: always(`{"weight_map":{"a":1}}`), Also: both},
	{Name: "index that climbs", Kind: fault.Format, Tensor: "a", At: 65,
		Says: `"../../etc/passwd", which is no file beside it`, Make: mapped("a", "../../etc/passwd"), Also: both},
	{Name: "index with an absolute path", Kind: fault.Format, Tensor: "a", At: 60, Says: "no file beside it",
		Make: mapped("a", "/etc/passwd"), Also: both},
	{Name: "index with a backslash", Kind: fault.Format, Tensor: "a", At: 54, Says: "no file beside it",
		Make: mapped("a", `..\\x`), Also: both},
	{Name: "index with a doubled name", Kind: fault.Format, At: 81, Says: "duplicate",
		Make: mapped("a", first, "a", second), Also: both},
	{Name: "index in bad UTF-8", Kind: fault.Format, At: 44, Says: "UTF-8", Make: mapped("\xff", first), Also: both},
	{Name: "index that goes on", Kind: fault.Format, At: 57, Says: "goes on",
		Make: always(`{"weight_map":{"a":"` + first + `"}} {}`), Also: both},
	{Name: "index of 20,000 shards", Kind: fault.Unsupported, At: -1, Says: "names 20000 shards", Make: func() []byte {
		var pairs []string
		for i := range 20_000 {
			pairs = append(pairs, fmt.Sprint(i), fmt.Sprint("s", i))
		}
		return mapped(pairs...)()
	}, Also: both},
	{Name: "two indexes", Names: "-", Kind: fault.Unsupported, At: -1, Says: "there are 2 indexes",
		File: "home/a_model.safetensors.index.json", Make: mapBoth,
		Also: []Part{both[0], both[1], {"home/b_model.safetensors.index.json", mapBoth}}},
	{Name: "shard is missing", Kind: fault.Format, At: -1, Says: "2 shards make this model and some are missing: " +
		second, Make: mapBoth, Also: both[:1]},
	{Name: "shard is a pointer", Names: "home/" + second, Kind: fault.Unsupported, At: -1, Says: "Git LFS pointer",
		Make: mapBoth, Also: []Part{both[0], file(second, "version https://git-lfs.github.com/spec/v1\n")}},
	{Name: "shard is a web page", Names: "home/" + second, Kind: fault.Unsupported, At: -1, Says: "web page",
		Make: mapBoth, Also: []Part{both[0], file(second, "<!doctype html>")}},
	{Name: "shard is empty", Names: "home/" + second, Kind: fault.Format, At: -1, Says: "the file is empty", Make: mapBoth,
		Also: []Part{both[0], file(second, "")}},
	{Name: "shard is cut short", Names: "home/" + second, Kind: fault.Format, At: 62, Says: "cut short", Make: mapBoth,
		Also: []Part{both[0], {"home/" + second, header(`{"b":`+entry("U8", "[9]", "[0,9]")+`}`, 1)}}},
	{Name: "tensor in no shard", Names: "home/" + second, Kind: fault.Format, Tensor: "c", At: -1,
		Says: "the index says that it lies here, and it does not", Make: mapped("a", first, "b", second, "c", second),
		Also: both},
	{Name: "tensor in another shard", Names: "home/" + first, Kind: fault.Format, Tensor: "a", At: -1,
		Says: "the index says that it lies in " + second, Make: mapped("a", second, "b", first), Also: both},
	{Name: "tensor in two shards", Names: "home/" + second, Kind: fault.Format, Tensor: "a", At: -1, Says: "it is in " +
		first + ", too", Make: mapBoth, Also: []Part{both[0], shard(second, "a")}},
	{Name: "shard that the index does not name", Names: "home/model-00003-of-00003.safetensors", Kind: fault.Format,
		At: -1, Says: "not in the index", Make: mapBoth,
		Also: append(both[:2:2], shard("model-00003-of-00003.safetensors", "c"))},
	{Name: "shards of two formats", Names: "home/pytorch_model-00002-of-00002.bin", Kind: fault.Unsupported, At: -1,
		Says: "the one before it is safetensors", Make: mapped("a", first, "w", "pytorch_model-00002-of-00002.bin"),
		Also: []Part{both[0], {"home/pytorch_model-00002-of-00002.bin", good}}},
	{Name: "shards without an index, one missing", File: "home/" + first, Names: "-", Kind: fault.Format, At: -1,
		Says: "some are missing: " + second, Make: both[0].Make, Also: []Part{file("config.json", "{}")}},
	{Name: "shards of two models", File: "home/" + first, Names: "-", Kind: fault.Unsupported, At: -1,
		Says: "more than one model", Make: both[0].Make, Also: []Part{shard("other-00001-of-00002.safetensors", "a")}},
	{Name: "several models", File: "home/a.safetensors", Names: "-", Kind: fault.Unsupported, At: -1,
		Says: "2 model files were given", Make: both[0].Make, Also: []Part{shard("b.safetensors", "b")}},
	{Name: "models in two folders", File: "home/a.safetensors", Names: "-", Kind: fault.Unsupported, At: -1,
		Says: "models in away and in home", Make: both[0].Make, Also: []Part{{"away/b.safetensors", both[0].Make}}},
	{Name: "folder without a model", File: "home/config.json", Names: "-", Kind: fault.Unsupported, At: -1,
		Says: "none of these 2 files", Make: always("{}"), Also: []Part{file("readme.md", "hello")}},
	{Name: "folder with a GGUF model", File: "home/config.json", Names: "home/m.gguf", Kind: fault.Unsupported, At: -1,
		Says: "a GGUF model", Make: always("{}"), Also: []Part{file("m.gguf", "GGUF\x03\x00\x00\x00")}},
	{Name: "folder of pointers", File: "home/config.json", Names: "home/model.safetensors", Kind: fault.Unsupported,
		At: -1, Says: "Git LFS pointer", Make: always("{}"),
		Also: []Part{file("model.safetensors", "version https://git-lfs.github.com/spec/v1\n")}},
}
