package torch

import (
	"slices"
	"strings"

	"github.com/nlpodyssey/gopickle/types"

	"nibble/quant/fault"
)

// Nothing of a pickle is ever run here. But a file that would run a command in Python is not what it seems, and
// its user should hear of it. Whatever a pickle does with a name that runs commands (calls it, makes an object of
// it, hands it to map or functools.partial, sets it as a state), it names it first: so the name alone is refused,
// also where it is reached through another module's names. getattr and its like may be called, as pickles of
// nested classes do, but not for a name on the way to a command, and not handed on.

// dangerous are modules whose functions do something to the machine, and functions of others that do.
var dangerous = map[string]bool{
	"os": true, "posix": true, "nt": true, "subprocess": true, "sys": true, "runpy": true, "pty": true,
	"socket": true, "shutil": true,
	"ctypes": true, "_ctypes": true, "pdb": true, "bdb": true, "timeit": true, "webbrowser": true, "importlib": true,
	"popen2": true, "pip": true, "pydoc": true, "cProfile": true, "marshal": true,
	"code.interact": true, "code.InteractiveConsole": true, "code.InteractiveInterpreter": true, "trace.Trace": true,
	"profile.run": true, "profile.Profile": true,
	"commands.getoutput": true, "commands.getstatusoutput": true, "imp.load_source": true, "imp.load_module": true,
	"_posixsubprocess": true, "ensurepip": true, "venv": true, "idlelib": true, "ftplib": true, "smtplib": true,
	"telnetlib": true, "http.client": true, "http.server": true,
	"urllib.request": true, "requests": true, "httplib": true, "urllib2": true, "pkgutil": true,
	"builtins.eval": true, "builtins.exec": true, "builtins.compile": true, "builtins.open": true,
	"builtins.__import__": true, "builtins.breakpoint": true,
	"__builtin__.eval": true, "__builtin__.execfile": true, "__builtin__.compile": true, "__builtin__.open": true,
	"__builtin__.file": true, "__builtin__.__import__": true,
	"__builtin__.apply": true, "io.open": true, "_io.open": true, "_io.FileIO": true, "io.FileIO": true,
	"codecs.open":  true,
	"pickle.loads": true, "pickle.load": true, "_pickle.loads": true, "_pickle.load": true, "cPickle.loads": true,
	"cPickle.load": true, "dill.loads": true, "cloudpickle.loads": true,
	"joblib.load": true, "numpy.load": true, "torch.load": true, "torch.serialization.load": true,
	"torch.hub.load": true, "torch.utils.collect_env.run": true,
	"pickle.Unpickler": true, "_pickle.Unpickler": true, "operator.attrgetter": true, "operator.methodcaller": true,
	"_operator.attrgetter":   true,
	"_operator.methodcaller": true, "torch.utils.cpp_extension.load": true,
	"torch.utils.cpp_extension.load_inline":        true,
	"torch.jit.unsupported_tensor_ops.execWrapper": true, "types.FunctionType": true, "types.CodeType": true,
	"types.LambdaType": true, "uuid._popen": true, "platform.popen": true, "asyncio.create_subprocess_shell": true,
	"asyncio.create_subprocess_exec": true, "multiprocessing.Process": true,
	"multiprocessing.util.spawnv_passfds": true, "distutils.spawn.spawn": true,
	"torch._dynamo.guards.GuardBuilder.get": true, "numpy.testing._private.utils.runstring": true,
	"numpy.f2py.crackfortran.getlincoef": true,
}

// packages are those of them with modules below: code.models is somebody's own, os.path is not.
var packages = map[string]bool{
	"os": true, "importlib": true, "ctypes": true, "requests": true, "pip": true, "ensurepip": true, "venv": true,
	"idlelib": true,
}

// harmless are values of these modules that people keep in checkpoints.
var harmless = map[string]bool{
	"os.stat_result": true, "posix.stat_result": true, "nt.stat_result": true, "os.terminal_size": true,
	"posix.uname_result": true, "os.PathLike": true,
	"os.path.join": true, "os.path.basename": true, "os.path.dirname": true, "sys.version_info": true,
	"ctypes.c_long": true, "ctypes.c_double": true, "ctypes.c_int": true,
}

// onTheWay are modules that others have among their names, such as posixpath.os.
var onTheWay = map[string]bool{
	"os": true, "posix": true, "nt": true, "subprocess": true, "sys": true, "builtins": true, "__builtins__": true,
	"__builtin__": true, "shutil": true, "pty": true,
	"importlib": true, "runpy": true, "ctypes": true, "socket": true,
}

// attributes are those that getattr takes on the way to a command.
var attributes = []string{
	"system", "popen", "Popen", "eval", "exec", "execv", "execve", "execvp", "spawnl", "spawnv", "posix_spawn",
	"__dict__", "call", "check_call", "check_output", "run", "getoutput",
	"__import__", "__globals__", "__builtins__", "__subclasses__", "__getattribute__", "__loader__", "modules",
	"import_module",
}

// runsCommands reports whether a name is one of those. In newer protocols a name can lead through others:
// serialization.os.system of the module torch, eval.__call__ of builtins.
func runsCommands(module, name string) bool {
	if harmless[module+"."+name] {
		return false
	}
	top, _, inside := strings.Cut(module, ".")
	if dangerous[module] || inside && packages[top] {
		return true
	}
	parts := strings.Split(name, ".")
	for i, part := range parts[:min(len(parts), 64)] {
		if i > 0 && slices.Contains(attributes, part) || onTheWay[strings.TrimLeft(part, "_")] || part == "__builtins__" {
			return true
		}
		if dangerous[module+"."+strings.Join(parts[:i+1], ".")] {
			return true
		}
		if i+1 < len(parts) && dangerous[part+"."+parts[i+1]] {
			return true
		}
	}
	return false
}

// refuse names what Python would run; how says by which road, where that is another than calling it.
func (c *class) refuse(how string) error {
	return fault.Not(c.reader.file.Name, "Python would run %s.%s%s when it loads this file, or hand it on",
		short(c.module), short(c.name), how).
		Hint("do not load it: a file of weights needs no such thing, and its maker should be asked")
}

// refusePassed refuses getattr among arguments, itself or in lists and tuples in them, as far as a few thousand go.
func refusePassed(args []any) error {
	left := 4096
	return passed(args, &left)
}

// passed is refusePassed with what is left of these few thousand.
func passed(args []any, left *int) error {
	for _, a := range args {
		if *left--; *left < 0 {
			return nil
		}
		var inner []any
		switch a := a.(type) {
		case *class:
			if a.isGetattr() {
				return a.refuse("")
			}
		case *types.Tuple:
			inner = *a
		case *types.List:
			inner = *a
		}
		if err := passed(inner, left); err != nil {
			return err
		}
	}
	return nil
}

// isGetattr reports whether a class is Python's getattr, by either of its names.
func (c *class) isGetattr() bool {
	builtin := c.module == "builtins" || c.module == "__builtin__"
	return builtin && (c.name == "getattr" || strings.HasSuffix(c.name, ".__getattribute__"))
}

// takesAttribute reports whether a call is getattr of a name on the way to a command.
func takesAttribute(c *class, args []any) bool {
	if !c.isGetattr() || len(args) < 2 {
		return false
	}
	name, ok := args[1].(string)
	return ok && (slices.Contains(attributes, name) || onTheWay[strings.TrimLeft(name, "_")])
}
