package torch

import (
	"slices"
	"strings"

	"github.com/nlpodyssey/gopickle/types"

	"nibble/quant/fault"
)

// Nothing of a pickle is ever run here. But a file that would run a command in Python is not what it seems, and
// its user should hear of it: in the known ways, which are a call of what is listed here, an object of it, handing
// it to another call (map, functools.partial, a defaultdict), and a way to it through other modules' names or
// getattr.

// dangerous are modules whose functions do something to the machine, and functions of others that do.
var dangerous = map[string]bool{
	"os": true, "posix": true, "nt": true, "subprocess": true, "sys": true, "runpy": true, "pty": true, "socket": true, "shutil": true,
	"ctypes": true, "_ctypes": true, "code": true, "codeop": true, "pdb": true, "bdb": true, "timeit": true, "webbrowser": true, "importlib": true,
	"imp": true, "commands": true, "popen2": true, "pip": true, "pydoc": true, "cProfile": true, "profile": true, "trace": true, "marshal": true,
	"_posixsubprocess": true, "ensurepip": true, "venv": true, "idlelib": true, "ftplib": true, "smtplib": true, "telnetlib": true, "http": true, "urllib": true,
	"requests": true, "httplib": true, "urllib2": true,
	"builtins.eval": true, "builtins.exec": true, "builtins.compile": true, "builtins.open": true, "builtins.__import__": true, "builtins.breakpoint": true,
	"__builtin__.eval": true, "__builtin__.execfile": true, "__builtin__.compile": true, "__builtin__.open": true, "__builtin__.file": true, "__builtin__.__import__": true,
	"__builtin__.apply": true, "io.open": true, "_io.open": true, "_io.FileIO": true, "io.FileIO": true, "codecs.open": true,
	"pickle.loads": true, "pickle.load": true, "_pickle.loads": true, "_pickle.load": true, "cPickle.loads": true, "cPickle.load": true, "dill.loads": true, "cloudpickle.loads": true,
	"joblib.load": true, "numpy.load": true, "torch.load": true, "torch.serialization.load": true, "torch.hub.load": true, "torch.utils.collect_env.run": true,
	"types.FunctionType": true, "types.CodeType": true, "types.LambdaType": true, "uuid._popen": true, "platform.popen": true, "asyncio.create_subprocess_shell": true,
	"asyncio.create_subprocess_exec": true, "multiprocessing.Process": true, "multiprocessing.util.spawnv_passfds": true, "distutils.spawn.spawn": true,
	"torch._dynamo.guards.GuardBuilder.get": true, "numpy.testing._private.utils.runstring": true, "numpy.f2py.crackfortran.getlincoef": true,
}

// packages are those of them with modules below: code.models is somebody's own, os.path is not.
var packages = map[string]bool{
	"os": true, "importlib": true, "ctypes": true, "urllib": true, "http": true, "requests": true, "pip": true, "ensurepip": true, "venv": true, "idlelib": true,
}

// onTheWay are modules that others have among their names, such as posixpath.os.
var onTheWay = map[string]bool{
	"os": true, "posix": true, "nt": true, "subprocess": true, "sys": true, "builtins": true, "__builtins__": true, "__builtin__": true, "shutil": true, "pty": true,
	"importlib": true, "runpy": true, "ctypes": true, "socket": true,
}

// attributes are those that getattr takes on the way to a command.
var attributes = []string{
	"system", "popen", "Popen", "eval", "exec", "execv", "execve", "execvp", "spawnl", "spawnv", "call", "check_call", "check_output", "run", "getoutput",
	"__import__", "__globals__", "__builtins__", "__subclasses__", "__getattribute__", "__loader__", "modules", "import_module",
}

// runsCommands reports whether a name is one of those. In newer protocols a name can lead through others:
// serialization.os.system of the module torch.
func runsCommands(module, name string) bool {
	if len(module)+len(name) > 200 { // none of these
		return false
	}
	top, _, inside := strings.Cut(module, ".")
	if dangerous[module] || dangerous[module+"."+name] || inside && packages[top] {
		return true
	}
	for part := range strings.SplitSeq(module+"."+name, ".") {
		if part != top && onTheWay[strings.TrimLeft(part, "_")] || part == "__builtins__" {
			return true
		}
	}
	return false
}

// refuse names what Python would run; how says by which road, where that is another than calling it.
func (c *class) refuse(how string) error {
	return fault.Not(c.reader.file.Name, "Python would run %s.%s%s when it loads this file", c.module, c.name, how).
		Hint("do not load it: a file of weights needs no such thing, and its maker should be asked")
}

// handsOver refuses arguments among which is what runs commands, itself or in a list.
func handsOver(args []any) error {
	for _, a := range args[:min(len(args), 64)] {
		list := []any{a}
		switch a := a.(type) {
		case *types.Tuple:
			list = (*a)[:min(len(*a), 16)]
		case *types.List:
			list = (*a)[:min(len(*a), 16)]
		}
		for _, x := range list {
			if c, ok := x.(*class); ok && c.runs {
				if len(args) > 1 && a == args[0] {
					if name, ok := args[1].(string); ok && len(name) < 80 {
						return c.refuse("." + name)
					}
				}
				return c.refuse("")
			}
		}
	}
	return nil
}

// takesAttribute reports whether a call is getattr of such a name.
func takesAttribute(c *class, args []any) bool {
	if c.name != "getattr" || c.module != "builtins" && c.module != "__builtin__" || len(args) < 2 {
		return false
	}
	name, ok := args[1].(string)
	return ok && slices.Contains(attributes, name)
}
