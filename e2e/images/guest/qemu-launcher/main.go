// Command qemu-launcher runs one virtual machine in a pod, in the part of KubeVirt's virt-launcher:
// it prepares disks, starts QEMU, presses the power button on SIGTERM and takes the power away when
// the grace period is over. What it is to do stands as JSON in the environment variable LAUNCH; how
// the machine fares is told over HTTP (see control.go).
//
//	qemu-launcher              run the machine
//	qemu-launcher follow FILE  print the file as it grows: a serial port's output, for a container's log
//
// Exit status: 0 when the guest ended by itself, or was migrated away, which then stands as `migrated` in the
// termination message; 64 for a plan that cannot be read, and 1 for everything else: it crashed, never
// started, or was killed.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const (
	exitFailed = 1
	exitUsage  = 64
	// terminationLog is where Kubernetes reads a container's last words.
	terminationLog = "/dev/termination-log"
)

// plan is what LAUNCH holds.
type plan struct {
	// Kernel and Initrd are files that must be readable before anything starts; either may be empty.
	Kernel string `json:"kernel"`
	Initrd string `json:"initrd"`
	// Arguments are QEMU's, without the monitor's.
	Arguments []string `json:"arguments"`
	// GraceSeconds pass between the power button and the end of power.
	GraceSeconds int `json:"graceSeconds"`
	// ControlPort is where the machine is asked and told over HTTP.
	ControlPort int `json:"controlPort"`
	// StateFolder is an empty, writable folder.
	StateFolder string `json:"stateFolder"`
	Isos        []iso  `json:"isos"`
	Disks       []disk `json:"disks"`
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "follow" {
		os.Exit(follow(os.Args[2]))
	}
	var todo plan
	if err := json.Unmarshal([]byte(os.Getenv("LAUNCH")), &todo); err != nil {
		fmt.Fprintf(os.Stderr, "qemu-launcher: LAUNCH is not a plan: %v\n", err)
		os.Exit(exitUsage)
	}
	os.Exit(launch(todo))
}

// launch runs the machine to its end and gives the exit status.
func launch(todo plan) int {
	button := make(chan os.Signal, 1)
	signal.Notify(button, syscall.SIGTERM, syscall.SIGINT)
	machine := &domain{socket: filepath.Join(todo.StateFolder, "monitor")}
	if err := serveControl(todo.ControlPort, machine); err != nil {
		fmt.Fprintf(os.Stderr, "qemu-launcher: %v\n", err)
		return exitFailed
	}
	if err := prepare(todo); err != nil {
		return stay(machine, err, button)
	}
	ended, err := machine.start(todo.Arguments)
	if err != nil {
		return stay(machine, err, button)
	}
	var deadline <-chan time.Time
	for {
		select {
		case <-button:
			if deadline != nil {
				continue
			}
			deadline = time.After(time.Duration(max(todo.GraceSeconds, 0)) * time.Second)
			if err := machine.powerButton(); err != nil {
				// It has not come so far that it could listen.
				machine.kill()
			}
		case <-deadline:
			fmt.Fprintln(os.Stderr, "qemu-launcher: the grace period is over")
			machine.kill()
		case err := <-ended:
			return conclude(machine, err, button)
		}
	}
}

// conclude tells what the end of QEMU means.
func conclude(machine *domain, err error, button <-chan os.Signal) int {
	switch {
	case machine.state() == stateMigrated:
		if err := os.WriteFile(terminationLog, []byte(stateMigrated), 0o644); err != nil {
			fmt.Fprintf(os.Stderr, "qemu-launcher: %v\n", err)
			return exitFailed
		}
		return 0
	case machine.state() == stateStarting && !machine.killed():
		return stay(machine, err, button)
	case err != nil:
		fmt.Fprintf(os.Stderr, "qemu-launcher: QEMU: %v\n", err)
		return exitFailed
	default:
		return 0
	}
}

// stay keeps the pod of a machine that cannot start, as KubeVirt's does, until it is deleted.
func stay(machine *domain, err error, button <-chan os.Signal) int {
	fmt.Fprintf(os.Stderr, "qemu-launcher: %v\n", err)
	machine.fail(err)
	<-button
	return exitFailed
}

func prepare(todo plan) error {
	for what, path := range map[string]string{"kernel": todo.Kernel, "initrd": todo.Initrd} {
		if path == "" {
			continue
		}
		file, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("could not open %s file: %w", what, err)
		}
		file.Close()
	}
	for _, each := range todo.Disks {
		if err := each.make(); err != nil {
			return err
		}
	}
	for _, each := range todo.Isos {
		if err := each.make(); err != nil {
			return err
		}
	}
	return nil
}
