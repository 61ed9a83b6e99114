//go:build unix

package main

import (
	"os"
	"syscall"
)

// stopping are the signals that end a command, which then takes away what it began.
var stopping = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
