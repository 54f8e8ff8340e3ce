package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// grace is how long processes have between SIGTERM and SIGKILL.
const grace = 5 * time.Second

// process is what /proc/PID/status says of a process of the machine's own users.
type process struct {
	id int
	// deaf is true for the first process of a container that has no handler for SIGTERM: the
	// kernel does not deliver it such a signal (pid_namespaces(7)), so waiting is of no use.
	deaf bool
}

// terminate ends every process but the machine's first one, this one and its parent.
func terminate() error {
	deadline := time.Now().Add(grace)
	for _, p := range processes() {
		if p.deaf {
			syscall.Kill(p.id, syscall.SIGKILL)
		} else {
			syscall.Kill(p.id, syscall.SIGTERM)
		}
	}
	for time.Now().Before(deadline) {
		if len(processes()) == 0 {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, p := range processes() {
		syscall.Kill(p.id, syscall.SIGKILL)
	}
	return nil
}

func processes() []process {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	var found []process
	for _, folder := range folders {
		id, err := strconv.Atoi(filepath.Base(folder))
		if err != nil || id == 1 || id == os.Getpid() || id == os.Getppid() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, "status"))
		if err != nil {
			continue
		}
		if p, ok := parseStatus(id, string(text)); ok {
			found = append(found, p)
		}
	}
	return found
}

// parseStatus leaves out the kernel's own threads and processes that have ended.
func parseStatus(id int, status string) (process, bool) {
	fields := map[string]string{}
	for _, line := range strings.Split(status, "\n") {
		key, value, _ := strings.Cut(line, ":")
		fields[key] = strings.TrimSpace(value)
	}
	if id == 2 || fields["PPid"] == "2" || strings.HasPrefix(fields["State"], "Z") {
		return process{}, false
	}
	ids := strings.Fields(fields["NSpid"])
	first := len(ids) > 1 && ids[len(ids)-1] == "1"
	caught, err := strconv.ParseUint(fields["SigCgt"], 16, 64)
	return process{id: id, deaf: first && err == nil && caught&(1<<(syscall.SIGTERM-1)) == 0}, true
}
