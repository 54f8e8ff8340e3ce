package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxLine bounds what one line of a container's output may take, in bytes; a longer one is broken.
const maxLine = 16 * 1024

// report tells the console what went wrong; boot goes on as far as it can.
func report(format string, args ...any) {
	writeConsole("service: " + fmt.Sprintf(format, args...))
}

// writeConsole writes one line by one write, so that lines of several containers do not mix.
func writeConsole(line string) {
	console, err := os.OpenFile("/dev/console", os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer console.Close()
	console.WriteString(line + "\n")
}

// output is where a container's lines go: the console, with the container's name in front,
// and a log file below /run/log.
type output struct {
	name string
	file *os.File
}

func openOutput(name, path string) *output {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		report("%s: %v", name, err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		report("%s: %v", name, err)
	}
	return &output{name: name, file: file}
}

// copy takes lines until the source ends, that is until the last process that holds it has gone.
func (o *output) copy(source io.Reader) {
	reader := bufio.NewReaderSize(source, maxLine)
	for {
		chunk, err := reader.ReadSlice('\n')
		if line := strings.TrimRight(string(chunk), "\r\n"); len(chunk) > 0 {
			writeConsole("[" + o.name + "] " + line)
			if o.file != nil {
				fmt.Fprintln(o.file, line)
			}
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}
