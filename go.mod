// Nibble turns a model checkpoint into a 4-bit one, natively and in a browser tab.
module nibble

go 1.27.0

toolchain go1.27.3

require (
	// safejs: syscall/js that returns errors instead of panicking; only in wasm/.
	github.com/hack-pad/safejs v0.1.0
	// gopickle: Python's pickle machine; run behind our own scan and allow-list.
	github.com/nlpodyssey/gopickle v0.2.0
	// go-internal: testscript, the sessions of the command as readable scripts; only in tests.
	github.com/rogpeppe/go-internal v1.16.0
	// yaml: the YAML organisation's own parser, for recipes in YAML; read as nodes, bounded by us.
	go.yaml.in/yaml/v4 v4.0.0
)

require (
	golang.org/x/sys v0.26.0 // indirect
	golang.org/x/tools v0.26.0 // indirect
)
