package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

const runc = "/usr/bin/runc"

// runToCompletion runs each container of a folder until it ends, one after another. One
// that fails is reported, and the next one has its turn.
func runToCompletion(folder, kind string) error {
	if err := becomeReaper(); err != nil {
		return err
	}
	containers, err := bundles(folder)
	if err != nil {
		return err
	}
	for i := range containers {
		if err := runOnce(&containers[i], kind); err != nil {
			report("%s %s: %v", kind, containers[i].name, err)
		}
	}
	return nil
}

func runOnce(b *bundle, kind string) error {
	if err := b.prepare(); err != nil {
		return err
	}
	defer b.release()

	log := openOutput(b.name, filepath.Join("/run/log", kind, b.name+".log"))
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	var copied sync.WaitGroup
	copied.Add(1)
	go func() {
		defer copied.Done()
		log.copy(read)
	}()
	defer copied.Wait()
	// The container holds the other end of the pipe; the copy ends when it and its children have gone.
	defer write.Close()

	if b.attaches() {
		return b.runAttached(kind, write)
	}
	container := exec.Command(runc, runcArgs("run", "--bundle", b.folder, b.name)...)
	container.Stdout, container.Stderr = write, write
	return container.Run()
}

// runAttached runs a container that is given interfaces, or whose namespaces are kept,
// between its creation and its start.
func (b *bundle) runAttached(kind string, write *os.File) error {
	if err := os.MkdirAll("/run/containers", 0o755); err != nil {
		return err
	}
	pidFile := filepath.Join("/run/containers", kind+"."+b.name+".pid")
	create := exec.Command(runc, runcArgs("create", "--bundle", b.folder, "--pid-file", pidFile, b.name)...)
	create.Stdout, create.Stderr = write, write
	if err := create.Run(); err != nil {
		return fmt.Errorf("runc create: %w", err)
	}
	defer exec.Command(runc, "delete", "--force", b.name).Run()
	pid, err := readPid(pidFile)
	if err != nil {
		return err
	}
	if err := b.attach(pid); err != nil {
		return err
	}
	start := exec.Command(runc, "start", b.name)
	start.Stdout, start.Stderr = write, write
	if err := start.Run(); err != nil {
		return fmt.Errorf("runc start: %w", err)
	}
	status, err := waitFor(pid)
	if err != nil {
		return err
	}
	if status.Signaled() {
		return fmt.Errorf("ended by signal %d", status.Signal())
	}
	if status.ExitStatus() != 0 {
		return fmt.Errorf("exit status %d", status.ExitStatus())
	}
	return nil
}

// runcArgs adds runc's debug switch when the kernel command line asks for it.
func runcArgs(args ...string) []string {
	if text, err := os.ReadFile("/proc/cmdline"); err == nil && strings.Contains(string(text), "linuxkit.runc_debug=1") {
		return append([]string{"--debug"}, args...)
	}
	return args
}

func readPid(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// prSetChildSubreaper makes processes whose parent has gone our children (prctl(2)).
const prSetChildSubreaper = 36

func becomeReaper() error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// waitFor waits for a container's first process. runc, its parent, has ended after
// creating it, and so it has become ours.
func waitFor(pid int) (syscall.WaitStatus, error) {
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		return status, err
	}
}
